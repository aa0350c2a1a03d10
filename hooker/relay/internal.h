/* SPDX-License-Identifier: GPL-2.0 */
/* What the relay's files share: its connections, and who does what. */
#ifndef HOOKER_RELAY_INTERNAL_H
#define HOOKER_RELAY_INTERNAL_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>
#include <event2/event.h>
#include <event2/buffer.h>
#include <uthash.h>

#include "bpf/abi.h"
#include "hooker/hooks/attach.h"
#include "hooker/rdt/rdt.h"
#include "hooker/relay/loop.h"
#include "hooker/relay/relay.h"

struct link;

struct conn_id { /* hash key: no padding */
	struct sock_key key;
	uint32_t local_isn;
};

/* A FIN or RST that BPF took off the wire, or another segment that must be translated (hk_flow.shift). */
struct held_frame {
	uint8_t bytes[HK_HELD_MAX];
	uint16_t len; /* 0 = none */
	uint32_t ifindex;
};

/* What is repeated until TCP's state shows that it arrived; of the peer's nothing is seen: a few times. */
enum ending {
	ENDING_NONE,
	ENDING_HELD,  /* the held frame, now that the stream is delivered */
	ENDING_FIN,   /* a FIN in place of the peer's, which has not come */
	ENDING_RESET, /* a RST for the local application */
	ENDING_PEER,  /* a RST for the peer's, whose daemon is gone */
};

/* What is remembered about one remote host, shared by its connections. */
struct path {
	uint32_t remote_ip4;
	uint32_t users; /* connections */
	/* When datagrams of any of them were answered last. All have the same addresses and ports. */
	uint64_t udp_answered_at, udplite_answered_at;
	struct rdt_path rdt;
	UT_hash_handle hh;
};

/* One redirected TCP connection, as long as anything remains to be done for it. */
struct conn {
	struct conn_id id;
	uint32_t remote_isn;
	uint64_t cookie; /* of the application's socket */
	struct loop *loop;
	struct path *path;
	uint8_t transport;	 /* enum hk_transport agreed on */
	struct carrier *carrier; /* datagrams; unless: */
	struct link *link;	 /* its frames travel in TCP */
	struct link *wanted;	 /* may be its next link */
	enum hk_reason fallback; /* why, once it has moved */
	uint64_t refused_at;	 /* when datagrams were refused lately; 0 = no */
	uint64_t move_at;	 /* when to move to wanted, if that is up */
	uint64_t heard_at;	 /* last frame of the peer */
	uint64_t asked_at;	 /* last probe of an idle connection */
	uint64_t checked_at;	 /* last conn_check_ended() */
	uint64_t stall_ns;	 /* how long no answer had come when it moved */
	enum hk_reason moved;	 /* from UDP-Lite to UDP, and why; 0 = no */
	struct rdt_conn *rdt;
	struct evbuffer *backlog; /* taken off the shared socket, not yet in rdt's buffer */
	uint32_t slot;		  /* its loopback pair, or HK_SLOT_NONE */
	uint32_t read_size;	  /* of the next read from it */
	struct held_frame held;
	enum ending ending;
	uint64_t repeat_at, repeat_after, repeat_until; /* RDT_NEVER = nothing to repeat */
	uint64_t brake_at, brake_after; /* when to move the window again; the same */
	int brake_ends;			/* how often still, at the end */
	struct event *timer;
	uint64_t armed;		/* when timer fires, RDT_NEVER = not armed */
	uint64_t deadline;	/* of what we wait for outside rdt, RDT_NEVER = nothing */
	uint64_t opened, ended; /* when; ended: the application sends no more, 0 = it may */
	uint64_t from_app;	/* bytes taken from the application */
	uint64_t to_app;	/* bytes handed to the application */
	uint64_t app_total;	/* shared socket: bytes the application sent; known once ended */
	uint64_t memory;	/* bytes accounted for it */
	uint64_t looked;	/* when look_at() was last asked */
	uint32_t unread;	/* bytes in the application's socket at that time */
	uint32_t since_look;	/* bytes handed over since */
	uint32_t polls;		/* looks in a row that saw nothing change */
	uint32_t order;		/* enum hk_order_flags given so far */
	uint8_t end_code;	/* how the application ended: enum hk_frame_code */
	bool is_client;
	bool finished;	    /* rdt_finish() done */
	bool failed;	    /* reset at both ends */
	bool socket_closed; /* the kernel's socket is gone */
	bool reading;	    /* pair: waiting for readable */
	bool want_read;	    /* pair: there may be something to read */
	bool paused;	    /* pair: not read for want of memory */
	bool shut;	    /* pair: side B is shut down, EOF will follow */
	bool braking;	    /* its application's brake is in use */
	bool wake_due;	    /* and who was told EAGAIN has to be woken when it is released */
	bool fin_acked;	    /* the peer's TCP has acknowledged our FIN, and not sent its own */
	bool unattended;    /* the peer's application may have no daemon that resets it */
	bool gone;	    /* forget it as soon as its end is with the application */
	bool drained;	    /* every byte of the application has been taken */
	bool behind;	    /* the application has not read what it was given */
	bool blocked;	    /* delivery refused for now: try again later */
	bool dirty;	    /* on its loop's list of connections to settle */
	bool in_queue;	    /* of its link: waits for room to send */
	struct conn *next_dirty;
	struct conn *queue_prev, *queue_next;
	UT_hash_handle hh;
};

