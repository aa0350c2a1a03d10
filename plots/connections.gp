# SPDX-License-Identifier: GPL-2.0
# The slowest of many clients at once, against how many there are (the number in the file's name).
# Set before: csv (summary.csv), out, term, modes, spread.
load 'plots/style.gp'

set lmargin at screen 0.07
set rmargin at screen 0.985
set bmargin at screen 0.235
set tmargin at screen 0.875
set label 1 '{/:Bold Many clients at the same instant: when the slowest has its 3 KB}' at screen 0.012,0.955 left tc rgb ink font ',15'
set label 2 'median, '.spread at screen 0.988,0.955 right tc rgb '#555555' font ',11'
set grid ytics lc rgb '#e4e4e4' lt 1
set logscale xy
set xlabel 'connections at once' tc rgb ink offset 0,0.4
set ylabel 'milliseconds' tc rgb ink offset 1
set xrange [0.8:1250]
stats csv skip 1 using (strlen(strcol(11)) ? column(11) : NaN) name 'LOW' nooutput
stats csv skip 1 using (strlen(strcol(12)) ? column(12) : NaN) name 'HIGH' nooutput
set yrange [LOW_min / 1.25:HIGH_max * 1.25]
unset key
load 'plots/legend.gp'
mine(m) = strcol(5) eq m && strlen(strcol(10))
many(f) = real(f[strstrt(f, '-') + 1:*])
plot for [m in modes] csv skip 1 using (mine(m) ? many(strcol(6)) : NaN):10:11:12 with yerrorbars pt 7 ps 0.55 lw 1.3 lc rgb mode_colour(m), \
	for [m in modes] csv skip 1 using (mine(m) ? many(strcol(6)) : NaN):10 with lines lw 1.6 lc rgb mode_colour(m)
