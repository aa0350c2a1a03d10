# SPDX-License-Identifier: GPL-2.0
# Completion time against size: whole on the left, what a mode adds to tcp on the right.
# Set before: csv (summary.csv), out, term, modes, spread.
load 'plots/style.gp'

set multiplot layout 1,2 margins 0.07,0.985,0.235,0.845 spacing 0.075,0
set label 1 '{/:Bold Completion time of one transfer, by size}' at screen 0.012,0.955 left tc rgb ink font ',15'
set label 2 'median, '.spread at screen 0.988,0.955 right tc rgb '#555555' font ',11'
set grid ytics lc rgb '#e4e4e4' lt 1
set logscale x
set xrange [1400:200e6]
set xtics ('2 KB' 2048, '10 KB' 10240, '100 KB' 102400, '1 MB' 1048576, '10 MB' 10485760, '100 MB' 104857600)
unset key
load 'plots/legend.gp'
mine(m) = strcol(5) eq m && strlen(strcol(10))

set logscale y
set title 'milliseconds in all' offset 0,-0.4 tc rgb ink
plot for [m in modes] csv skip 1 using (mine(m) ? $7 : NaN):10:11:12 with yerrorbars pt 7 ps 0.45 lw 1.2 lc rgb mode_colour(m), \
	for [m in modes] csv skip 1 using (mine(m) ? $7 : NaN):10 with lines lw 1.6 lc rgb mode_colour(m)
unset label 1
unset label 2
legend = 0
load 'plots/legend.gp'
unset logscale y
# Far from zero by factors on both sides: the cube root keeps the sign and shows small and large.
set title 'milliseconds more (or less) than tcp, cube root scale' offset 0,-0.4 tc rgb ink
root(x) = x < 0 ? -((-x) ** (1.0 / 3)) : x ** (1.0 / 3)
set ytics ()
do for [v in '-1000 -300 -100 -10 -1 0 1 10 100 300 1000 3000 10000'] { set ytics add (v root(v + 0)) }
others = ''
do for [m in modes] { if (m ne 'tcp') { others = others.' '.m } }
set xzeroaxis lc rgb '#7f7f7f' lw 1.6
plot for [m in others] csv skip 1 using (mine(m) ? $7 : NaN):(root($13)):(root($14)):(root($15)) \
		with yerrorbars pt 7 ps 0.45 lw 1.2 lc rgb mode_colour(m), \
	for [m in others] csv skip 1 using (mine(m) ? $7 : NaN):(root($13)) with lines lw 1.6 lc rgb mode_colour(m)
unset multiplot
