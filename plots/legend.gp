# SPDX-License-Identifier: GPL-2.0
# The modes in their colours, in one row at the foot of the figure. Set before: modes, legend (1: draw, 0: take away).
do for [k=1:words(modes)] {
	if (legend) {
		set label 100 + k '● '.word(modes, k) at screen 0.07 + (k - 0.5) * 0.9 / words(modes),0.04 center \
			tc rgb mode_colour(word(modes, k)) font ',12'
	} else {
		unset label 100 + k
	}
}
