# SPDX-License-Identifier: GPL-2.0
# `hooker help --json` as tables for the completions. $shell: bash or zsh.

# How values of an argument are found: "words …", interface, file, folder, transport, command, or nothing.
def source($name; $argument):
	if $argument == null then ""
	elif $argument | test("^\\[?[a-z0-9-]+(\\|[a-z0-9-]+)+\\]?$") then "words " + ($argument | gsub("[\\[\\]]"; "") | gsub("\\|"; " "))
	elif $name == "interface" then "interface"
	elif $argument | test("FILE|OBJECT") then "file"
	elif $argument | test("^(PATH|DIR)") then "folder"
	elif $argument | test("TRANSPORT") then "transport"
	elif $argument | test("^\\[?COMMAND") then "command"
	else "" end;

def names: "--\(.name)", (if .short then "-\(.short)" else empty end);

def bash:
	"_hooker_commands=\([.commands[].name] | join(" ") | @sh)",
	"declare -gA _hooker_options=(",
	(.commands[] | "\t[\(.name)]=\([.options[] | names] + ["--help"] | join(" ") | @sh)"),
	")",
	"declare -gA _hooker_values=(",
	(.commands[] | .name as $command
		| (source(""; .arguments) | select(. != "") | "\t[\($command)]=\(@sh)"),
		  (.options[] | source(.name; .argument) as $source | select(.argument and (.argument_optional | not)) | names
			| "\t[\($command) \(.)]=\($source | @sh)")),
	")";

def zsh_action: {
	"": " ", interface: "_net_interfaces", file: "_files", folder: "_directories", transport: "(udplite)", command: "_hooker_command"
}[.] // "(\(.[6:]))";
# In _arguments, [ ] enclose a description and : separates.
def zsh_text: gsub("\\s+"; " ") | gsub("(?<c>[\\[\\]:\\\\])"; "\\\(.c)");
def zsh_option:
	source(.name; .argument) as $source
	| (if .argument == null then "" else (if .argument_optional then "::" else ":" end) + "\(.argument | zsh_text):\($source | zsh_action)" end) as $value
	| (if .argument == null then "" elif .argument_optional then "=-" else "=" end) as $equals
	| "*--\(.name)\($equals)[\(.description | zsh_text)]\($value)",
	  (if .short then "*-\(.short)\(if .argument then "+" else "" end)[\(.description | zsh_text)]\($value)" else empty end);
def zsh:
	"_hooker_commands=(",
	(.commands[] | "\t" + ("\(.name):\(.summary | gsub(":"; "\\:"))" | @sh)),
	")",
	"_hooker_arguments() {",
	"\tcase $1 in",
	(.commands[] | "\t\(.name)) arguments=(",
		(([.options[] | zsh_option] + ["--help[show help]"])[] | "\t\t\(@sh)"),
		(source(""; .arguments) as $source | select($source != "") | "*:argument:\($source | zsh_action)" | "\t\t\(@sh)"),
		(select(.arguments | test("^\\[?-- ")) | "\t\t\("*::command:_normal" | @sh)"),
		"\t) ;;"),
	"\tesac",
	"}";

if $shell == "bash" then bash else zsh end
