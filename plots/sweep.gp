# SPDX-License-Identifier: GPL-2.0
# A sweep: completion time against what was swept, a panel a file, a line a mode, with its spread.
# Set before: csv (x, then the columns of sweep.csv), out, term, key, names (the values), files, modes, labels,
# numeric (1: x is a number, on a logarithmic scale; 0: a place among the names), spread (what the bars are).
load 'plots/style.gp'

axis = key eq 'LOSS' ? 'loss in each direction, %' : key eq 'RTT' ? 'round-trip time, ms' : \
	key eq 'RATE' ? 'rate of the link' . (numeric ? ', Mbit/s' : '') : key eq 'KERNEL' ? 'kernel' : key
mine(f, m) = strcol(9) eq f && strcol(8) eq m && strlen(strcol(13))

set multiplot layout 1,words(files) margins 0.075,0.985,0.235,0.845 spacing 0.06,0
set label 1 sprintf('{/:Bold Completion time of one transfer, by %s}', axis) at screen 0.012,0.955 left tc rgb ink font ',15'
set label 2 'median, '.spread at screen 0.988,0.955 right tc rgb '#555555' font ',11'
set grid ytics lc rgb '#e4e4e4' lt 1
set xlabel axis tc rgb ink offset 0,0.4
if (numeric) {
	stats csv skip 1 using 1 name 'X' nooutput
	set logscale x
	set xrange [X_min / 1.3:X_max * 1.3]
} else {
	set xtics ()
	# The axis says that it is %, which gnuplot takes for a format.
	set for [i=1:words(names)] xtics add (system(sprintf("echo '%s' | tr -d %%", word(names, i))) i)
	set xrange [0.5:words(names) + 0.5]
}
unset key
load 'plots/legend.gp'
# Modes stand side by side, so that intervals do not hide each other.
nudge(m) = numeric ? 0 : (place(m) - (words(modes) + 1) / 2.0) * 0.11
place(m) = sum [k=1:words(modes)] (word(modes, k) eq m ? k : 0)

do for [i=1:words(files)] {
	file = word(files, i)
	set title system(sprintf("echo '%s' | tr _ ' '", word(labels, i))) offset 0,-0.4 tc rgb ink
	if (i == 1) { set ylabel 'milliseconds' tc rgb ink offset 1 } else { unset ylabel }
	set yrange [*:*] # stats obeys it
	stats csv skip 1 using (strcol(9) eq file && strlen(strcol(14)) ? column(14) : NaN) name 'LOW' nooutput
	stats csv skip 1 using (strcol(9) eq file && strlen(strcol(15)) ? column(15) : NaN) name 'HIGH' nooutput
	if (key ne 'KERNEL' && HIGH_max > 12 * LOW_min) { set logscale y; set yrange [LOW_min / 1.25:HIGH_max * 1.25] } else { unset logscale y; set yrange [0:HIGH_max * 1.1] }
	# Between kernels there is nothing.
	plot for [m in modes] csv skip 1 using (mine(file, m) ? $1 + nudge(m) : NaN):13:14:15 with yerrorbars pt 7 ps 0.55 lw 1.3 lc rgb mode_colour(m), \
		for [m in modes] csv skip 1 using (key ne 'KERNEL' && mine(file, m) ? $1 + nudge(m) : NaN):13 with lines lw 1.6 lc rgb mode_colour(m)
	unset label 1
	unset label 2
	legend = 0
	load 'plots/legend.gp'
}
unset multiplot
