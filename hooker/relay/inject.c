// SPDX-License-Identifier: GPL-2.0
/*
 * Segments for the local TCP stack, put behind Hooker's own look at TCP by hk_inject (bpf/relay.bpf.c) through
 * BPF_PROG_TEST_RUN. A frame captured on a veth is CHECKSUM_PARTIAL, the injected one is not: its
 * TCP checksum must be computed, or TCP drops it and EOF waits for a retransmission.
 */
#include "hooker/relay/internal.h"

#include <errno.h>
#include <net/if.h>
#include <netinet/if_ether.h>
#include <netinet/ip.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "bpf/relay.skel.h"

#define WINDOW 65535 /* no payload will ever travel in this TCP connection */

struct segment {
	struct ether_header eth;
	struct iphdr ip;
	struct tcphdr tcp; /* options follow */
} __attribute__((packed));

/* Ones' complement sum of RFC 1071, unfolded, over big-endian words. */
static uint32_t sum16(const void *data, size_t len, uint32_t sum)
{
	const uint8_t *byte = data;
	size_t i;

	for (i = 0; i + 1 < len; i += 2)
		sum += byte[i] << 8 | byte[i + 1];
	if (len & 1)
		sum += byte[len - 1] << 8;
	return sum;
}

static uint16_t fold(uint32_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return htons(~sum & 0xffff);
}

static void fill_checksums(struct segment *segment)
{
	size_t tcp_len = ntohs(segment->ip.tot_len) - sizeof(segment->ip);
	uint32_t sum;

	segment->ip.check = 0;
	segment->ip.check = fold(sum16(&segment->ip, sizeof(segment->ip), 0));
	segment->tcp.check = 0;
	sum = sum16(&segment->ip.saddr, 8, IPPROTO_TCP + tcp_len);
	segment->tcp.check =
		fold(sum16((uint8_t *)segment + offsetof(struct segment, tcp), tcp_len, sum));
}

static int run(struct loop *loop, void *frame, size_t len, uint32_t ifindex)
{
	struct __sk_buff context = { .mark = ifindex };
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame, .data_size_in = len,
		    .ctx_in = &context, .ctx_size_in = sizeof(context), .repeat = 1);
	int err = bpf_prog_test_run_opts(bpf_program__fd(loop->attach->relay->progs.hk_inject),
					 &opts);

	if (err)
		return -errno;
	loop->stats.injected++;
	return (int)opts.retval < 0 ? (int)opts.retval : 0;
}

/* What injection needs to know of a connection, as the BPF programs know it. */
struct place {
	uint32_t ifindex; /* where its packets arrive */
	uint32_t shift;	  /* by how much its TCP is ahead of the peer's idea of it (hk_bounds) */
};

static struct place place_of(const struct conn *conn)
{
	struct place place = { .ifindex = conn->loop->attach->ifindex[0] };
	struct hk_flow flow;

	if (!conn_flow(conn, &flow))
		return place;
	place.shift = flow.shift;
	if (flow.ifindex)
		place.ifindex = flow.ifindex;
	return place;
}

/*
 * TCP has heard later timestamps than those of a frame that was held, the acknowledgements that repeated FINs are
 * turned into (hk_relay_out), and would discard it as old (PAWS, RFC 7323). Without any it does not ask.
 */
static void drop_timestamps(struct segment *segment, size_t len)
{
	uint8_t *at = (uint8_t *)(segment + 1), *end = (uint8_t *)segment + len;

	while (end - at >= 2 && at[0] != TCPOPT_EOL) {
		if (at[0] == TCPOPT_NOP) {
			at++;
			continue;
		}
		if (at[1] < 2 || at[1] > end - at)
			return;
		if (at[0] == TCPOPT_TIMESTAMP) {
			memset(at, TCPOPT_NOP, at[1]);
			return;
		}
		at += at[1];
	}
}

int inject_held(struct conn *conn, struct held_frame *held)
{
	struct segment *segment = (struct segment *)held->bytes;
	uint32_t ack;
	int err;

	if (held->len < sizeof(*segment) ||
	    held->len != sizeof(segment->eth) + ntohs(segment->ip.tot_len))
		return -EINVAL;
	drop_timestamps(segment, held->len);
	/* As often as it is repeated, from what came. */
	ack = segment->tcp.ack_seq;
	segment->tcp.ack_seq = htonl(ntohl(ack) + place_of(conn).shift);
	fill_checksums(segment);
	err = run(conn->loop, held->bytes, held->len, held->ifindex);
	segment->tcp.ack_seq = ack;
	return err;
}

static int ask_address(uint32_t ifindex, uint8_t mac[ETH_ALEN])
{
	struct ifreq request = { 0 };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), err = 0;

	if (fd < 0)
		return -errno;
	if (!if_indextoname(ifindex, request.ifr_name) || ioctl(fd, SIOCGIFHWADDR, &request))
		err = -errno;
	else
		memcpy(mac, request.ifr_hwaddr.sa_data, ETH_ALEN);
	close(fd);
	return err;
}

/*
 * The destination address must be the interface's, or the stack takes the frame for someone else's. It may change,
 * and what is injected is repeated: asked for at most so often.
 */
#define ADDRESS_NS 100000000ull
static int interface_address(struct loop *loop, uint32_t ifindex, uint8_t mac[ETH_ALEN])
{
	struct relay_address *known = &loop->address;
	uint64_t now = relay_now();
	int err;

	if (ifindex != known->ifindex || now >= known->until) {
		err = ask_address(ifindex, known->mac);
		if (err)
			return err;
		known->ifindex = ifindex;
		known->until = now + ADDRESS_NS;
	}
	memcpy(mac, known->mac, ETH_ALEN);
	return 0;
}

