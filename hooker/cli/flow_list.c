// SPDX-License-Identifier: GPL-2.0
#include "hooker/cli/flow_list.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hooker/cli/command.h"
#include "hooker/state/sockets.h"

/* ---- which ---- */

/* IPv4 as ::ffff:a.b.c.d. Returns how many bits of it are the address, or -1. */
static int parse_address(const char *text, unsigned char address[16])
{
	memset(address, 0, 10);
	memset(address + 10, 0xff, 2);
	if (inet_pton(AF_INET, text, address + 12) == 1)
		return 32;
	return inet_pton(AF_INET6, text, address) == 1 ? 128 : -1;
}

int hk_flow_filter_address(struct hk_flow_filter *filter, const char *text)
{
	char copy[80], *slash, *colon, *address = copy, *end = "";
	long length = -1, port = 0;
	int bits;

	if (snprintf(copy, sizeof(copy), "%s", text) >= (int)sizeof(copy))
		return -EINVAL;
	colon = strrchr(copy, ':');
	if (*copy == '[') {
		address = copy + 1;
		if (!strchr(copy, ']'))
			return -EINVAL;
		*strchr(copy, ']') = 0;
	}
	/* More than one colon, and no brackets: all of it is the address. */
	if (colon && (address > copy || strchr(copy, ':') == colon)) {
		*colon = 0;
		port = strtol(colon + 1, &end, 10);
		if (!colon[1] || *end || port < 1 || port > 65535)
			return -EINVAL;
	}
	slash = strchr(address, '/');
	if (slash) {
		*slash = 0;
		length = strtol(slash + 1, &end, 10);
		if (!slash[1] || *end || length < 0)
			return -EINVAL;
	}
	bits = parse_address(address, filter->address);
	if (bits < 0 || length > bits)
		return -EINVAL;
	filter->prefix = (length < 0 ? bits : length) + 128 - bits;
	filter->port = port;
	return 0;
}

static bool same_prefix(const unsigned char *a, const unsigned char *b, int bits)
{
	int bytes = bits / 8, rest = bits % 8;

	return !memcmp(a, b, bytes) && (!rest || !((a[bytes] ^ b[bytes]) >> (8 - rest)));
}

bool hk_flow_filter_match(const struct hk_flow_filter *filter, const json_t *flow)
{
	unsigned char address[16];

	if (filter->transport && strcmp(filter->transport, hk_text(flow, "transport")))
		return false;
	if (filter->reason && strcmp(filter->reason, hk_text(flow, "reason")))
		return false;
	if (filter->port && filter->port != hk_number(flow, "remote_port"))
		return false;
	return !filter->prefix || (parse_address(hk_text(flow, "remote_address"), address) > 0 &&
				   same_prefix(filter->address, address, filter->prefix));
}

/* ---- what is known of them ---- */

static void add_socket(json_t *flow, const struct hk_socket *sock)
{
	bool relayed = !strcmp(hk_text(flow, "datapath"), "relay") &&
		       strcmp(hk_text(flow, "state"), "tcp");

	if (sock->pid) {
		json_object_set_new(flow, "pid", json_integer(sock->pid));
		json_object_set_new(flow, "process", json_string(sock->process));
	}
	json_object_set_new(flow, "uid", json_integer(sock->uid));
	/* The relay carries the payload by a transport of its own and has told what that knows. */
	if (relayed)
		return;
	json_object_set_new(flow, "rtt_ms", json_real(sock->rtt_ms));
	json_object_set_new(flow, "tx_bytes", json_integer(sock->acked_bytes));
	json_object_set_new(flow, "rx_bytes", json_integer(sock->received_bytes));
	json_object_set_new(flow, "retransmissions", json_integer(sock->retransmissions));
}

void hk_flows_add_sockets(json_t *flows)
{
	struct hk_socket *sockets = hk_sockets_read(), *sock;
	json_t *flow;
	size_t i;

	json_array_foreach(flows, i, flow) {
		sock = hk_sockets_find(sockets, hk_number(flow, "cookie"));
		if (sock)
			add_socket(flow, sock);
	}
	hk_sockets_free(sockets);
}

static double payload(const json_t *flow)
{
	return hk_real(flow, "tx_bytes") + hk_real(flow, "rx_bytes");
}

void hk_flows_add_goodput(json_t *flows, const json_t *before, double seconds)
{
	json_t *known = json_object(), *flow;
	const json_t *old;
	char cookie[24];
	size_t i;

	json_array_foreach(before, i, flow) {
		snprintf(cookie, sizeof(cookie), "%lld", hk_number(flow, "cookie"));
		json_object_set(known, cookie, flow);
	}
	json_array_foreach(flows, i, flow) {
		double bytes = payload(flow), time = hk_real(flow, "age_s");

		snprintf(cookie, sizeof(cookie), "%lld", hk_number(flow, "cookie"));
		old = json_object_get(known, cookie);
		if (old) {
			bytes -= payload(old);
			time = seconds;
		}
		json_object_set_new(flow, "goodput_bps",
				    json_real(time > 0 && bytes > 0 ? 8 * bytes / time : 0));
	}
	json_decref(known);
}

/* ---- in which order ---- */

static const struct {
	const char *column, *member;
	double sign;
} columns[] = {
	{ "age", "age_s", -1 }, { "process", "process", 0 },
	{ "rtt", "rtt_ms", 1 }, { "goodput", "goodput_bps", 1 },
	{ "bytes", NULL, 1 },	{ "retrans", "retransmissions", 1 },
};

#define COLUMN_COUNT (sizeof(columns) / sizeof(columns[0]))

static size_t column_index(const char *column)
{
	size_t i = 0;

	while (i < COLUMN_COUNT && strcmp(column, columns[i].column))
		i++;
	return i;
}

bool hk_flow_column(const char *column)
{
	return column_index(column) < COLUMN_COUNT;
}

static double rank(const json_t *flow, size_t column)
{
	const char *member = columns[column].member;

	return columns[column].sign * (member ? hk_real(flow, member) : payload(flow));
}

static int compare(const void *a, const void *b, void *arg)
{
	const json_t *first = *(const json_t *const *)a, *second = *(const json_t *const *)b;
	size_t column = *(const size_t *)arg;
	double left, right;

	if (!columns[column].sign)
		return strcmp(hk_text(first, columns[column].member),
			      hk_text(second, columns[column].member));
	left = rank(first, column);
	right = rank(second, column);
	return left < right ? 1 : left > right ? -1 : 0;
}

json_t *hk_flows_select(const json_t *flows, const struct hk_flow_filter *filter,
			const char *column)
{
	json_t **list = calloc(json_array_size(flows) + 1, sizeof(*list)), *flow;
	size_t index = column_index(column), count = 0, i;
	json_t *selected = json_array();

	if (!list)
		return selected;
	json_array_foreach(flows, i, flow)
		if (hk_flow_filter_match(filter, flow))
			list[count++] = flow;
	qsort_r(list, count, sizeof(*list), compare, &index);
	for (i = 0; i < count; i++)
		json_array_append(selected, list[i]);
	free(list);
	return selected;
}
