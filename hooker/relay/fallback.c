// SPDX-License-Identifier: GPL-2.0
/*
 * When a connection's datagrams do not get through: it moves to a link (link.c), with all that is not
 * acknowledged, and stays there. New connections to that host are plain TCP for a while: the TCP they have
 * anyway is the better carrier than a TCP of ours shared by many. If there is no link to be had, the
 * connection ends with an error.
 */
#include "hooker/relay/internal.h"

#include <errno.h>
#include <string.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "bpf/sockops.skel.h"
#include "hooker/base/log.h"

#define SUSPECT_PTOS 3
#define SUSPECT_NS   700000000ull /* ... and at least so long without an answer */
/*
 * Where one packet in LOSSY is lost, three timeouts in a row happen by themselves: at 10 % about once in
 * 350 MB. And a peer that is heard while our packets wait has the faster way to notice: its own wait.
 */
#define LOSSY	    40
#define LOSSY_PTOS  5
#define LOSSY_MIN   10		  /* lost packets that say something */
#define HEARD_NS    350000000ull  /* what arrives so long after was not on its way before */
#define PATIENCE_NS 7000000000ull /* ... or so long while others of the path are answered */
/* A daemon that was merely busy answers datagrams and the link at the same time: let it. */
#define GRACE_NS   50000000ull
#define REFUSED_NS 5000000000ull
#define LINK_FRAME 32768 /* bytes; the header counts for less than in a datagram */

/* How many probe timeouts in a row make a silence suspicious. */
static uint32_t patience(const struct conn *conn, const struct rdt_stats *stats)
{
	bool lossy = stats->lost_packets >= LOSSY_MIN &&
		     stats->lost_packets * LOSSY >= stats->sent_packets;
	bool heard = conn->heard_at > stats->waiting_since + HEARD_NS;

	return lossy || heard ? LOSSY_PTOS : SUSPECT_PTOS;
}

/*
 * From when on the silence is suspicious, ns, or RDT_NEVER. Datagrams that are answered for another connection
 * get through: this one's wait in a queue, of a peer with more at once than it can do. But others may be
 * answered without end.
 */
static uint64_t suspect_at(struct conn *conn)
{
	const uint64_t *answered = conn_answered_at(conn);
	struct rdt_stats stats;
	uint64_t since;

	rdt_stats(conn->rdt, &stats);
	if (!stats.waiting_since || stats.pto_count < patience(conn, &stats))
		return RDT_NEVER;
	since = stats.waiting_since;
	if (answered && *answered > since)
		since = *answered;
	if (since + SUSPECT_NS > stats.waiting_since + PATIENCE_NS)
		return stats.waiting_since + PATIENCE_NS;
	return since + SUSPECT_NS;
}

static bool suspicious(struct conn *conn, uint64_t now)
{
	if (conn->refused_at && conn->heard_at <= conn->refused_at)
		return true;
	return now >= suspect_at(conn);
}

/* New connections to that host need not try; read by hk_path_refused(). */
static void remember(const struct conn *conn)
{
	struct hk_path_key key = {
		.remote_ip = { 0, 0, htonl(0xffff), conn->id.key.dst_ip4 },
		.transport = conn->transport,
	};
	struct hk_path path = { .at_ns = relay_now(), .reason = conn->fallback, .count = 1 }, old;
	int map = bpf_map__fd(conn->loop->attach->sockops->maps.hk_paths);

	if (!bpf_map_lookup_elem(map, &key, &old))
		path.count += old.count;
	if (bpf_map_update_elem(map, &key, &path, BPF_ANY))
		hk_debug("can't remember a path: %s", strerror(errno));
}

static void move(struct conn *conn, struct link *link, enum hk_reason reason, uint64_t now)
{
	uint64_t since = conn_silent_since(conn);

	struct loop_stats *stats = &conn->loop->stats;

	if (since)
		conn->stall_ns = now - since;
	if (conn->stall_ns > stats->stall_max_ns)
		stats->stall_max_ns = conn->stall_ns;
	if (!conn->fallback)
		stats->fallbacks[reason]++;
	conn->fallback = reason;
	conn->wanted = NULL;
	conn->link = link;
	conn->refused_at = 0;
	rdt_path_changed(conn->rdt, now, NULL, LINK_FRAME, true);
	remember(conn);
	conn_touch(conn);
	workers_fell_back(conn->loop, &conn->id.key, reason);
	hk_debug("connection %u -> %u goes on over TCP", conn->id.key.src_port,
		 conn->id.key.dst_port);
}

