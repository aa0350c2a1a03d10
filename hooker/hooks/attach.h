/* SPDX-License-Identifier: GPL-2.0 */
/* Everything Hooker has in the kernel: opened, loaded, attached and taken away as one. */
#ifndef HOOKER_ATTACH_H
#define HOOKER_ATTACH_H

#include <stdbool.h>
#include <stdint.h>

#include "bpf/abi.h"
#include "hooker/hooks/dispatch.h"

struct hk_deployment;
struct sockops_bpf;
struct relay_bpf;

#define HK_INTERFACES_MAX 16

/* Where the kernel datapath turns packets of the transport back into TCP, and the relay looks at TCP. */
enum hk_receive {
	/*
	 * Kernel datapath: XDP where the driver has it, else tc ingress. Relay: tc ingress where that
	 * is a link (Linux 6.6) and suffices, else XDP.
	 */
	HK_RECEIVE_AUTO,
	HK_RECEIVE_XDP,
	HK_RECEIVE_TC,
};

struct hk_options {
	const char *cgroup; /* path of a cgroup v2; NULL = the root of the hierarchy */
	bool fresh_cgroup;  /* made for this, nothing listens in it yet */
	const char *interfaces[HK_INTERFACES_MAX];
	int interface_count;
	bool interfaces_found; /* by looking, for want of an option */
	enum hk_xdp_mode xdp_mode;
	enum hk_receive receive;
	enum hk_datapath datapath;
	enum hk_transport transport;
	uint16_t coverage;	 /* UDP-Lite coverage in bytes, 0 = whole datagram */
	unsigned int path_ttl_s; /* how long a path that refused is left alone */
	bool damage;		 /* kernel: accept damaged payload where no rule says otherwise */
	bool damage_rules;	 /* kernel: some rule may */
	bool lite_rules;	 /* some rule asks for UDP-Lite */
	char *rules_text;	 /* NULL = none; hooker/rules/rules.h says how they are written */
	const char *rules_name;	 /* where they came from, for messages */
	bool timing;		 /* print how long starting and stopping took */
	bool paper; /* relay: as published, without bound, recovery, congestion control, fallback */
	uint32_t connection_memory; /* relay: bound in bytes of one connection, 0 = default */
	uint64_t memory;	    /* relay: of all connections, 0 = default */
	unsigned int loops;	    /* relay: event loops; 0 = one a processor */
	unsigned int busy_poll_us;  /* relay: before it sleeps, while messages are small; 0 = not */
	const char *metrics;	    /* where to serve them: ADDRESS:PORT or unix:PATH; NULL = not */
	int log_level;		    /* enum hk_log_level */
};

struct hk_tc;

struct hk_attach {
	const struct hk_options *options;
	struct sockops_bpf *sockops;
	struct relay_bpf *relay;       /* NULL unless datapath is relay */
	struct hk_deployment *udplite; /* NULL unless the relay uses UDP-Lite */
	bool lite_undeployed;	       /* UDP-Lite was there and has been taken away */
	struct hk_dispatch *dispatch[HK_INTERFACES_MAX]; /* NULL = received at tc ingress */
	struct hk_tc *ingress[HK_INTERFACES_MAX];	 /* NULL unless the relay does that */
	struct hk_tc *egress[HK_INTERFACES_MAX];	 /* of the relay; NULL before Linux 6.6 */
	struct hk_rescue *rescue;			 /* NULL unless datapath is kernel */
	struct hk_kernel *kernel[HK_INTERFACES_MAX];	 /* NULL unless datapath is kernel */
	int ifindex[HK_INTERFACES_MAX];
	bool segments; /* the relay's UDP-Lite may be sent in GSO messages: hooker/hooks/segments.h */
	bool shared;   /* relay: one redirection socket for all, instead of a pair each */
	unsigned int loops; /* relay: event loops, which the programs give connections to */
	int sockops_link;   /* file descriptor of the cgroup's bpf_link, -1 = none */
};

/**
 * Loads and attaches: receive steps first, sock_ops last, so that no connection is negotiated before
 * it can be served. Everything is held by bpf_links and unpinned maps and vanishes with its owner.
 * Errors are reported by hk_error(). Returns 0 or -errno; on error nothing stays attached.
 */
int hk_attach_open(struct hk_attach *attach, const struct hk_options *options);

/**
 * Starts negotiating: attaches sock_ops to the cgroup. Call it when userspace is ready to serve.
 * Returns 0 or -errno.
 */
int hk_attach_start(struct hk_attach *attach);

/* Is what TCP sends looked at on every interface, so that writers may be braked (hk_bounds)? From Linux 6.6 on. */
bool hk_attach_can_brake(const struct hk_attach *attach);

/* Where interface @i receives what it turns back into TCP: "native XDP", "generic XDP", "tc ingress". */
const char *hk_attach_receives(const struct hk_attach *attach, int i);

/* Housekeeping of the kernel datapath, once a second; anything else needs none. */
void hk_attach_tick(struct hk_attach *attach);

/* Ends negotiation, keeps what live connections need. */
void hk_attach_stop(struct hk_attach *attach);

/* Detaches and frees all. Fine after a failed hk_attach_open(). */
void hk_attach_close(struct hk_attach *attach);

/* Writes hk_config: what new connections ask for. Returns 0 or -errno. */
int hk_attach_configure(struct hk_attach *attach, enum hk_datapath datapath,
			enum hk_transport transport, uint16_t coverage);

#endif
