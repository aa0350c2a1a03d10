# SPDX-License-Identifier: GPL-2.0
# What all figures share. Set before: csv, out, term (svg, pdf or png), and tall if the figure is higher than others.
set datafile separator ','
set encoding utf8
font = 'DejaVu Sans'
if (!exists('tall')) { tall = 1 }
if (term eq 'svg') set terminal svg size 1080,460 * tall font font.',13' background '#ffffff' rounded
if (term eq 'pdf') set terminal pdfcairo size 10.8,4.6 * tall font font.',12' background '#ffffff' rounded
if (term eq 'png') set terminal pngcairo size 1620,690 * tall font font.',12' fontscale 1.5 background '#ffffff' rounded
set output out
# One colour a mode, the same in every figure; told apart without colour vision too (Okabe, Ito).
mode_names = 'tcp tcp+xdp relay-udp relay-udplite kernel-udp kernel-udplite mptcp sctp wireguard kcptun'
mode_colours = '0x7f7f7f 0xbdbdbd 0x0072b2 0x56b4e9 0xd55e00 0xe69f00 0x009e73 0xcc79a7 0x882255 0xb5a642'
mode_index(m) = int(sum [k=1:words(mode_names)] (word(mode_names, k) eq m ? k : 0))
mode_colour(m) = mode_index(m) ? int(word(mode_colours, mode_index(m))) : 0x444444
ink = '#222222'
faint = '#999999'
set border 3 lc rgb faint
set tics nomirror out scale 0.5 textcolor rgb ink
# A row of another mode between two points is no gap in the line.
set datafile missing NaN
# One legend for all panels: `load 'plots/legend.gp'` before the first, again with legend = 0 after it.
legend = 1
