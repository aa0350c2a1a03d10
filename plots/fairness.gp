# SPDX-License-Identifier: GPL-2.0
# Fairness: the share each flow gets of the link, and what each loses; a panel a rate.
# Set before: csv (rate_mbit,mode,rep,flow,goodput_mbit,share,sent,lost_pct), out, term.
load 'plots/style.gp'

words_of(c) = system(sprintf("awk -F, 'NR > 1 && !seen[$%d]++ { printf \"%%s \", $%d }' '%s'", c, c, csv))
rates = words_of(1)
modes = words_of(2)
place(m) = sum [k=1:words(modes)] (word(modes, k) eq m ? k : 0)
mine(r, f) = strcol(1) eq r && strcol(4) eq f
# Repetitions stand side by side within a mode's place.
stats csv skip 1 using 3 name 'R' nooutput
shift(rep) = R_max > 1 ? (rep - (R_max + 1) / 2.0) * 0.66 / R_max : 0

set multiplot layout 1,words(rates) margins 0.065,0.985,0.26,0.80 spacing 0.06,0
set label 1 '{/:Bold One carried flow beside one plain TCP flow}' at screen 0.012,0.955 left tc rgb ink font ',15'
set label 2 'coloured: the mode’s flow; above: packets lost by it and by the plain one, %' at screen 0.988,0.955 right tc rgb '#555555' font ',11'
set xrange [0.4:words(modes) + 0.6]
set yrange [0:1.16]
set ytics 0.25
set format y '%.2f'
set xtics ()
set for [k=1:words(modes)] xtics add (word(modes, k) k)
set xtics rotate by 25 right scale 0
set style fill solid 0.9 noborder
set boxwidth 0.6 / R_max
set grid ytics lc rgb '#e4e4e4' lt 1
unset key
do for [i=1:words(rates)] {
	r = word(rates, i)
	set title sprintf('%s Mbit/s', r) offset 0,-0.4 tc rgb ink
	if (i == 1) { set ylabel 'share of the goodput' tc rgb ink offset 1 } else { unset ylabel }
	plot csv skip 1 using (mine(r, 'mode') ? place(strcol(2)) + shift($3) : NaN):(1) with boxes lc rgb '#d9d9d9', \
	     '' skip 1 using (mine(r, 'mode') ? place(strcol(2)) + shift($3) : NaN):6:(mode_colour(strcol(2))) with boxes lc rgb variable, \
	     (0.5) with lines dt (8,5) lw 1.6 lc rgb '#b2182b', \
	     '' skip 1 using (mine(r, 'mode') ? place(strcol(2)) + shift($3) : NaN):(1.075):(sprintf('%.1f', $8)) with labels offset 0,0.45 tc rgb ink font ',10', \
	     '' skip 1 using (mine(r, 'tcp') ? place(strcol(2)) + shift($3) : NaN):(1.075):(sprintf('%.1f', $8)) with labels offset 0,-0.45 tc rgb '#8a8a8a' font ',10'
	unset label 1
	unset label 2
}
unset multiplot
