# SPDX-License-Identifier: GPL-2.0
# `hooker help --json` as parts of hooker.8 and hooker.conf.5. $part: commands, exit_codes or settings.

# Text of others in mdoc: no escape, no line that begins as a request.
def text: gsub("\\\\"; "\\e") | gsub("(?<start>^|\n)(?<c>[.'])"; "\(.start)\\&\(.c)");
# One argument of a macro.
def word: "\"" + (gsub("\\\\"; "\\e") | gsub("\""; "\"\"")) + "\"";
# A new sentence is a new line. Empty lines end paragraphs elsewhere; in a manual .Pp does.
def prose: text | gsub("(?<end>[a-z)])\\. +(?=[A-Z])"; "\(.end).\n") | gsub("\n[ \t]*\n"; "\n.Pp\n") | gsub("\n[ \t]+"; "\n") | sub("\\s+$"; "");
def literal: ".Bd -literal", (sub("\\s+$"; "") | text), ".Ed";

def flag:
	"Fl -\(.name)"
	+ (if .argument == null then "" elif .argument_optional then " Ns Op = Ns Ar \(.argument | word)" else " Ar \(.argument | word)" end)
	+ (if .short then " , Fl \(.short)" + (if .argument then " Ar \(.argument | word)" else "" end) else "" end);

def option: ".It \(flag)", (.description | prose);

def command:
	".It Cm \(.name)" + (if .options | length > 0 then " Oo Ar OPTION ... Oc" else "" end)
	+ (if .arguments != "" then " Ar \(.arguments | word)" else "" end),
	(.description | prose),
	(if .options | length > 0 then ".Bl -tag -width Ds", (.options[] | option), ".El" else empty end),
	(if .details | test("\\S") | not then empty
	 elif .details | test("\n\\s*\\S") then (.details | literal)
	 else ".Pp", (.details | prose) end),
	(if .examples | length > 0 then ".Pp", "Examples:", ".Bl -tag -width Ds -compact",
		(.examples[] | ".It Li \(.command | word)", "to \(.purpose | text)"), ".El" else empty end);

def commands:
	reduce .commands[] as $c ([]; if length > 0 and .[-1][0].group == $c.group then .[-1] += [$c] else . + [[$c]] end)
	| .[] | ".Ss \(.[0].group)", ".Bl -tag -width Ds", (.[] | command), ".El";

def exit_codes: ".Bl -tag -width Ds", (.exit_codes[] | ".It \(.code)", (.meaning | text)), ".El";

def setting:
	".It Cm \(.name)" + (if .argument then " Ar \(.argument | word)" else "" end), (.description | prose),
	if .live then ".Pq Sy live" else empty end;

if $part == "commands" then commands elif $part == "exit_codes" then exit_codes
else .commands[].options[] | select(.setting) | setting end
