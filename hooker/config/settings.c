// SPDX-License-Identifier: GPL-2.0
#include "hooker/config/settings.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bpf/wire.h"
#include "hooker/base/log.h"
#include "hooker/relay/relay.h"

enum {
	KEY_XDP = 256,
	KEY_RECEIVE,
	KEY_REMEMBER,
	KEY_DAMAGE,
	KEY_COVERAGE,
	KEY_PAPER,
	KEY_CONNECTION_MEMORY,
	KEY_MEMORY,
	KEY_BUSY_POLL,
	KEY_LOOPS,
	KEY_METRICS,
	KEY_LOG_LEVEL,
};

const struct argp_option hk_setting_options[] = {
	{ "interface", 'i', "NAME", 0,
	  "Network interface to receive on, repeatable (default: every Ethernet one that is up)",
	  0 },
	{ "datapath", 'd', "relay|kernel|none", 0,
	  "How payload travels inside this host (default: relay; none: attached, nothing redirected)",
	  0 },
	{ "transport", 't', "udp|udplite", 0, "What new connections use on the wire (default: udp)",
	  0 },
	{ "coverage", KEY_COVERAGE, "BYTES", 0,
	  "UDP-Lite checksum coverage, 0 or 72-65535 (default: 0, the whole datagram); where the "
	  "peer was told another one connections use UDP",
	  0 },
	{ "remember", KEY_REMEMBER, "SECONDS", 0,
	  "Leave a path alone that refused the transport (default: 60; 0: always try)", 0 },
	{ "accept-damage", KEY_DAMAGE, NULL, 0,
	  "kernel, UDP-Lite: hand over payload damaged outside the checksum coverage", 0 },
	{ "cgroup", 'c', "PATH", 0,
	  "cgroup v2 whose processes are redirected (default: the root, every process)", 0 },
	{ "xdp-mode", KEY_XDP, "auto|native|generic", 0, "How to attach XDP (default: auto)", 0 },
	{ "receive", KEY_RECEIVE, "auto|xdp|tc", 0,
	  "Where received packets are looked at (default: auto: for kernel XDP, or tc ingress where the driver "
	  "has no native XDP; for relay tc ingress from Linux 6.6 on, but XDP with UDP-Lite or --paper)",
	  0 },
	{ "connection-memory", KEY_CONNECTION_MEMORY, "BYTES", 0,
	  "Relay: what one connection may hold, 4M to 2G; K, M and G are understood (default: 16M)",
	  0 },
	{ "memory", KEY_MEMORY, "BYTES", 0,
	  "Relay: what all connections may hold; beyond it new ones stay plain TCP (default: a "
	  "quarter of the RAM)",
	  0 },
	{ "busy-poll", KEY_BUSY_POLL, "MICROSECONDS", 0,
	  "Relay: while small messages go to and fro, look for the next one for so long before sleeping, if "
	  "there is more than one processor (default: 200; 0: never)",
	  0 },
	{ "loops", KEY_LOOPS, "NUMBER", 0,
	  "Relay: event loops, each a thread; the connections with one remote host share one (default: as many as there "
	  "are processors, 16 at most; --paper: 1)",
	  0 },
	{ "metrics", KEY_METRICS, "ADDRESS:PORT|unix:PATH", 0,
	  "Serve Prometheus metrics there, over HTTP", 0 },
	{ "log-level", KEY_LOG_LEVEL, "error|warning|info|debug", 0,
	  "Say no more than that (default: info)", 0 },
	{ "paper", KEY_PAPER, NULL, 0,
	  "The relay as published, to be set at both ends: one redirection socket for all, no bound on what "
	  "applications send ahead, every byte sent once and never again. For comparison only",
	  0 },
	{ 0 },
};

const struct argp_option *hk_setting_find(const char *name)
{
	const struct argp_option *option;

	for (option = hk_setting_options; option->name; option++)
		if (!strcmp(option->name, name))
			return option;
	return NULL;
}

const struct argp_option *hk_setting_by_key(int key)
{
	const struct argp_option *option;

	for (option = hk_setting_options; option->name; option++)
		if (option->key == key)
			return option;
	return NULL;
}

bool hk_setting_is_live(int key)
{
	switch (key) {
	case 't':
	case KEY_REMEMBER:
	case KEY_DAMAGE:
	case KEY_LOG_LEVEL: return true;
	/* Not KEY_COVERAGE: one port, with one coverage, serves the connections that have agreed on it, too. */
	default: return false;
	}
}

bool hk_setting_repeats(int key)
{
	return key == 'i';
}

void hk_settings_default(struct hk_options *options)
{
	memset(options, 0, sizeof(*options));
	options->datapath = HK_DATAPATH_RELAY;
	options->transport = HK_TRANSPORT_UDP;
	options->path_ttl_s = 60;
	options->busy_poll_us = 200;
	options->log_level = HK_LOG_INFO;
}

/* ---- values ---- */

struct choice {
	const char *word;
	int value;
};