/*
 * What is injected may be dropped by the kernel, if the socket is in use and holds much: it is repeated, first after
 * this time, then after twice as long each time, up to the other.
 */
#define REPEAT_NS     1000000ull
#define REPEAT_MAX_NS 256000000ull

/* Bytes that an application has sent through the shared socket must have come by then, after it has ended sending. */
#define CONN_MISSING_NS 1000000000ull

/* ---- stats.c ---- */

/* Was it agreed to be carried otherwise? Then what carries it now, and why. */
bool conn_moved(const struct conn *conn, enum hk_transport *transport, enum hk_reason *reason);
json_t *conn_json(const struct conn *conn);
json_t *relay_stats_json(const struct hk_relay *relay);

/* ---- conn.c: one connection's life ---- */

/* Where it is noted that its carrier's datagrams are answered; NULL: nowhere. */
uint64_t *conn_answered_at(struct conn *conn);
/* Since when its packets wait for any answer, ns, or 0. */
uint64_t conn_silent_since(const struct conn *conn);

/* What the BPF programs know of it now. Returns false if that is nothing, or of another life. */
bool conn_flow(const struct conn *conn, struct hk_flow *flow);
struct conn *conn_find(struct loop *loop, const struct sock_key *key, uint32_t local_isn);
int conn_open(struct loop *loop, const struct hk_event *event);
void conn_destroy(struct conn *conn);
void conn_touch(struct conn *conn);
/* The application's bytes, off the redirection socket. Returns 0 or -errno (then the conn failed). */
int conn_take(struct conn *conn, const void *bytes, size_t len);
void conn_state_changed(struct conn *conn, const struct hk_event *event);
/* Asks the kernel: the event that said so may have found the ring full. */
void conn_check_ended(struct conn *conn);
/* A frame from the peer. *direct: bytes to deliver now, see rdt_input(). */
int conn_input(struct conn *conn, uint64_t now, const struct rdt_frame *frame,
	       struct iovec *direct);
/* Are bytes to come yet that the application has sent? The shared socket says how many; a pair has an end of its own. */
bool conn_is_missing(const struct conn *conn);
/* It goes on in UDP, for UDP-Lite is no longer deployed here. */
void conn_leave_udplite(struct conn *conn);
/* The peer was heard on UDP, which after UDP-Lite it only uses if it has no longer anything else. */
void conn_follow_to_udp(struct conn *conn);
/* The application's side of an end in failure: it reads ECONNRESET. */
void conn_cut(struct conn *conn);
/* Ends both directions at both ends; the application here reads ECONNRESET. */
void conn_fail(struct conn *conn, uint8_t code, enum hk_reason reason);

/* ---- settle.c: what follows from a change ---- */

/* Does what is due; may destroy @conn. */
void conn_settle(struct conn *conn, uint64_t now);
/* The alarm of a struct conn, @arg. */
void conn_on_timer(evutil_socket_t fd, short what, void *arg);

/* ---- ending.c: FIN and RST into TCP ---- */

/* BPF took a FIN, a RST or the acknowledgement of our FIN off the wire. */
void conn_hold(struct conn *conn, const struct hk_event *event);
/*
 * The peer's daemon is gone or out of reach: both applications must hear of it, the peer's by a RST in
 * TCP. @reason: HK_REASON_DAEMON_STOPPED or HK_REASON_BLACKHOLE.
 */
void conn_peer_gone(struct conn *conn, enum hk_reason reason);
/* The peer's daemon sent RESET. @code: enum hk_frame_code. */
void conn_reset_by_peer(struct conn *conn, uint8_t code);
/* Tells the BPF programs: enum hk_order_flags, in addition to those given before. */
void ending_order(struct conn *conn, uint32_t flags);
/* The local application learns at once, as it would from TCP: ECONNRESET. */
void ending_reset_local(struct conn *conn);
/* Once the whole stream is with the application, what ends it may pass. */
void ending_release(struct conn *conn);
/* A frame has been held long without progress. */
void ending_overdue(struct conn *conn, uint64_t now);
/* TCP went to @new_state (TCP_*). */
void ending_state(struct conn *conn, uint8_t new_state);
/* conn->repeat_at has come, perhaps. */
void ending_repeat(struct conn *conn, uint64_t now);

