// SPDX-License-Identifier: GPL-2.0
#include "hooker/kernel/rescue.h"

#include <errno.h>
#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <netinet/ip_icmp.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include <bpf/bpf.h>

#include "bpf/abi.h"
#include "hooker/state/flows.h"
#include "hooker/base/flow_key.h"
#include "hooker/base/log.h"
#include "hooker/hooks/sockdestroy.h"

#define SUSPECTS_MAX 64 /* at the same time; others wait until these are through */
#define ANSWER_S     2	/* in which TCP's next attempt could have been answered */

struct peer {
	__u32 ip[4]; /* as in hk_flow_key */
	bool answered;
};

struct suspect {
	struct hk_flow_key key;
	__u64 cookie;
	__u8 timeouts; /* the flow's, when its peer began to answer; 0 = it does not */
	int waited;    /* seconds since a further one */
	bool seen;
};

struct hk_rescue {
	struct hk_rescue_options options;
	int ping4, ping6; /* raw ICMP sockets, -1 = not open */
	__u16 round;	  /* only answers to the last question count */
	struct peer peers[SUSPECTS_MAX];
	struct suspect suspects[SUSPECTS_MAX];
	int peer_count, suspect_count;
	int aborted;
};

static struct peer *find_peer(struct hk_rescue *rescue, const __u32 ip[4])
{
	int i;

	for (i = 0; i < rescue->peer_count; i++)
		if (!memcmp(rescue->peers[i].ip, ip, sizeof(rescue->peers[i].ip)))
			return &rescue->peers[i];
	return NULL;
}

/* ---- asking ---- */

static __u16 icmp_checksum(const void *data, size_t len)
{
	const __u16 *word = data;
	__u32 sum = 0;

	for (; len > 1; len -= 2)
		sum += *word++;
	sum = (sum & 0xffff) + (sum >> 16);
	return ~((sum & 0xffff) + (sum >> 16));
}

static void ask4(struct hk_rescue *rescue, const __u32 ip[4])
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_addr.s_addr = ip[3] };
	struct icmphdr echo = {
		.type = ICMP_ECHO,
		.un.echo.id = htons(getpid() & 0xffff),
		.un.echo.sequence = htons(rescue->round),
	};

	if (rescue->ping4 < 0)
		rescue->ping4 =
			socket(AF_INET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_ICMP);
	echo.checksum = icmp_checksum(&echo, sizeof(echo));
	(void)!sendto(rescue->ping4, &echo, sizeof(echo), 0, (struct sockaddr *)&to, sizeof(to));
}

/* Link-local addresses mean something on their link only, and a flow does not say which it is: each is tried. */
static int link_count(const struct hk_rescue *rescue, const __u32 ip[4])
{
	return IN6_IS_ADDR_LINKLOCAL(ip) ? rescue->options.interface_count : 1;
}

static int link_of(const struct hk_rescue *rescue, const __u32 ip[4], int nth)
{
	return IN6_IS_ADDR_LINKLOCAL(ip) ? rescue->options.ifindex[nth] : 0;
}

static void ask6(struct hk_rescue *rescue, const __u32 ip[4])
{
	struct sockaddr_in6 to = { .sin6_family = AF_INET6 };
	struct icmp6_hdr echo = { .icmp6_type = ICMP6_ECHO_REQUEST };
	int i;

	echo.icmp6_id = htons(getpid() & 0xffff);
	echo.icmp6_seq = htons(rescue->round);
	memcpy(&to.sin6_addr, ip, sizeof(to.sin6_addr));
	if (rescue->ping6 < 0)
		rescue->ping6 =
			socket(AF_INET6, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_ICMPV6);
	for (i = 0; i < link_count(rescue, ip); i++) {
		to.sin6_scope_id = link_of(rescue, ip, i);
		/* The kernel fills ICMPv6's checksum in. */
		(void)!sendto(rescue->ping6, &echo, sizeof(echo), 0, (struct sockaddr *)&to,
			      sizeof(to));
	}
}

static void ask(struct hk_rescue *rescue, const __u32 ip[4])
{
	struct peer *peer;

	if (find_peer(rescue, ip))
		return;
	peer = &rescue->peers[rescue->peer_count++];
	memcpy(peer->ip, ip, sizeof(peer->ip));
	peer->answered = false;
	if (hk_flow_ip4(ip))
		ask4(rescue, ip);
	else
		ask6(rescue, ip);
}

/* ---- hearing ---- */

static void heard(struct hk_rescue *rescue, const __u32 ip[4])
{
	struct peer *peer = find_peer(rescue, ip);

	if (peer)
		peer->answered = true;
}

static void take_answers4(struct hk_rescue *rescue)
{
	__u32 ip[4] = { 0, 0, htonl(0xffff), 0 };
	struct sockaddr_in from;
	unsigned char packet[128];
	socklen_t len = sizeof(from);
	ssize_t n;

	while (rescue->ping4 >= 0 && (n = recvfrom(rescue->ping4, packet, sizeof(packet), 0,
						   (struct sockaddr *)&from, &len)) > 0) {
		size_t header = (packet[0] & 0xf) * 4;
		struct icmphdr *icmp = (void *)(packet + header);

		if (n >= (ssize_t)(header + sizeof(*icmp)) && icmp->type == ICMP_ECHOREPLY &&
		    icmp->un.echo.id == htons(getpid() & 0xffff) &&
		    icmp->un.echo.sequence == htons(rescue->round)) {
			ip[3] = from.sin_addr.s_addr;
			heard(rescue, ip);
		}
		len = sizeof(from);
	}
}

