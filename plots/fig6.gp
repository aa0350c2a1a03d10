# SPDX-License-Identifier: GPL-2.0
# Figure 6: how long each file takes by each mode, with its spread, and what the paper measured.
# Set before: csv, transfers (each one's time), out, term, files and modes (words, in order), labels (a word a file, _ = space), spread.
load 'plots/style.gp'

paper_ms = 55.0
place(m) = sum [k=1:words(modes)] (word(modes, k) eq m ? k : 0)
here(row_file) = row_file eq file
# Golden section: spread, and the same each time.
jitter(n) = (n * 0.618034 - floor(n * 0.618034) - 0.5) * 0.42
signed(x) = sprintf(x < 0 ? '−%s' : '+%s', abs(x) < 10 ? sprintf('%.1f', abs(x)) : sprintf('%.0f', abs(x)))

set multiplot layout 1,words(files) margins 0.065,0.985,0.235,0.845 spacing 0.055,0
set label 1 '{/:Bold Completion time by transport}' at screen 0.012,0.955 left tc rgb ink font ',15'
set label 2 'median, '.spread.', every transfer (○ outlier), difference to tcp' at screen 0.988,0.955 right tc rgb '#555555' font ',11'
set style fill solid 0.9 noborder
set boxwidth 0.72
set xtics rotate by 35 right scale 0
set xtics ()
set for [k=1:words(modes)] xtics add (word(modes, k) k)
set style textbox opaque margins 0.3,0.3 fc rgb '#ffffff' noborder
set grid ytics lc rgb '#e4e4e4' lt 1
unset key

do for [i=1:words(files)] {
	file = word(files, i)
	set xrange [*:*]
	set yrange [*:*] # stats obeys the ranges
	stats csv skip 1 using (here(strcol(6)) && strcol(5) eq 'tcp' ? column(10) : NaN) name 'TCP' nooutput
	stats csv skip 1 using (here(strcol(6)) ? column(12) : NaN) name 'ALL' nooutput
	have_tcp = exists('TCP_records') && TCP_records > 0
	base = have_tcp ? TCP_median : 0
	top = (exists('ALL_records') && ALL_records > 0) ? ALL_max : 1
	stats transfers skip 1 using (strcol(2) eq file ? column(3) : NaN) name 'EACH' nooutput
	if (exists('EACH_records') && EACH_records > 0 && EACH_max > top) { top = EACH_max }
	if (have_tcp && top < base + paper_ms) { top = base + paper_ms }
	set xrange [0.4:words(modes) + 0.6]
	set yrange [0:top * 1.16]
	set title system(sprintf("echo '%s' | tr _ ' '", word(labels, i))) offset 0,-0.4 tc rgb ink
	if (i == 1) { set ylabel 'milliseconds' tc rgb ink offset 1 } else { unset ylabel }
	unset label 3
	if (have_tcp && ALL_max < base + paper_ms) {
		set label 3 'the paper: TCP + 55 ms' at 0.5,base + paper_ms left offset 0,0.55 tc rgb '#b2182b' font ',11' front boxed
	}
	# Among bars the words would hide some: there they stand above, and the line speaks for itself.
	if (have_tcp && ALL_max >= base + paper_ms) {
		set label 3 'dashed: the paper, TCP + 55 ms' at graph 0.02,graph 0.965 left tc rgb '#b2182b' font ',11' front
	}
	plot csv skip 1 using (here(strcol(6)) ? place(strcol(5)) : NaN):10:(mode_colour(strcol(5))) with boxes lc rgb variable, \
	     (have_tcp ? base + paper_ms : NaN) with lines dt (8,5) lw 1.6 lc rgb '#b2182b', \
	     transfers skip 1 using (strcol(2) eq file && $4 == 0 ? place(strcol(1)) + jitter(column(0)) : NaN):3 with points pt 7 ps 0.16 lc rgb '#66222222', \
	     transfers skip 1 using (strcol(2) eq file && $4 == 1 ? place(strcol(1)) + jitter(column(0)) : NaN):3 with points pt 6 ps 0.45 lc rgb '#222222', \
	     csv skip 1 using (here(strcol(6)) ? place(strcol(5)) : NaN):11:(0):(column(12) - column(11)) with vectors heads size 0.14,90 nofilled lw 1.6 lc rgb ink, \
	     '' skip 1 using (here(strcol(6)) && strcol(5) ne 'tcp' && strlen(strcol(13)) ? place(strcol(5)) : NaN):12:(signed(column(13))) \
	     with labels boxed offset 0,0.7 tc rgb ink font ',11'
	unset label 1
	unset label 2
}
unset multiplot