/* Neither datagrams nor a link: the application must not wait for ever. */
static void give_up(struct conn *conn, int err)
{
	hk_debug("no way to the peer of %u -> %u: %s", conn->id.key.src_port, conn->id.key.dst_port,
		 strerror(err));
	conn_peer_gone(conn, err == ECONNREFUSED ? HK_REASON_DAEMON_STOPPED : HK_REASON_BLACKHOLE);
}

static void want_link(struct conn *conn, uint64_t now)
{
	int err = link_get(&conn->wanted, conn->loop, conn->id.key.src_ip4, conn->id.key.dst_ip4);

	if (err)
		give_up(conn, -err);
	else
		conn->move_at = now + GRACE_NS;
	conn_touch(conn);
}

void fallback_check(struct conn *conn, uint64_t now)
{
	if (conn->link || conn->failed || conn->loop->options.paper ||
	    (conn->wanted && !link_is_up(conn->wanted)))
		return;
	if (!suspicious(conn, now)) {
		conn->wanted = NULL;
		/* An answer may have been on its way when the refusal came, and ICMP is rate limited:
		 * if silence follows, this was the reason. */
		if (now - conn->refused_at > REFUSED_NS)
			conn->refused_at = 0;
	} else if (!conn->wanted) {
		want_link(conn, now);
	} else if (now >= conn->move_at) {
		move(conn, conn->wanted,
		     conn->fallback   ? conn->fallback :
		     conn->refused_at ? HK_REASON_ICMP_UNREACHABLE :
					HK_REASON_BLACKHOLE,
		     now);
	}
}

uint64_t fallback_due(struct conn *conn)
{
	if (conn->wanted)
		return link_is_up(conn->wanted) ? conn->move_at : RDT_NEVER;
	if (conn->link || conn->failed || conn->loop->options.paper)
		return RDT_NEVER;
	return suspect_at(conn);
}

void fallback_refused(struct conn *conn, uint64_t now)
{
	if (conn->loop->options.paper) {
		conn_peer_gone(conn, HK_REASON_DAEMON_STOPPED);
		return;
	}
	if (conn->link || conn->failed)
		return;
	conn->refused_at = now;
	fallback_check(conn, now);
}

void fallback_follow(struct conn *conn, struct link *link, uint64_t now)
{
	if (!conn->link && !conn->failed)
		move(conn, link, HK_REASON_PEER_FELL_BACK, now);
}

void fallback_link_up(struct loop *loop, struct link *link)
{
	uint64_t now = relay_now();
	struct conn *conn, *next;

	HASH_ITER(hh, loop->conns, conn, next) {
		if (conn->wanted != link)
			continue;
		conn->move_at = now + GRACE_NS;
		conn_touch(conn);
	}
}

void fallback_link_down(struct loop *loop, struct link *link, int err)
{
	uint64_t now = relay_now();
	struct conn *conn, *next;

	HASH_ITER(hh, loop->conns, conn, next) {
		if (conn->wanted == link) {
			conn->wanted = NULL;
			if (suspicious(conn, now) && !conn->failed)
				give_up(conn, err);
		} else if (conn->link == link) {
			/* Back to where it came from, and at once in search of another link. */
			link_forget(conn);
			conn->link = NULL;
			rdt_path_changed(conn->rdt, now, conn->path ? &conn->path->rdt : NULL,
					 loop->options.max_datagram, false);
			fallback_refused(conn, now);
			conn_touch(conn);
		}
	}
}

bool fallback_uses(const struct loop *loop, const struct link *link)
{
	struct conn *conn, *next;

	HASH_ITER(hh, loop->conns, conn, next) {
		if (conn->link == link || conn->wanted == link)
			return true;
	}
	return false;
}
