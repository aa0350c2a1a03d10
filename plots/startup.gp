# SPDX-License-Identifier: GPL-2.0
# Start-up: 510 KB on each link, a point a transfer; on the narrow one also what the connection beside took.
# Set before: csv (link,variant,file,rep,ms,dropped,beside_ms), out, term.
load 'plots/style.gp'

links = 'wide narrow narrow+tcp'
titles = '"wide link" "10 Mbit/s, short queue" "10 Mbit/s beside TCP" "10 Mbit/s: the TCP beside"'
variants = system(sprintf("awk -F, 'NR > 1 && !seen[$2]++ { gsub(/ /, \"_\", $2); printf \"%%s \", $2 }' '%s'", csv))
place(v) = sum [k=1:words(variants)] (system("echo '".v."' | tr ' ' _") eq word(variants, k) ? k : 0)
mode(v) = word(v, 1)
plain(v) = system("echo '".v."' | tr _ ' '")

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
	link = word(links, p < 4 ? p : 3)
	set title word(titles, p) offset 0,-0.4 tc rgb ink
	if (p > 1) { set format y '' }
	plot csv skip 1 using (strcol(1) eq link && strcol(3) eq 'image-510KB' ? column(p < 4 ? 5 : 7) : NaN):(place(strcol(2))):(mode_colour(mode(strcol(2)))) \
		with points pt 7 ps 0.7 lc rgb variable
	unset label 1
}
unset multiplot
