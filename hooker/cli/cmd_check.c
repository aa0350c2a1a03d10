// SPDX-License-Identifier: GPL-2.0
/* hooker check: a real connection, looked at. */
#include "hooker/cli/command.h"

#include <netdb.h>
#include <stdlib.h>
#include <string.h>

#include "hooker/config/config.h"
#include "hooker/config/settings.h"
#include "hooker/state/control.h"
#include "hooker/hooks/interfaces.h"
#include "hooker/base/log.h"
#include "hooker/cli/private.h"
#include "hooker/cli/probe.h"
#include "hooker/cli/tree.h"

static const struct argp_option check_options[] = {
	{ "timeout", 'T', "SECONDS", 0, "Wait no longer than that for an answer (default: 5)", 0 },
	{ 0 },
};

struct check_arguments {
	const char *target;
	double timeout;
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct check_arguments *args = state->input;
	char *end;

	switch (key) {
	case 'T':
		args->timeout = strtod(arg, &end);
		if (!*arg || *end || !(args->timeout > 0 && args->timeout <= 600))
			argp_error(state, "--timeout is a number of seconds, not '%s'", arg);
		break;
	case ARGP_KEY_ARG:
		if (args->target)
			argp_error(state, "one HOST:PORT at a time, not also '%s'", arg);
		args->target = arg;
		break;
	case ARGP_KEY_END:
		if (!args->target)
			argp_error(state, "which HOST:PORT?");
		break;
	default: return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

const struct argp cmd_check_argp = {
	.options = check_options,
	.parser = parse,
	.args_doc = "HOST:PORT",
	.doc = "Opens a TCP connection to HOST:PORT as an application would, says how it travels and why, "
	       "and closes it without having sent anything."
	       "\vUses the Hooker that runs in this network namespace, or attaches one for as long as "
	       "the check takes. Ends with 0 if the connection is redirected, with 1 if not.",
};

/* What a reason means here, and what to do about it. */
static const struct {
	const char *reason, *meaning, *remedy;
} reasons[] = {
	{ "negotiated", "both ends agreed", NULL },
	{ "peer-without-hooker", "the other end answers without Hooker's TCP option",
	  "run Hooker there, with the same --datapath; if it does run, something on the way strips TCP "
	  "options" },
	{ "rule", "a rule, or --datapath none, leaves it on TCP", "see `hooker rules`" },
	{ "loopback", "both ends are on this host", NULL },
	{ "ipv6", "the relay carries IPv4 only", "use --datapath kernel" },
	{ "no-room", "no memory, or no room in a table, for another connection",
	  "see the health in `hooker status`" },
	{ "syn-cookie", "the server is flooded with connections and remembers none", "try later" },
	{ "path-cached", "an earlier connection there fell back, which is remembered for a while",
	  "let the transport through on the way; --remember says how long" },
	{ "icmp-unreachable", "the path refuses the transport",
	  "let it through the firewalls on the way" },
	{ "blackhole", "the path drops the transport's packets",
	  "let them through the firewalls on the way" },
	{ "peer-fell-back", "the other end found that the transport does not arrive there",
	  "let it through the firewalls on the way" },
	{ "silent", "both ends agreed, but nothing has come back on the transport",
	  "let it through the firewalls on the way, or allow more --timeout" },
};

static void explain(const char *reason, const char **meaning, const char **remedy)
{
	size_t i;

	*meaning = *remedy = NULL;
	for (i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++)
		if (!strcmp(reason, reasons[i].reason)) {
			*meaning = reasons[i].meaning;
			*remedy = reasons[i].remedy;
		}
}

/* "HOST:PORT", an IPv6 address in brackets. Returns an exit code, reported; freeaddrinfo() *found if 0. */
static int resolve(const char *target, struct addrinfo **found)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM };
	char copy[300], *host = copy, *colon;
	int err;

	snprintf(copy, sizeof(copy), "%s", target);
	colon = strrchr(copy, ':');
	if (!colon || colon == copy || !colon[1]) {
		hk_error("'%s' is not HOST:PORT", target);
		return HK_EXIT_USAGE;
	}
	*colon = 0;
	if (*host == '[' && colon[-1] == ']') {
		colon[-1] = 0;
		host++;
	}
	err = getaddrinfo(host, colon + 1, &hints, found);
	if (err)
		hk_error("can't look up '%s': %s", target, gai_strerror(err));
	return err ? HK_EXIT_FAILURE : HK_EXIT_OK;
}

/* The daemon's flow of that socket, new; NULL if it has none (any more). */
static json_t *flow_of(uint64_t cookie)
{
	json_t *reply, *flow;

	if (hk_control_call(json_pack("{s:s, s:I}", "command", "flows", "cookie",
				      (json_int_t)cookie),
			    &reply))
		return NULL;
	flow = json_incref(json_array_get(json_object_get(reply, "flows"), 0));
	json_decref(reply);
	return flow;
}

static bool is_redirected(const json_t *flow)
{
	return strcmp(hk_text(flow, "state"), "tcp") &&
	       !strcmp(hk_text(flow, "reason"), "negotiated");
}

/* The other end has been heard on the transport. */
static bool is_heard(const json_t *flow)
{
	if (!strcmp(hk_text(flow, "datapath"), "relay"))
		return hk_real(flow, "rtt_ms") > 0;
	return strcmp(hk_text(flow, "transport"), "tcp");
}