/* ---- pairs.c: the loopback pairs that wait for a connection ---- */

int pairs_open(struct pairs **out, struct hk_relay *relay);
void pairs_close(struct pairs *pairs);
void pairs_set_full(struct pairs *pairs, bool full);
json_t *pairs_stats_json(struct pairs *pairs);
/* Pairs are made by every loop, by means of its own. */
int pair_maker_open(struct pair_maker **out, struct loop *loop);
void pair_maker_close(struct pair_maker *maker);

/* ---- pair.c: one loopback connection for what one application sends ---- */

/* Gives @conn the pair that sock_ops has chosen. Returns 0 or -errno. */
int pair_take(struct conn *conn, uint32_t slot);
/* Bytes that its pair may hold, at both ends together; 0 without one. */
uint32_t pair_room(const struct conn *conn);
/* Reads into rdt what there is and fits; sets conn->drained at EOF. Returns 0 or -errno. */
int pair_read(struct conn *conn);
/* Most bytes that can be in it now, for what it has not acknowledged within itself counts; *unread: those at A. */
uint32_t pair_holds(const struct conn *conn, uint32_t *unread);
/* The application has ended sending: EOF follows its last byte. */
void pair_shut(struct conn *conn);
/* Closes it; a writer that waits gets an error. Fine without a pair. */
void pair_release(struct conn *conn);

/* ---- brake.c: a writer that does not block waits until its pair has room ---- */

int brakes_open(struct hk_relay *relay);
void brakes_close(struct hk_relay *relay);
/* A pair that is going to be used: as if there had never been a brake. */
void brake_reset(struct hk_relay *relay, uint32_t slot);
/* It does not block: brakes it from now on, and wakes it if it waits. Returns false if that cannot be done. */
bool brake_use(struct conn *conn);
/* @bytes have been read from the pair. */
void brake_taken(struct conn *conn, size_t bytes);
/* The pair has been read: lets the application go on if there is room. */
void brake_read(struct conn *conn, uint64_t now);
/* The application has ended sending: its FIN must find the window open. */
void brake_end(struct conn *conn);
/* conn->brake_at has come, perhaps. */
void brake_repeat(struct conn *conn, uint64_t now);

/* ---- look.c ---- */

int look_open(struct look_bpf **out, struct hk_attach *attach);
void look_close(struct look_bpf *look);
/* Returns 0 or -errno; the socket may be gone: look->found. */
int look_at(struct loop *loop, const struct sock_key *key, struct hk_look *look);

/* ---- memory.c: the bounds ---- */

int memory_open(struct loop *loop);
void memory_close(struct loop *loop);
uint32_t memory_pair_buffer(const struct hk_relay_options *options);
uint32_t memory_send_buffer(const struct hk_relay_options *options);
uint32_t memory_window(const struct hk_relay_options *options);
/* Bytes that all connections hold, and the most that they held. */
uint64_t memory_held(const struct hk_relay *relay);
uint64_t memory_peak(const struct hk_relay *relay);
/* Counts what @conn holds now. */
void memory_update(struct conn *conn);
void memory_forget(struct conn *conn);
/*
 * May so many bytes more be held? Then they are counted until memory_unreserve(), which has to follow. Else who waits for
 * them (conn->paused) is looked after soon.
 */
bool memory_reserve(struct loop *loop, uint32_t bytes);
void memory_unreserve(struct loop *loop, uint32_t bytes);
/* Else: has @conn so little of its application's that a bit more may be taken all the same? */
bool memory_has_floor(const struct conn *conn);
/* May this frame be accepted? */
bool memory_may_buffer(const struct conn *conn, const struct rdt_frame *frame);
/* Opens or closes the window by what the application has not read. */
void memory_credit(struct conn *conn, uint64_t now);
uint64_t memory_poll_due(const struct conn *conn, uint64_t now);

/* ---- redirect.c: the redirection socket ---- */

int redirect_open(struct redirect **out, struct loop *loop);
void redirect_close(struct redirect *redirect);
/*
 * Hands bytes to the application of @conn. Returns how many it took, 0 = no room now, or -errno: the
 * application's socket is gone.
 */
ssize_t redirect_deliver(struct redirect *redirect, struct conn *conn, const struct iovec *iov,
			 int niov);