/* A segment from the peer, to be completed, run and checksummed. */
static int fill_segment(struct loop *loop, struct segment *segment, const struct sock_key *key,
			uint32_t remote_isn, uint32_t ifindex)
{
	*segment = (struct segment){
		.eth.ether_type = htons(ETHERTYPE_IP),
		.ip =
			{
				.version = 4,
				.ihl = 5,
				.tot_len = htons(sizeof(segment->ip) + sizeof(segment->tcp)),
				.ttl = 64,
				.protocol = IPPROTO_TCP,
				.saddr = key->dst_ip4,
				.daddr = key->src_ip4,
			},
		.tcp =
			{
				.source = htons(key->dst_port),
				.dest = htons(key->src_port),
				.seq = htonl(remote_isn + 1),
				.doff = 5,
			},
	};
	return interface_address(loop, ifindex, segment->eth.ether_dhost);
}

/*
 * Redirected payload never moves TCP's sequence numbers, so the next one expected is known: RFC 5961
 * accepts exactly that. After a FIN it is one more.
 */
int inject_reset(struct conn *conn)
{
	uint32_t ifindex = conn->held.len ? conn->held.ifindex : place_of(conn).ifindex;
	struct segment segment;
	int err = fill_segment(conn->loop, &segment, &conn->id.key, conn->remote_isn, ifindex);

	if (err)
		return err;
	segment.tcp.rst = 1;
	fill_checksums(&segment);
	err = run(conn->loop, &segment, sizeof(segment), ifindex);
	if (err)
		return err;
	segment.tcp.seq = htonl(conn->remote_isn + 2);
	fill_checksums(&segment);
	return run(conn->loop, &segment, sizeof(segment), ifindex);
}

int inject_fin(struct conn *conn)
{
	struct place place = place_of(conn);
	struct segment segment;
	int err =
		fill_segment(conn->loop, &segment, &conn->id.key, conn->remote_isn, place.ifindex);

	if (err)
		return err;
	segment.tcp.fin = segment.tcp.ack = 1;
	/* Before Linux 6.8 a closing socket takes nothing that acknowledges less than it knows of. */
	segment.tcp.ack_seq = htonl(conn->id.local_isn + (conn->fin_acked ? 2 : 1) + place.shift);
	segment.tcp.window = htons(WINDOW);
	fill_checksums(&segment);
	return run(conn->loop, &segment, sizeof(segment), place.ifindex);
}

static int send_raw(int fd, struct segment *segment)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_addr.s_addr = segment->ip.daddr };

	fill_checksums(segment);
	return sendto(fd, &segment->ip, sizeof(segment->ip) + sizeof(segment->tcp), 0,
		      (struct sockaddr *)&to, sizeof(to)) < 0 ?
		       -errno :
		       0;
}

int inject_reset_to_peer(struct conn *conn)
{
	struct segment segment = {
		.ip =
			{
				.version = 4,
				.ihl = 5,
				.tot_len = htons(sizeof(segment.ip) + sizeof(segment.tcp)),
				.ttl = 64,
				.protocol = IPPROTO_TCP,
				.saddr = conn->id.key.src_ip4,
				.daddr = conn->id.key.dst_ip4,
			},
		.tcp =
			{
				.source = htons(conn->id.key.src_port),
				.dest = htons(conn->id.key.dst_port),
				.seq = htonl(conn->id.local_isn + 1),
				.doff = 5,
				.rst = 1,
			},
	};
	/* IPPROTO_RAW only sends: no copy of every TCP segment is queued to it. */
	int fd = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_RAW), err;

	if (fd < 0)
		return -errno;
	err = send_raw(fd, &segment);
	segment.tcp.seq = htonl(conn->id.local_isn + 2); /* behind our FIN */
	if (!err)
		err = send_raw(fd, &segment);
	close(fd);
	return err;
}

/* An ACK recognised by sock_ops (hk_relay_kick()). Behind the ISN: @seq. */
static int inject_told(struct conn *conn, uint32_t seq, uint16_t urgent, uint16_t window)
{
	struct place place = place_of(conn);
	struct segment segment;
	int err =
		fill_segment(conn->loop, &segment, &conn->id.key, conn->remote_isn, place.ifindex);

	if (err)
		return err;
	segment.tcp.seq = htonl(conn->remote_isn + seq);
	segment.tcp.ack = 1;
	segment.tcp.ack_seq = htonl(conn->id.local_isn + 1 + place.shift);
	segment.tcp.window = htons(window);
	segment.tcp.urg_ptr = htons(urgent);
	fill_checksums(&segment);
	return run(conn->loop, &segment, sizeof(segment), place.ifindex);
}

int inject_kick(struct conn *conn)
{
	/* In the window before and after the peer's FIN. */
	return inject_told(conn, 2, HK_KICK_URGENT, HK_KICK_WINDOW);
}

int inject_brake(struct conn *conn, uint16_t window)
{
	return inject_told(conn, HK_BRAKE_SEQ, HK_BRAKE_URGENT, window);
}

int inject_handshake_ack(struct loop *loop, const struct rdt_identity *id)
{
	uint32_t ifindex = loop->attach->ifindex[0];
	struct segment segment;
	int err = fill_segment(loop, &segment, &id->key, id->remote_isn, ifindex);

	if (err)
		return err;
	segment.tcp.ack = 1;
	segment.tcp.ack_seq = htonl(id->local_isn + 1);
	segment.tcp.window = htons(WINDOW);
	fill_checksums(&segment);
	return run(loop, &segment, sizeof(segment), ifindex);
}
