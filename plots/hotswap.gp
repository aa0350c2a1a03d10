# SPDX-License-Identifier: GPL-2.0
# Hot swap: goodput and retransmissions against time, a panel a variant, first repetition.
# Set before: csv (variant,rep,t_s,goodput_mbit,retransmits), out, term. Beside csv: events.csv.
tall = 1.3
load 'plots/style.gp'

events = system(sprintf("dirname '%s'", csv)).'/events.csv'
variants = 'none swap redeploy'
titles = '"nothing happens" "every step replaced once (hooker deploy --swap)" "undeploy and deploy again"'
mine(v) = strcol(1) eq v && column(2) == 1
stats csv skip 1 using 3 name 'T' nooutput
stats csv skip 1 using 4 name 'G' nooutput
stats csv skip 1 using 5 name 'R' nooutput
rmax = R_max < 10 ? 10 : R_max
set multiplot layout 3,1 margins 0.065,0.935,0.1,0.885 spacing 0,0.07
set label 1 '{/:Bold Replacing the steps of a transport in mid-transfer}' at screen 0.012,0.965 left tc rgb ink font ',15'
set label 2 'TCP in WireGuard over UDP-Lite; per 100 ms' at screen 0.988,0.965 right tc rgb '#555555' font ',11'
set xrange [0:T_max]
set yrange [0:G_max * 1.15]
set y2range [0:rmax * 1.15]
set y2tics textcolor rgb '#b2182b'
set border 11 lc rgb faint
set grid ytics lc rgb '#e4e4e4' lt 1
set style fill solid 0.9 noborder
set boxwidth 0.1
set format x ''
do for [i=1:3] {
	v = word(variants, i)
	set label 3 word(titles, i) at graph 0,1.1 left tc rgb ink font ',12'
	if (i == 2) {
		set ylabel 'Mbit/s received' tc rgb '#0072b2' offset 1
		set y2label 'segments sent again' tc rgb '#b2182b' offset -1
	} else {
		unset ylabel
		unset y2label
	}
	if (i == 3) { set format x '%g'; set xlabel 'seconds since the client was started' tc rgb ink offset 0,0.6 }
	plot csv skip 1 using (mine(v) ? $3 + 0.05 : NaN):4 with boxes lc rgb '#56b4e9' notitle, \
	     events skip 1 using (mine(v) ? $3 : NaN):(0):(0):(G_max * 1.02) with vectors nohead dt (6,4) lw 1.4 lc rgb ink notitle, \
	     csv skip 1 using (mine(v) && $5 > 0 ? $3 + 0.05 : NaN):5 axes x1y2 with impulses lw 3 lc rgb '#b2182b' notitle
	unset label 1
	unset label 2
}
unset multiplot