static const struct choice datapaths[] = {
	{ "relay", HK_DATAPATH_RELAY },
	{ "kernel", HK_DATAPATH_KERNEL },
	{ "none", HK_DATAPATH_NONE },
	{ 0 },
};

static const struct choice transports[] = {
	{ "udp", HK_TRANSPORT_UDP },
	{ "udplite", HK_TRANSPORT_UDPLITE },
	{ 0 },
};

static const struct choice xdp_modes[] = {
	{ "auto", HK_XDP_AUTO },
	{ "native", HK_XDP_NATIVE },
	{ "generic", HK_XDP_GENERIC },
	{ 0 },
};

static const struct choice receives[] = {
	{ "auto", HK_RECEIVE_AUTO },
	{ "xdp", HK_RECEIVE_XDP },
	{ "tc", HK_RECEIVE_TC },
	{ 0 },
};

static int choose(const struct choice *choices, const char *word)
{
	for (; choices->word; choices++)
		if (!strcmp(word, choices->word))
			return choices->value;
	return -1;
}

static long parse_number(const char *word, long most)
{
	char *end;
	long value = strtol(word, &end, 10);

	return !*word || *end || value < 0 || value > most ? -1 : value;
}

static long parse_loops(const char *word)
{
	long value = parse_number(word, HK_LOOPS_MAX);

	return value ? value : -1;
}

/* RFC 3828: 0 covers everything, 1 to 7 would not even cover the header. */
static long parse_coverage(const char *word)
{
	long value = parse_number(word, 65535);

	return value > 0 && value < 8 ? -1 : value;
}

/* "64M" and the like; 0 if it is none. */
static uint64_t parse_size(const char *word)
{
	char *end;
	double value = strtod(word, &end);
	int shift = *end == 'K' ? 10 : *end == 'M' ? 20 : *end == 'G' ? 30 : 0;

	if (end == word || (*end && (!shift || end[1])) || !(value >= 1) || value > 1e12)
		return 0;
	return value * (1ull << shift);
}

static bool is_endpoint(const char *word)
{
	const char *port = strrchr(word, ':');

	return !strncmp(word, "unix:", 5) ?
		       word[5] == '/' && strlen(word + 5) < 108 :
		       port && port > word && parse_number(port + 1, 65535) > 0;
}

static int set_interface(struct hk_options *options, const char *name)
{
	int i;

	for (i = 0; i < options->interface_count; i++)
		if (!strcmp(options->interfaces[i], name))
			return 0; /* said twice, attached once */
	if (options->interface_count == HK_INTERFACES_MAX)
		return -1;
	options->interfaces[options->interface_count++] = name;
	return 0;
}

static long set_memory(struct hk_options *options, int key, const char *word)
{
	uint64_t size = parse_size(word);

	if (size < HK_CONNECTION_MEMORY_MIN ||
	    (key == KEY_CONNECTION_MEMORY && size > HK_CONNECTION_MEMORY_MAX))
		return -1;
	if (key == KEY_CONNECTION_MEMORY)
		options->connection_memory = size;
	else
		options->memory = size;
	return 0;
}

/* What a value may be, where the option's argument does not say it. */
static const char *range_of(int key)
{
	switch (key) {
	case KEY_COVERAGE: return "0 or 72 to 65535";
	case KEY_REMEMBER: return "0 to 86400 seconds";
	case KEY_CONNECTION_MEMORY: return "4M to 2G";
	case KEY_MEMORY: return "4M or more";
	case KEY_BUSY_POLL: return "0 to 10000 microseconds";
	case KEY_LOOPS: return "1 to 16";
	default: return NULL;
	}
}

int hk_setting_set(struct hk_options *options, int key, const char *value, char *error, size_t size)
{
	const struct argp_option *option = hk_setting_by_key(key);
	long number = 0;

	switch (key) {
	case 'i': number = set_interface(options, value); break;
	case 'd': options->datapath = number = choose(datapaths, value); break;
	case 't': options->transport = number = choose(transports, value); break;
	case KEY_XDP: options->xdp_mode = number = choose(xdp_modes, value); break;
	case KEY_RECEIVE: options->receive = number = choose(receives, value); break;
	case KEY_COVERAGE: options->coverage = number = parse_coverage(value); break;
	case KEY_REMEMBER: options->path_ttl_s = number = parse_number(value, 86400); break;
	case KEY_BUSY_POLL: options->busy_poll_us = number = parse_number(value, 10000); break;
	case KEY_LOOPS: options->loops = number = parse_loops(value); break;
	case KEY_LOG_LEVEL: options->log_level = number = hk_log_level(value); break;
	case KEY_CONNECTION_MEMORY:
	case KEY_MEMORY: number = set_memory(options, key, value); break;
	case KEY_METRICS:
		options->metrics = value;
		number = is_endpoint(value) ? 0 : -1;
		break;
	case KEY_DAMAGE: options->damage = true; break;
	case 'c': options->cgroup = value; break;
	case KEY_PAPER: options->paper = true; break;
	default: number = -1;
	}
	if (number >= 0)
		return 0;
	if (key == 'i')
		snprintf(error, size, "more than %d interfaces", HK_INTERFACES_MAX);
	else
		snprintf(error, size, "%s is %s, not '%s'", option->name,
			 range_of(key) ?: option->arg, value);
	return -EINVAL;
}

