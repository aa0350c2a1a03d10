// SPDX-License-Identifier: GPL-2.0
/* hooker: moves the traffic of unmodified TCP applications onto another transport. */
#include "hooker/cli/command.h"

#include <stdio.h>
#include <string.h>

#define RUN	   "Run"
#define SEE	   "See"
#define TRANSPORTS "Transports"
#define ABOUT	   "About"

/* A table is read by columns. */
/* clang-format off */
const struct hk_command hk_commands[] = {
	{ RUN, "run", cmd_run, &cmd_run_argp,
	  "redirect this host's TCP connections, or one command's", true, {
		{ "hooker run --interface eth0 --transport udp", "redirect the connections of eth0 to UDP" },
		{ "hooker run --check --config hooker.conf", "check a configuration, attach nothing" },
		{ "hooker run -- curl http://10.99.2.2:8080/text", "redirect one command's connections only" } } },
	{ RUN, "reload", cmd_reload, &cmd_reload_argp,
	  "read the configuration again", true, {
		{ "hooker reload", "put what has changed in hooker.conf in force" } } },
	{ RUN, "rules", cmd_rules, &cmd_rules_argp,
	  "show which connections use what, or change it", true, {
		{ "hooker rules", "show the rules in force" },
		{ "hooker rules new.rules", "put others in force, for new connections" } } },
	{ SEE, "status", cmd_status, &cmd_status_argp,
	  "is it active? Where attached, what travels how, what is wrong", true, {
		{ "hooker status", "see all at a glance" },
		{ "hooker status --json | jq .health", "let a program see it" } } },
	{ SEE, "flows", cmd_flows, &cmd_flows_argp,
	  "show each connection's transport and the reason for it", true, {
		{ "hooker flows", "list the connections" },
		{ "hooker flows --watch=2 --sort goodput", "follow them, every two seconds" },
		{ "hooker flows --transport tcp 10.0.0.0/8", "see which ones stayed on TCP, and why" } } },
	{ SEE, "check", cmd_check, &cmd_check_argp,
	  "would a connection to HOST:PORT be redirected, and if not why?", true, {
		{ "hooker check example.org:443", "open a connection there, see how it travels, close it" } } },
	{ SEE, "doctor", cmd_doctor, &cmd_doctor_argp,
	  "examine this host: what is missing, and how to mend it", true, {
		{ "hooker doctor", "examine every interface" },
		{ "hooker doctor --interface eth0 --json", "examine one, for a program" } } },
	{ SEE, "events", cmd_events, &cmd_events_argp,
	  "follow connections as they are established, fall back and end", true, {
		{ "hooker events --json", "get a JSON object a line" } } },
	{ SEE, "stats", cmd_stats, &cmd_stats_argp,
	  "show counters", true, {
		{ "hooker stats", "see packets, messages and connections by reason" } } },
	{ SEE, "metrics", cmd_metrics, &cmd_metrics_argp,
	  "print the counters for Prometheus", false, {
		{ "hooker metrics", "print them in the text exposition format" } } },
	{ TRANSPORTS, "deploy", cmd_deploy, &cmd_deploy_argp,
	  "put a transport into the running kernel, or replace a step of it", true, {
		{ "hooker deploy udplite", "give this kernel UDP-Lite until `hooker undeploy udplite`" } } },
	{ TRANSPORTS, "undeploy", cmd_undeploy, &cmd_undeploy_argp,
	  "take it out again", true, {
		{ "hooker undeploy udplite", "leave nothing of it behind" } } },
	{ TRANSPORTS, "transports", cmd_transports, &cmd_transports_argp,
	  "show what is native, what is deployed, what its steps did", true, {
		{ "hooker transports", "see the packets of each step by reason" } } },
	{ ABOUT, "help", cmd_help, &cmd_help_argp,
	  "show this, or a command's help", true, {
		{ "hooker help run", "read what `hooker run --help` prints" },
		{ "hooker help --json", "get all commands and options as data" } } },
	{ ABOUT, "version", cmd_version, &cmd_version_argp,
	  "show versions", true, {
		{ "hooker version", "see Hooker's, libbpf's and the kernel's" } } },
	{ 0 },
};
/* clang-format on */

int main(int argc, char **argv)
{
	const struct hk_command *command;
	const char *name = argc > 1 ? argv[1] : NULL;

	if (name && (!strcmp(name, "--help") || !strcmp(name, "-h")))
		name = "help";
	if (name && (!strcmp(name, "--version") || !strcmp(name, "-V")))
		name = "version";
	for (command = hk_commands; name && command->name; command++)
		if (!strcmp(name, command->name))
			return hk_command_run(command, argc - 1, argv + 1);
	if (name)
		fprintf(stderr, "hooker: no command '%s'\n", name);
	hk_help(stderr);
	return HK_EXIT_USAGE;
}
