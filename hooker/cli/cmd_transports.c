// SPDX-License-Identifier: GPL-2.0
/* hooker transports: what the kernel has itself, what is deployed, and what it has done. */
#include "hooker/cli/command.h"

#include <argp.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "hooker/base/privilege.h"
#include "hooker/cli/deployed.h"

static error_t parse(int key, char *arg, struct argp_state *state)
{
	(void)key, (void)arg, (void)state;
	return ARGP_ERR_UNKNOWN;
}

static void print_step(const json_t *step)
{
	const json_t *reason;
	const char *name;

	printf("  step %-11s %-10s %-16s since %s  %lld packets\n", hk_text(step, "name"),
	       hk_text(step, "hook"), hk_text(step, "program"), hk_text(step, "since"),
	       hk_number(step, "packets"));
	json_object_foreach(json_object_get(step, "reasons"), name, reason) {
		if (hk_number(reason, "packets"))
			printf("       %-28s %s %lld\n", name, hk_text(reason, "action"),
			       hk_number(reason, "packets"));
	}
}

static void print_transport(const json_t *transport)
{
	const json_t *item;
	size_t i;

	printf("%s: IP protocol %lld, native in this kernel: %s, deployed: ",
	       hk_text(transport, "name"), hk_number(transport, "protocol"),
	       json_is_true(json_object_get(transport, "native")) ? "yes" : "no");
	if (!json_is_true(json_object_get(transport, "deployed"))) {
		printf(json_is_null(json_object_get(transport, "deployed")) ?
			       "unknown (needs root)\n" :
			       "no\n");
		return;
	}
	if (json_object_get(transport, "datapath")) {
		printf("within the kernel datapath; `hooker stats` counts\n");
		return;
	}
	printf("from %s, since %s, kept by %s\n", hk_text(transport, "from"),
	       hk_text(transport, "since"),
	       json_is_true(json_object_get(transport, "pinned")) ? "pins" : "`hooker run`");
	json_array_foreach(json_object_get(transport, "interfaces"), i, item)
		printf("  interface %s: XDP %s, tc egress %s\n", hk_text(item, "name"),
		       hk_text(item, "xdp"), hk_text(item, "tc_egress"));
	json_array_foreach(json_object_get(transport, "ports"), i, item)
		printf("  port %lld: coverage %lld, minimum %lld\n", hk_number(item, "port"),
		       hk_number(item, "coverage"), hk_number(item, "min_coverage"));
	json_array_foreach(json_object_get(transport, "steps"), i, item)
		print_step(item);
}

static json_t *describe(const struct hk_transport_desc *desc)
{
	struct hk_deployment *deployment;
	json_t *status, *daemons, *deployed;
	char missing[128];
	int err = hk_deployed_open(desc, &deployment);

	/* Whether there is nothing, or nothing that may be seen, depends on how bpffs is mounted. */
	if (err == -ENOENT && hk_privilege_missing(missing, sizeof(missing), false))
		err = -EPERM;
	if (!err) {
		status = hk_deployment_status(deployment);
		hk_deployment_close(deployment);
		return status;
	}
	/* The kernel datapath speaks UDP-Lite itself, without a chain of steps. */
	daemons = hk_deployed_by_daemon(desc);
	deployed = err != -ENOENT ? json_null() : json_boolean(daemons);
	status = json_pack("{s:s, s:i, s:b, s:o}", "name", desc->name, "protocol", desc->protocol,
			   "native", hk_transport_is_native(desc), "deployed", deployed);
	if (daemons)
		json_object_set(status, "datapath", json_object_get(daemons, "datapath"));
	json_decref(daemons);
	return status;
}

const struct argp cmd_transports_argp = {
	.parser = parse,
	.doc = "Shows the transports Hooker can deploy: native or deployed, where, since when, and the "
	       "packets of each step by reason.",
};

int cmd_transports(int argc, char **argv)
{
	json_t *transports = json_array(), *transport;
	size_t i;

	hk_parse(argc, argv, 0, NULL);
	for (i = 0; hk_transports[i]; i++)
		json_array_append_new(transports, describe(hk_transports[i]));
	if (hk_json())
		return hk_print_json(
			json_pack("{s:i, s:o}", "schema", 1, "transports", transports));
	json_array_foreach(transports, i, transport)
		print_transport(transport);
	json_decref(transports);
	return HK_EXIT_OK;
}
