# SPDX-License-Identifier: GPL-2.0
# Blocks of page.jq, as one HTML page that needs no other file, or as Markdown.
include "page";

def cell_html: if type == "object" then
	(if .badge then "<span class=\"badge \(.badge | gsub(" "; "-"))\">\(.badge | @html)</span>" else "<a href=\"\(.link)\">\(.x | @html)</a>" end)
	else @html end;
def cell_md: if type == "object" then (if .badge then "**\(.badge)**" else .x end) else . end;
def slug: ascii_downcase | gsub("[^a-z0-9]+"; "-");

def html_block:
	if .t == "kicker" then "<p class=kicker>\(.x | @html)</p>"
	elif .t == "h1" then "<h1>\(.x | @html)</h1>"
	elif .t == "status" then "<p class=\"\(if .good then "good" else "bad" end)\">\(.x | @html)</p>"
	elif .t == "h2" then "<h2 id=\"\(.id)\">\(.x | @html)</h2>"
	elif .t == "h3" then "<h3>\(.x | @html)</h3>"
	elif .t == "p" then "<p>\(.x | @html | gsub("`(?<c>[^`]*)`"; "<code>\(.c)</code>"))</p>"
	elif .t == "small" then "<p class=small>\(.x | @html)</p>"
	elif .t == "ul" then if .x | length > 0 then "<ul>\(.x | map("<li>\(@html)</li>") | join("\n"))</ul>" else "" end
	elif .t == "pre" then "<pre>\(.x | @html)</pre>"
	elif .t == "figure" then "<figure id=\"figure-\(.id)\">\(.svg)<figcaption>\(.caption | @html)</figcaption></figure>"
	elif .t == "table" then "<div class=scroll><table class=\(.class)>"
		+ (if .head then "<thead><tr>\(.head | map("<th>\(@html)</th>") | join(""))</tr></thead>" else "" end)
		+ "<tbody>" + (.head as $head | .rows | map("<tr class=\"\(.class)\(if .first then " first" else "" end)\">"
			+ (.cells | to_entries | map("<td\(if $head then " data-label=\"\($head[.key] | @html)\"" else "" end)>\(.value | cell_html)</td>") | join("")) + "</tr>") | join("\n"))
		+ "</tbody></table></div>"
	else error("no block \(.t)") end;

def html($css): blocks as $b
	| "<!doctype html>\n<html lang=en>\n<meta charset=utf-8>\n<meta name=viewport content=\"width=device-width, initial-scale=1\">\n"
	+ "<title>\($b | map(select(.t == "h1")) | .[0].x | @html)</title>\n<style>\n\($css)</style>\n<main>\n"
	+ "<nav>\($b | map(select(.t == "h2") | "<a href=\"#\(.id)\">\(.x | @html)</a>") | join(" "))</nav>\n"
	+ ($b | map(html_block) | join("\n")) + "\n</main>\n</html>\n";

def md_row: "| " + join(" | ") + " |";
def md_block:
	if .t == "kicker" then ""
	elif .t == "h1" then "# \(.x)\n"
	elif .t == "status" then "**\(.x)**\n"
	elif .t == "h2" then "## \(.x)\n"
	elif .t == "h3" then "### \(.x)\n"
	elif .t == "p" or .t == "small" then "\(.x)\n"
	elif .t == "ul" then (.x | map("- \(.)\n") | join(""))
	elif .t == "pre" then (.x | split("\n") | map("    \(.)\n") | join(""))
	elif .t == "figure" then "![\(.caption | rtrimstr(" "))](\(.file))\n"
	elif .t == "table" then ((.head // (.rows[0].cells | map(""))) as $head
		| ([($head | md_row), ($head | map("---") | md_row)] + (.rows | map(.cells | map(cell_md | tostring) | md_row)) | join("\n")) + "\n")
	else error("no block \(.t)") end;
def markdown: blocks | map(md_block | select(. != "")) | join("\n");
