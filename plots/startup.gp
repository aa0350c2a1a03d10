# SPDX-License-Identifier: GPL-2.0
# Start-up: 510 KB on each link, a point a transfer; on the narrow one also what the connection beside took.
# Set before: csv (link,variant,file,rep,ms,dropped,beside_ms,status), out, term.
load 'plots/style.gp'

links = 'wide narrow narrow+tcp'
titles = '"wide link" "10 Mbit/s, short queue" "10 Mbit/s beside TCP" "10 Mbit/s: the TCP beside"'
variants = system(sprintf("awk -F, 'NR > 1 && !seen[$2]++ { gsub(/ /, \"_\", $2); printf \"%%s \", $2 }' '%s'", csv))
place(v) = sum [k=1:words(variants)] (system("echo '".v."' | tr ' ' _") eq word(variants, k) ? k : 0)
mode(v) = word(v, 1)
plain(v) = system("echo '".v."' | tr _ ' '")

# About four ticks an axis; before there are ranges, which stats would heed.
power(x) = 10 ** floor(log10(x))
nice(x) = power(x) * (x / power(x) > 5 ? 10 : x / power(x) > 2 ? 5 : x / power(x) > 1 ? 2 : 1)
panel(p, link, file) = link eq word(links, p < 4 ? p : 3) && file eq 'image-510KB'
array step[4]
do for [p=1:4] {
	stats csv skip 1 using (panel(p, strcol(1), strcol(3)) ? column(p < 4 ? 5 : 7) : NaN) nooutput
	# A panel whose transfers all failed has none.
	step[p] = exists('STATS_max') ? nice(STATS_max / 4) : 0
	undefine STATS_*
}

set multiplot layout 1,4 margins 0.135,0.985,0.13,0.845 spacing 0.03,0
set label 1 '{/:Bold Start-up: a transfer of 510 KB, and what it costs another}' at screen 0.012,0.955 left tc rgb ink font ',15'
set grid xtics lc rgb '#e4e4e4' lt 1
set yrange [words(variants) + 0.5:0.5]
set xrange [0:*]
set xlabel 'milliseconds' tc rgb ink offset 0,0.4
set ytics ()
set for [i=1:words(variants)] ytics add (plain(word(variants, i)) i)
unset key
do for [p=1:4] {
	set title word(titles, p) offset 0,-0.4 tc rgb ink
	# The names stand once, on the left.
	if (p > 1) { set ytics 1,1,words(variants); set format y '' }
	if (step[p]) { set xtics 0,step[p]; set xrange [0:*] } else { set xtics 0,1; set xrange [0:1] }
	plot csv skip 1 using (panel(p, strcol(1), strcol(3)) ? column(p < 4 ? 5 : 7) : NaN):(place(strcol(2))):(mode_colour(mode(strcol(2)))) \
		with points pt 7 ps 0.7 lc rgb variable
	unset label 1
}
unset multiplot
