// SPDX-License-Identifier: GPL-2.0
/* hooker transports: what the kernel has itself, what is deployed, and what it has done. */
#include "hooker/command.h"

#include <argp.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "hooker/log.h"
#include "hooker/transport/transport.h"

static const struct argp_option transports_options[] = {
	{ "json", 'j', NULL, 0, "Print JSON", 0 },
	{ 0 },
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	bool *json = state->input;

	(void)arg;
	if (key != 'j')
		return ARGP_ERR_UNKNOWN;
	*json = true;
	return 0;
}

static const char *text(const json_t *object, const char *key)
{
	return json_string_value(json_object_get(object, key)) ?: "-";
}

static long long number(const json_t *object, const char *key)
{
	return json_integer_value(json_object_get(object, key));
}

static void print_step(const json_t *step)
{
	const json_t *reason;
	const char *name;

	printf("  step %-11s %-10s %-16s since %s  %lld packets\n", text(step, "name"),
	       text(step, "hook"), text(step, "program"), text(step, "since"),
	       number(step, "packets"));
	json_object_foreach(json_object_get(step, "reasons"), name, reason) {
		if (number(reason, "packets"))
			printf("       %-28s %s %lld\n", name, text(reason, "action"),
			       number(reason, "packets"));
	}
}

static void print_transport(const json_t *transport)
{
	const json_t *item;
	size_t i;

	printf("%s: IP protocol %lld, native in this kernel: %s, deployed: ",
	       text(transport, "name"), number(transport, "protocol"),
	       json_is_true(json_object_get(transport, "native")) ? "yes" : "no");
	if (!json_is_true(json_object_get(transport, "deployed"))) {
		printf("no\n");
		return;
	}
	printf("from %s, since %s\n", text(transport, "from"), text(transport, "since"));
	json_array_foreach(json_object_get(transport, "interfaces"), i, item)
		printf("  interface %s: XDP %s, tc egress %s%s\n", text(item, "name"),
		       text(item, "xdp"), text(item, "tc_egress"),
		       json_is_true(json_object_get(item, "tc_ingress")) ? ", tc ingress" : "");
	json_array_foreach(json_object_get(transport, "ports"), i, item)
		printf("  port %lld: coverage %lld, minimum %lld\n", number(item, "port"),
		       number(item, "coverage"), number(item, "min_coverage"));
	json_array_foreach(json_object_get(transport, "steps"), i, item)
		print_step(item);
}

static json_t *describe(const struct hk_transport_desc *desc)
{
	struct hk_deployment *deployment;
	char pin_dir[PATH_MAX];
	json_t *status;

	if (hk_transport_pin_dir(desc, pin_dir, sizeof(pin_dir)) ||
	    hk_deployment_open(desc, pin_dir, &deployment))
		return json_pack("{s:s, s:i, s:b, s:b}", "name", desc->name, "protocol",
				 desc->protocol, "native", hk_transport_is_native(desc), "deployed",
				 0);
	status = hk_deployment_status(deployment);
	hk_deployment_close(deployment);
	return status;
}

int cmd_transports(int argc, char **argv)
{
	static const struct argp argp = {
		.options = transports_options,
		.parser = parse,
		.doc = "Shows the transports Hooker can deploy: native or deployed, where, since when, "
		       "and the packets of each step by reason.",
	};
	json_t *transports = json_array(), *transport;
	bool json = false;
	size_t i;

	argv[0] = "hooker transports";
	argp_err_exit_status = HK_EXIT_USAGE;
	argp_parse(&argp, argc, argv, 0, NULL, &json);
	hk_log_setup(HK_LOG_INFO);
	for (i = 0; hk_transports[i]; i++)
		json_array_append_new(transports, describe(hk_transports[i]));
	if (json) {
		json_t *reply = json_pack("{s:o}", "transports", transports);

		json_dumpf(reply, stdout, JSON_INDENT(2));
		putchar('\n');
		json_decref(reply);
		return HK_EXIT_OK;
	}
	json_array_foreach(transports, i, transport)
		print_transport(transport);
	json_decref(transports);
	return HK_EXIT_OK;
}