static void take_answers6(struct hk_rescue *rescue)
{
	struct sockaddr_in6 from;
	struct icmp6_hdr icmp;
	socklen_t len = sizeof(from);
	__u32 ip[4];

	while (rescue->ping6 >= 0 && recvfrom(rescue->ping6, &icmp, sizeof(icmp), 0,
					      (struct sockaddr *)&from, &len) > 0) {
		if (icmp.icmp6_type == ICMP6_ECHO_REPLY &&
		    icmp.icmp6_id == htons(getpid() & 0xffff) &&
		    icmp.icmp6_seq == htons(rescue->round)) {
			memcpy(ip, &from.sin6_addr, sizeof(ip));
			heard(rescue, ip);
		}
		len = sizeof(from);
	}
}

/* ---- deciding ---- */

static void abort_flow(struct hk_rescue *rescue, const struct hk_flow_key *key,
		       const struct hk_flow *flow)
{
	struct timespec now;
	struct hk_victim victim = { .key = *key, .cookie = flow->cookie };
	struct hk_path path = { .reason = HK_REASON_ABORTED, .count = 1 };
	struct hk_path_key path_key = { .transport = flow->agreed };
	int i, destroyed = 0;

	clock_gettime(CLOCK_MONOTONIC, &now);
	path.at_ns = now.tv_sec * 1000000000ULL + now.tv_nsec;
	memcpy(path_key.remote_ip, key->remote_ip, sizeof(path_key.remote_ip));
	bpf_map_update_elem(rescue->options.paths_fd, &path_key, &path, BPF_ANY);
	for (i = 0; destroyed != 1 && i < link_count(rescue, key->remote_ip); i++) {
		victim.ifindex = link_of(rescue, key->remote_ip, i);
		destroyed = hk_sock_destroy(&victim, 1);
	}
	if (destroyed != 1)
		return;
	hk_warn("a connection from port %u to port %u was aborted: its peer answers, but the path "
		"lets neither the transport nor the way back to TCP through",
		key->local_port, key->remote_port);
	rescue->aborted++;
}

/*
 * A link that comes back carries pings at once, TCP's next attempt may be a minute away: only that one, while the peer
 * answered all the time, is proof.
 */
static void judge(struct hk_rescue *rescue, struct suspect *suspect, const struct hk_flow *flow)
{
	struct peer *peer = find_peer(rescue, suspect->key.remote_ip);

	suspect->seen = true;
	if (!peer || !peer->answered)
		suspect->timeouts = suspect->waited = 0;
	else if (!suspect->timeouts)
		suspect->timeouts = flow->stuck;
	else if (flow->stuck != suspect->timeouts && suspect->waited++ == ANSWER_S)
		abort_flow(rescue, &suspect->key, flow);
}

static void suspect_flow(struct hk_rescue *rescue, const struct hk_flow_key *key,
			 const struct hk_flow *flow)
{
	if (rescue->suspect_count == SUSPECTS_MAX)
		return;
	rescue->suspects[rescue->suspect_count++] = (struct suspect){
		.key = *key,
		.cookie = flow->cookie,
		.seen = true,
	};
}

static int visit(void *arg, const struct hk_flow_key *key, const struct hk_flow *flow)
{
	struct hk_rescue *rescue = arg;
	int i;

	if (flow->datapath != HK_DATAPATH_KERNEL || !flow->stuck || flow->state == HK_FLOW_CLOSING)
		return 0;
	for (i = 0; i < rescue->suspect_count; i++) {
		struct suspect *suspect = &rescue->suspects[i];

		if (suspect->cookie != flow->cookie || memcmp(&suspect->key, key, sizeof(*key)))
			continue;
		judge(rescue, suspect, flow);
		return 0;
	}
	suspect_flow(rescue, key, flow);
	return 0;
}

/* Who recovered, or has ended, is forgotten; the peers of all others are asked. */
static void ask_for_suspects(struct hk_rescue *rescue)
{
	int i, kept = 0;

	rescue->peer_count = 0;
	rescue->round++;
	for (i = 0; i < rescue->suspect_count; i++) {
		if (!rescue->suspects[i].seen)
			continue;
		rescue->suspects[kept] = rescue->suspects[i];
		rescue->suspects[kept].seen = false;
		ask(rescue, rescue->suspects[kept++].key.remote_ip);
	}
	rescue->suspect_count = kept;
}

int hk_rescue_tick(struct hk_rescue *rescue, int stuck)
{
	rescue->aborted = 0;
	take_answers4(rescue);
	take_answers6(rescue);
	if (stuck)
		hk_flows_each(rescue->options.flows_fd, visit, rescue);
	ask_for_suspects(rescue);
	return rescue->aborted;
}

int hk_rescue_open(struct hk_rescue **out, const struct hk_rescue_options *options)
{
	struct hk_rescue *rescue = calloc(1, sizeof(*rescue));

	*out = rescue;
	if (!rescue)
		return -ENOMEM;
	rescue->options = *options;
	rescue->ping4 = rescue->ping6 = -1;
	return 0;
}

void hk_rescue_close(struct hk_rescue *rescue)
{
	if (!rescue)
		return;
	if (rescue->ping4 >= 0)
		close(rescue->ping4);
	if (rescue->ping6 >= 0)
		close(rescue->ping6);
	free(rescue);
}