/* Reads what there is now, bounded. */
void redirect_drain(struct redirect *redirect);
/* When there was last nothing left to read, ns. */
uint64_t redirect_empty_at(const struct redirect *redirect);

/* ---- carrier.c: datagrams to and from peer daemons ---- */

/* @port: HK_RELAY_PORT or HK_RELAY_LITE_PORT. */
int carrier_open(struct carrier **out, struct loop *loop, uint16_t port);
void carrier_close(struct carrier *carrier);
/* Sends what rdt has for @conn now. */
void carrier_send(struct conn *conn, uint64_t now);
json_t *carrier_stats_json(const struct carrier *carrier);

/* ---- input.c: frames of any carrier to their connections ---- */

#define DELIVERY_BATCH 180 /* frames handed to an application at once */

/* Bytes that arrived in order and await one delivery to one application. */
struct pending {
	struct loop *loop;
	struct conn *conn;
	struct iovec iov[DELIVERY_BATCH];
	int count;
};

/*
 * A frame from @from_ip4, on @link or, if that is NULL, in a datagram of @carrier. Returns 0, 1 = send *reply back,
 * or -EPERM: the sender may not speak for that connection.
 */
int input_frame(struct pending *pending, uint64_t now, const struct rdt_frame *frame,
		uint32_t from_ip4, const struct carrier *carrier, struct link *link,
		struct rdt_datagram *reply);
/* Hands over what is pending, before the frames' memory is used again. */
void input_flush(struct pending *pending, uint64_t now);

/* ---- path.c ---- */

int paths_open(struct loop *loop);
void paths_close(struct loop *loop);
/* NULL: no memory. Every path_get() has its path_put(); NULL is fine. */
struct path *path_get(struct loop *loop, uint32_t remote_ip4);
void path_put(struct path *path);
/* Is there a connection with that host? */
bool path_known(const struct loop *loop, uint32_t remote_ip4);

/* ---- links.c, link.c: TCP between two daemons, for paths that swallow datagrams ---- */

int links_open(struct links **out, struct loop *loop);
void links_close(struct links *links);
json_t *links_stats_json(const struct links *links);
/* The link between two addresses, perhaps a new one that is not up. Returns 0 or -errno. */
int link_get(struct link **out, struct loop *loop, uint32_t local_ip4, uint32_t remote_ip4);
bool link_is_up(const struct link *link);
/* Sends on conn->link what rdt has and what there is room for. */
void link_send(struct conn *conn, uint64_t now);
/* @conn waits no longer for room. */
void link_forget(struct conn *conn);

/* ---- icmp.c ---- */

int icmp_open(struct icmp **out, struct loop *loop);
void icmp_close(struct icmp *icmp);

/* ---- fallback.c: from datagrams to a link ---- */

/* Moves @conn, or prepares to, if its datagrams get no answer. Call now and then. */
void fallback_check(struct conn *conn, uint64_t now);
uint64_t fallback_due(struct conn *conn);
/* The path or the peer's host refuses the datagrams of @conn. */
void fallback_refused(struct conn *conn, uint64_t now);
/* The peer has sent a frame of @conn on @link. */
void fallback_follow(struct conn *conn, struct link *link, uint64_t now);
void fallback_link_up(struct loop *loop, struct link *link);
/* @link is about to go; @err: a positive errno, ECONNREFUSED = the peer has no Hooker, or a new one. */
void fallback_link_down(struct loop *loop, struct link *link, int err);
bool fallback_uses(const struct loop *loop, const struct link *link);

/* ---- inject.c: TCP segments put where BPF would have passed them ---- */

/* What is held, translated. Returns 0 or -errno. */
int inject_held(struct conn *conn, struct held_frame *held);
/* A FIN in place of the peer's, acceptable to the application's socket. Returns 0 or -errno. */
int inject_fin(struct conn *conn);
/* A RST from the peer's address, acceptable to the application's socket. Returns 0 or -errno. */
int inject_reset(struct conn *conn);
/* The same for the peer's application, through the network. Returns 0 or -errno. */
int inject_reset_to_peer(struct conn *conn);
/* The ACK that ends the handshake of a connection whose own was lost. Returns 0 or -errno. */
int inject_handshake_ack(struct loop *loop, const struct rdt_identity *id);
/* Lets an application that was told EAGAIN know that there is room. Returns 0 or -errno. */
int inject_kick(struct conn *conn);
/* The same with brakes (HK_BRAKE_URGENT), and the window becomes @window, unscaled. Returns 0 or -errno. */
int inject_brake(struct conn *conn, uint16_t window);

#endif