int hk_settings_check(const struct hk_options *options, char *error, size_t size)
{
	if (options->damage && options->datapath != HK_DATAPATH_KERNEL) {
		snprintf(error, size, "accept-damage is for the kernel datapath");
		return KEY_DAMAGE;
	}
	if (options->coverage && options->datapath == HK_DATAPATH_KERNEL) {
		snprintf(error, size, "only the relay has a choice of coverage");
		return KEY_COVERAGE;
	}
	/* A frame header that may be damaged is worth nothing. */
	if (options->coverage && options->coverage < HK_FRAME_COVERAGE) {
		snprintf(
			error, size,
			"coverage %u leaves out a part of the relay's header: 0 (everything) or at "
			"least %d",
			options->coverage, HK_FRAME_COVERAGE);
		return KEY_COVERAGE;
	}
	if (options->receive == HK_RECEIVE_TC && options->datapath == HK_DATAPATH_NONE) {
		snprintf(error, size, "without a datapath nothing is received");
		return KEY_RECEIVE;
	}
	if (options->receive == HK_RECEIVE_TC && options->datapath == HK_DATAPATH_RELAY &&
	    (options->transport == HK_TRANSPORT_UDPLITE || options->lite_rules)) {
		snprintf(error, size, "the relay receives UDP-Lite at XDP");
		return KEY_RECEIVE;
	}
	if (options->receive == HK_RECEIVE_TC && options->xdp_mode != HK_XDP_AUTO) {
		snprintf(error, size, "xdp-mode says nothing about tc");
		return KEY_XDP;
	}
	if (options->paper && options->datapath != HK_DATAPATH_RELAY) {
		snprintf(error, size, "paper is for the relay");
		return KEY_PAPER;
	}
	if (options->paper && options->loops > 1) {
		snprintf(error, size, "paper has one redirection socket for all, and so one loop");
		return KEY_LOOPS;
	}
	if (options->memory &&
	    options->memory < (options->connection_memory ?: HK_CONNECTION_MEMORY_DEFAULT)) {
		snprintf(error, size, "memory is less than connection-memory%s",
			 options->connection_memory ? "" : ", which is 16M");
		return KEY_MEMORY;
	}
	return 0;
}

/* ---- changes ---- */

static bool same_word(const char *a, const char *b)
{
	return a == b || (a && b && !strcmp(a, b));
}

static bool same_interfaces(const struct hk_options *a, const struct hk_options *b)
{
	int i;

	/* "Every interface" was looked up when Hooker started. */
	if (a->interfaces_found || b->interfaces_found)
		return !a->interface_count || !b->interface_count ||
		       a->interfaces_found == b->interfaces_found;
	if (a->interface_count != b->interface_count)
		return false;
	for (i = 0; i < a->interface_count; i++)
		if (strcmp(a->interfaces[i], b->interfaces[i]))
			return false;
	return true;
}

static bool is_same(const struct hk_options *a, const struct hk_options *b, int key)
{
	switch (key) {
	case 'i': return same_interfaces(a, b);
	case 'd': return a->datapath == b->datapath;
	case 't': return a->transport == b->transport;
	case 'c': return same_word(a->cgroup, b->cgroup);
	case KEY_XDP: return a->xdp_mode == b->xdp_mode;
	case KEY_REMEMBER: return a->path_ttl_s == b->path_ttl_s;
	case KEY_DAMAGE: return a->damage == b->damage;
	case KEY_COVERAGE: return a->coverage == b->coverage;
	case KEY_PAPER: return a->paper == b->paper;
	case KEY_CONNECTION_MEMORY: return a->connection_memory == b->connection_memory;
	case KEY_MEMORY: return a->memory == b->memory;
	case KEY_BUSY_POLL: return a->busy_poll_us == b->busy_poll_us;
	case KEY_LOOPS: return a->loops == b->loops;
	case KEY_METRICS: return same_word(a->metrics, b->metrics);
	case KEY_LOG_LEVEL: return a->log_level == b->log_level;
	default: return true;
	}
}

json_t *hk_settings_diff(const struct hk_options *old, const struct hk_options *fresh)
{
	const struct argp_option *option;
	json_t *names = json_array();

	for (option = hk_setting_options; option->name; option++)
		if (!is_same(old, fresh, option->key))
			json_array_append_new(names, json_string(option->name));
	return names;
}

void hk_setting_copy(struct hk_options *options, const struct hk_options *from, int key)
{
	switch (key) {
	case 't': options->transport = from->transport; break;
	case KEY_REMEMBER: options->path_ttl_s = from->path_ttl_s; break;
	case KEY_DAMAGE: options->damage = from->damage; break;
	case KEY_LOG_LEVEL: options->log_level = from->log_level; break;
	}
}
