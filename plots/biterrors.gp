# SPDX-License-Identifier: GPL-2.0
# Bit errors: goodput, damage and packets thrown away against the packets hit, by mode and coverage. Set before: csv (corrupt_pct,mode,coverage,rep,status,goodput_mbit,damaged_ppm,…), out, term.
load 'plots/style.gp'

variants = system(sprintf("awk -F, 'NR > 1 && !seen[$2 \":\" $3]++ { printf \"%%s:%%s \", $2, $3 }' '%s'", csv))
levels = system(sprintf("awk -F, 'NR > 1 && !seen[$1]++ { printf \"%%s \", $1 }' '%s'", csv))
place(l) = sum [k=1:words(levels)] (word(levels, k) eq l ? k : 0)
variant_mode(v) = v[1:strstrt(v, ':') - 1]
variant_coverage(v) = v[strstrt(v, ':') + 1:*]
name(v) = variant_coverage(v) eq '-' ? variant_mode(v) : variant_mode(v).', coverage '.(variant_coverage(v) eq '0' ? 'all' : variant_coverage(v))
mine(v) = strcol(2).':'.strcol(3) eq v && strlen(strcol(6))
# Coverages of UDP-Lite from light to dark; modes that take no damage in their own colours.
shades = '0xfdbb84 0xfc8d59 0xe34a33 0xb30000 0x67000d'
colour(i) = variant_coverage(word(variants, i)) eq '-' ? mode_colour(variant_mode(word(variants, i))) : int(word(shades, (i - 1) % 5 + 1))
nudge(i) = (i - (words(variants) + 1) / 2.0) * 0.07

set multiplot layout 1,3 margins 0.065,0.985,0.33,0.80 spacing 0.055,0
set label 1 '{/:Bold A link that flips one bit in some packets}' at screen 0.012,0.955 left tc rgb ink font ',15'
set label 2 'every transfer a point' at screen 0.988,0.955 right tc rgb '#555555' font ',11'
set xrange [0.5:words(levels) + 0.5]
set xtics ()
set for [k=1:words(levels)] xtics add (word(levels, k).' %%' k)
set xlabel 'packets with a flipped bit' tc rgb ink offset 0,0.5
set grid ytics lc rgb '#e4e4e4' lt 1
set key at screen 0.985,0.015 right bottom vertical maxrows 3 samplen 0.5 tc rgb ink font ',11'
set yrange [0:*]
titles = 'goodput,_Mbit/s damaged_bytes_per_million packets_thrown_away'
do for [panel=0:2] {
	set title system(sprintf("echo '%s' | tr _ ' '", word(titles, panel + 1))) offset 0,-0.4 tc rgb ink
	y = panel == 0 ? 6 : panel == 1 ? 7 : 9
	plot for [i=1:words(variants)] csv skip 1 using (mine(word(variants, i)) ? place(strcol(1)) + nudge(i) : NaN):y \
		with points pt (variant_coverage(word(variants, i)) eq '-' ? 5 : 7) ps 0.9 lc rgb colour(i) title (panel == 0 ? name(word(variants, i)) : '')
	unset label 1
	unset label 2
	unset key
}
unset multiplot