/* Sends the connection's end and watches how that travels. Returns the last that was seen of the flow. */
static json_t *watch(struct hk_probe *probe, const struct hk_tree *tree, json_t *flow,
		     double timeout_s, bool *heard)
{
	int tries = timeout_s / 0.02;
	json_t *next;

	*heard = false;
	if (!is_redirected(flow))
		return flow;
	hk_probe_shut(probe);
	while (tries-- > 0 && is_redirected(flow) && !(*heard = is_heard(flow)) &&
	       hk_tree_await(tree, -1, 20)) {
		next = flow_of(probe->cookie);
		if (!next) { /* over: its end has been acknowledged */
			*heard = true;
			break;
		}
		json_decref(flow);
		flow = next;
	}
	return flow;
}

static int report(const struct check_arguments *args, const struct hk_probe *probe,
		  const json_t *flow, bool heard, bool temporary)
{
	bool redirected = is_redirected(flow) && heard;
	const char *reason = is_redirected(flow) && !heard ? "silent" : hk_text(flow, "reason");
	const char *transport = redirected && strcmp(hk_text(flow, "transport"), "tcp") ?
					hk_text(flow, "transport") :
					"tcp";
	const char *meaning, *remedy;

	explain(reason, &meaning, &remedy);
	if (hk_json()) {
		hk_print_json(json_pack(
			"{s:i, s:s, s:s, s:I, s:b, s:s, s:s, s:s, s:s?, s:s?, s:f, s:b}", "schema",
			1, "target", args->target, "address", hk_text(flow, "remote_address"),
			"port", (json_int_t)hk_number(flow, "remote_port"), "redirected",
			redirected, "transport", transport, "datapath", hk_text(flow, "datapath"),
			"reason", reason, "meaning", meaning, "remedy", remedy, "connect_ms",
			probe->connect_ms, "temporary", temporary));
	} else {
		printf("%s (%s): %s%s, connected in %.1f ms\n  %s: %s\n", args->target,
		       hk_text(flow, "remote_address"),
		       redirected ? "redirected to " : "not redirected, plain ", transport,
		       probe->connect_ms, reason, meaning ?: "");
		if (remedy)
			printf("  remedy: %s\n", remedy);
	}
	return redirected ? HK_EXIT_OK : HK_EXIT_FAILURE;
}

static int check(const struct check_arguments *args, const struct hk_tree *tree,
		 const struct addrinfo *to, bool temporary)
{
	struct hk_probe probe;
	int code = HK_EXIT_FAILURE;
	json_t *flow;
	bool heard;

	if (hk_probe_start(&probe, tree, to->ai_addr, to->ai_addrlen, args->timeout))
		return HK_EXIT_FAILURE;
	if (probe.error) {
		hk_error("can't connect to '%s': %s", args->target, strerror(probe.error));
		goto out;
	}
	flow = flow_of(probe.cookie);
	if (!flow) {
		hk_error("Hooker has not seen the connection: its cgroup, or its table of flows, "
			 "does not have it; see `hooker status`");
		goto out;
	}
	flow = watch(&probe, tree, flow, args->timeout, &heard);
	if (hk_tree_await(tree, -1, 0))
		code = report(args, &probe, flow, heard, temporary);
	json_decref(flow);
out:
	hk_probe_end(&probe);
	return code;
}

/* With the Hooker that runs here: from a cgroup below the one it is attached to. */
static int check_running(const struct check_arguments *args, const struct addrinfo *to)
{
	struct hk_tree tree;
	json_t *status;
	int err, code;

	if (hk_control_call(json_pack("{s:s}", "command", "status"), &status))
		return HK_EXIT_FAILURE;
	err = hk_tree_create(&tree, hk_text(json_object_get(status, "cgroup"), "path"));
	json_decref(status);
	code = err ? hk_exit_code(err) : check(args, &tree, to, false);
	hk_tree_remove(&tree);
	return code;
}

/* With one of our own, by generic XDP, whose coming and going does not disturb the interfaces. */
static int check_temporary(const struct check_arguments *args, const struct addrinfo *to)
{
	struct hk_config_source source = {
		.given = { { hk_setting_find("xdp-mode")->key, "generic" },
			   { hk_setting_find("log-level")->key, "error" } },
		.given_count = 2,
	};
	struct hk_settings *settings;
	struct hk_tree tree;
	json_t *errors;
	pid_t daemon;
	int err, code;

	err = hk_config_read(&settings, &source, &errors);
	json_decref(errors);
	if (err)
		return HK_EXIT_FAILURE;
	err = hk_interfaces_default(&settings->options);
	if (err)
		goto out;
	err = hk_tree_create(&tree, NULL);
	settings->options.cgroup = tree.path;
	settings->options.fresh_cgroup = true;
	err = err ?: hk_private_start(&daemon, &tree, settings, &source);
	if (!err) {
		code = check(args, &tree, to, true);
		hk_private_stop(daemon);
	}
	hk_tree_remove(&tree);
out:
	hk_config_free(settings);
	return err ? hk_exit_code(err) : code;
}

int cmd_check(int argc, char **argv)
{
	struct check_arguments args = { .timeout = 5 };
	struct addrinfo *to;
	int code;

	hk_parse(argc, argv, 0, &args);
	code = resolve(args.target, &to);
	if (code)
		return code;
	code = hk_control_is_served() ? check_running(&args, to) : check_temporary(&args, to);
	freeaddrinfo(to);
	return code;
}
