# SPDX-License-Identifier: GPL-2.0
# Fallback: what the application received, and on which protocol it travelled, against time; a panel a mode.
# Set before: csv (mode,rep,t_s,goodput_mbit,tcp_mbit,udp_mbit,udplite_mbit), out, term.
tall = 1.75
load 'plots/style.gp'

modes = system(sprintf("awk -F, 'NR > 1 && !seen[$1]++ { printf \"%%s \", $1 }' '%s'", csv))
mine(m) = strcol(1) eq m && column(2) == 1
stats csv skip 1 using 3 name 'T' nooutput
stats csv skip 1 using ($5 + $6 + $7) name 'W' nooutput
set multiplot layout words(modes),1 margins 0.065,0.985,0.075,0.875 spacing 0,0.045
set label 1 '{/:Bold A middlebox begins to drop UDP, then UDP-Lite}' at screen 0.012,0.972 left tc rgb ink font ',15'
set label 2 'first repetition; per 100 ms, on the wire towards the client' at screen 0.988,0.972 right tc rgb '#555555' font ',11'
set xrange [0:T_max]
set yrange [0:W_max * 1.1]
set ytics 10
set style fill solid 0.9 noborder
set boxwidth 0.1
set grid ytics lc rgb '#e4e4e4' lt 1
set key at screen 0.985,0.935 right horizontal maxcols 4 samplen 1.5 width -2 tc rgb ink font ',11'
set format x ''
set arrow 1 from 3, graph 0 to 3, graph 1.06 nohead dt (6,4) lw 1.5 lc rgb '#b2182b' front
set arrow 2 from 6, graph 0 to 6, graph 1.06 nohead dt (6,4) lw 1.5 lc rgb '#b2182b' front
do for [i=1:words(modes)] {
	m = word(modes, i)
	set label 3 m at graph 0,1.13 left tc rgb ink font ',13'
	if (i == 1) {
		set label 4 'UDP dropped' at 3, graph 1.12 center tc rgb '#b2182b' font ',11'
		set label 5 'protocol 136 too' at 6, graph 1.12 center tc rgb '#b2182b' font ',11'
	}
	if (i == (words(modes) + 1) / 2) { set ylabel 'Mbit/s' tc rgb ink offset 1 } else { unset ylabel }
	if (i == words(modes)) { set format x '%g'; set xlabel 'seconds since the client was started' tc rgb ink offset 0,0.6 }
	plot csv skip 1 using (mine(m) ? $3 + 0.05 : NaN):($5 + $6 + $7) with boxes lc rgb '#7f7f7f' title (i == 1 ? 'TCP' : ''), \
	     '' skip 1 using (mine(m) ? $3 + 0.05 : NaN):($6 + $7) with boxes lc rgb '#0072b2' title (i == 1 ? 'UDP' : ''), \
	     '' skip 1 using (mine(m) ? $3 + 0.05 : NaN):7 with boxes lc rgb '#56b4e9' title (i == 1 ? 'UDP-Lite' : ''), \
	     '' skip 1 using (mine(m) ? $3 + 0.05 : NaN):4 with histeps lw 1.2 lc rgb ink title (i == 1 ? 'received by the application' : '')
	unset label 1
	unset label 2
	unset label 4
	unset label 5
	unset key
}
unset multiplot
