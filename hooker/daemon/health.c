// SPDX-License-Identifier: GPL-2.0
/* What is wrong with a Hooker that runs, and the remedy; part of `hooker status`. */
#include <net/if.h>
#include <string.h>

#include "bpf/wire.h"
#include "hooker/base/json.h"
#include "hooker/daemon/internal.h"
#include "hooker/hooks/interfaces.h"
#include "hooker/relay/relay.h"
#include "hooker/base/verdict.h"

static void check_cgroup(json_t *list, const json_t *status)
{
	const json_t *cgroup = json_object_get(status, "cgroup");

	if (json_is_true(json_object_get(cgroup, "attached")))
		hk_verdict(list, "cgroup", HK_OK, NULL, "attached to %s", hk_text(cgroup, "path"));
	else
		hk_verdict(list, "cgroup", HK_FAIL, "restart Hooker",
			   "no longer attached to cgroup '%s': new connections are plain TCP",
			   hk_text(cgroup, "path"));
}

static void check_interface(json_t *list, const json_t *interface)
{
	const char *name = hk_text(interface, "name"), *xdp = hk_text(interface, "xdp");
	const char *receive = hk_text(interface, "receive");

	if (!json_is_true(json_object_get(interface, "there")))
		hk_verdict(list, "interface", HK_FAIL,
			   "restart Hooker, with --interface for those that remain",
			   "interface %s is gone", name);
	else if (!strcmp(xdp, "none") && strcmp(receive, "tc ingress"))
		hk_verdict(list, "interface", HK_FAIL, "restart Hooker",
			   "somebody detached XDP from %s: what arrives on the transport is lost",
			   name);
	else if (!json_is_true(json_object_get(interface, "up")))
		hk_verdict(list, "interface", HK_WARN, "ip link set it up again", "%s is down",
			   name);
	else if (!strcmp(xdp, "generic"))
		hk_verdict(list, "interface", HK_WARN,
			   "a driver with native XDP; `hooker doctor` says what keeps it from it",
			   "%s: generic XDP, which costs a copy of each packet", name);
	else
		hk_verdict(list, "interface", HK_OK, NULL, "%s: %s", name, receive);
}

/* An interface that came later receives the transport without anybody to understand it. */
static void check_new_interfaces(json_t *list, const struct daemon *daemon)
{
	const struct hk_attach *attach = daemon->attach;
	struct if_nameindex *names = if_nameindex(), *each;
	int i;

	if (!attach->options->interfaces_found)
		goto out;
	for (each = names; each && each->if_index; each++) {
		bool known = !hk_interface_is_default(each->if_name);

		for (i = 0; i < attach->options->interface_count; i++)
			known |= attach->ifindex[i] == (int)each->if_index;
		if (!known)
			hk_verdict(list, "interface", HK_WARN, "restart Hooker",
				   "%s appeared after Hooker started: nothing is received there",
				   each->if_name);
	}
out:
	if_freenameindex(names);
}

static void check_counters(json_t *list, const json_t *counters)
{
	if (hk_number(counters, "map_full"))
		hk_verdict(list, "flow-table", HK_WARN,
			   "fewer connections at a time, or rules that leave some on TCP",
			   "%lld times there was no room for a connection, which stayed on TCP",
			   hk_number(counters, "map_full"));
	if (hk_number(counters, "event_lost"))
		hk_verdict(
			list, "events", HK_WARN, "give Hooker a processor of its own",
			"%lld events of the kernel were lost: what they said is noticed seconds later",
			hk_number(counters, "event_lost"));
	if (hk_number(counters, "no_room"))
		hk_verdict(list, "memory", HK_WARN, "more --memory",
			   "%lld connections were not redirected, for want of memory",
			   hk_number(counters, "no_room"));
	if (hk_number(counters, "kernel_rx_bad_checksum"))
		hk_verdict(list, "checksums", HK_WARN, "look for the broken link",
			   "%lld packets arrived damaged and were dropped",
			   hk_number(counters, "kernel_rx_bad_checksum"));
}

/* What the network did to the transport. */
static void check_path(json_t *list, const json_t *status)
{
	const json_t *fallbacks = json_object_get(status, "fallbacks");
	const json_t *plain = json_object_get(status, "plain");
	long long lost = hk_number(fallbacks, "blackhole") + hk_number(fallbacks, "peer-fell-back"),
		  refused = hk_number(fallbacks, "icmp-unreachable"),
		  strangers = hk_number(plain, "peer-without-hooker");

	if (lost + refused)
		hk_verdict(list, "path", HK_WARN,
			   "let the transport through the firewalls on the way; `hooker flows "
			   "--reason blackhole` names the peers",
			   "%lld connections fell back to TCP because the path %s the transport",
			   lost + refused, lost ? "drops" : "refuses");
	else if (strangers && !hk_number(status, "redirected"))
		hk_verdict(list, "peers", HK_WARN,
			   "run Hooker there too; if it does run, something on the way strips TCP "
			   "options",
			   "none of %lld connections met a peer with Hooker", strangers);
	else
		hk_verdict(list, "path", HK_OK, NULL, "no fallback so far");
}

json_t *health_json(const struct daemon *daemon, const json_t *status)
{
	json_t *list = json_array(), *counters = counters_json(daemon), *interface;
	size_t i;

	check_cgroup(list, status);
	json_array_foreach(json_object_get(status, "interfaces"), i, interface)
		check_interface(list, interface);
	check_new_interfaces(list, daemon);
	check_counters(list, counters);
	check_path(list, status);
	json_decref(counters);
	return list;
}
