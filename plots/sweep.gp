# SPDX-License-Identifier: GPL-2.0
# A sweep: completion time against what was swept, a panel a file, a line a mode, with 95 % intervals.
# Set before: csv (x, then the columns of sweep.csv), out, term, key, names (the values), files, modes, labels.
load 'plots/style.gp'

axis = key eq 'LOSS' ? 'loss in each direction, %' : key eq 'RTT' ? 'round-trip time, ms' : \
	key eq 'RATE' ? 'rate of the link, Mbit/s' : key eq 'KERNEL' ? 'kernel' : key
numeric = key eq 'LOSS' || key eq 'RTT' || key eq 'RATE'
mine(f, m) = strcol(9) eq f && strcol(8) eq m && strlen(strcol(13))

set multiplot layout 1,words(files) margins 0.065,0.985,0.235,0.845 spacing 0.055,0
set label 1 sprintf('{/:Bold Completion time of one transfer, by %s}', axis) at screen 0.012,0.955 left tc rgb ink font ',15'
set label 2 'median, 95 % interval' at screen 0.988,0.955 right tc rgb '#555555' font ',11'
set grid ytics lc rgb '#e4e4e4' lt 1
set xlabel axis tc rgb ink offset 0,0.4
if (key eq 'RATE' || key eq 'RTT') { set logscale x }
if (numeric) {
	set offsets graph 0.04, graph 0.04, 0, 0
} else {
	set xtics ()
	set for [i=1:words(names)] xtics add (word(names, i) i)
	set xrange [0.5:words(names) + 0.5]
}
if (key ne 'KERNEL') { set logscale y }
set key at screen 0.5,0.03 center bottom horizontal maxrows 1 samplen 1.5 tc rgb ink font ',11'
# Modes stand side by side, so that intervals do not hide each other.
nudge(m) = numeric ? 0 : (place(m) - (words(modes) + 1) / 2.0) * 0.11
place(m) = sum [k=1:words(modes)] (word(modes, k) eq m ? k : 0)

do for [i=1:words(files)] {
	file = word(files, i)
	set title system(sprintf("echo '%s' | tr _ ' '", word(labels, i))) offset 0,-0.4 tc rgb ink
	if (i == 1) { set ylabel 'milliseconds' tc rgb ink offset 1 } else { unset ylabel; unset key }
	if (key eq 'KERNEL') { set yrange [0:*] } else { set yrange [*:*] }
	plot for [m in modes] csv skip 1 using (mine(file, m) ? $1 + nudge(m) : NaN):13:14:15 \
		with yerrorbars pt 7 ps 0.55 lw 1.3 lc rgb mode_colour(m) title m, \
		for [m in modes] csv skip 1 using (mine(file, m) && numeric ? $1 : NaN):13 with lines lw 1.6 lc rgb mode_colour(m) notitle
	unset label 1
	unset label 2
}
unset multiplot
