# SPDX-License-Identifier: GPL-2.0
# A sweep: goodput against what was swept, a panel a file, a line a mode, with its spread.
# Set before: as sweep.gp has it.
load 'plots/style.gp'

axis = key eq 'LOSS' ? 'loss in each direction, %' : key eq 'RTT' ? 'round-trip time, ms' : key
mine(f, m) = strcol(9) eq f && strcol(8) eq m && strlen(strcol(13))
mbit(ms) = ms > 0 ? column(10) * 8e-3 / ms : NaN

set multiplot layout 1,words(files) margins 0.08,0.985,0.235,0.845 spacing 0.055,0
set label 1 sprintf('{/:Bold Goodput of one transfer, by %s}', axis) at screen 0.012,0.955 left tc rgb ink font ',15'
set label 2 'median, '.spread at screen 0.988,0.955 right tc rgb '#555555' font ',11'
set grid ytics lc rgb '#e4e4e4' lt 1
set xlabel axis tc rgb ink offset 0,0.4
# By place: losses lie so far apart that the small ones would stand on each other.
bare(s) = strstrt(s, '%') ? s[1:strstrt(s, '%') - 1] : s
set xtics ()
set for [i=1:words(names)] xtics add (bare(word(names, i)) i)
set xrange [0.6:words(names) + 0.4]
set logscale y
unset key
load 'plots/legend.gp'
at(v) = sum [k=1:words(names)] (word(names, k) eq v ? k : 0)
place(m) = sum [k=1:words(modes)] (word(modes, k) eq m ? k : 0)
nudge(m) = (place(m) - (words(modes) + 1) / 2.0) * 0.06

do for [i=1:words(files)] {
	file = word(files, i)
	set title system(sprintf("echo '%s' | tr _ ' '", word(labels, i))) offset 0,-0.4 tc rgb ink
	if (i == 1) { set ylabel 'Mbit/s' tc rgb ink offset 1 } else { unset ylabel }
	plot for [m in modes] csv skip 1 using (mine(file, m) ? at(strcol(3)) + nudge(m) : NaN):(mbit($13)):(mbit($15)):(mbit($14)) \
			with yerrorbars pt 7 ps 0.6 lw 1.3 lc rgb mode_colour(m), \
		for [m in modes] csv skip 1 using (mine(file, m) ? at(strcol(3)) + nudge(m) : NaN):(mbit($13)) with lines lw 1.6 lc rgb mode_colour(m)
	unset label 1
	unset label 2
	legend = 0
	load 'plots/legend.gp'
}
unset multiplot
