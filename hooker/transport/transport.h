/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Transports deployed into the running kernel as chains of eBPF steps. UDP-Lite is the first;
 * hooker/transport/README.md tells how to add one.
 *
 * Functions return 0 or -errno and report nothing; functions that take a hk_deployment are not safe
 * to call from several threads at once. Everything happens in the caller's network namespace.
 */
#ifndef HOOKER_TRANSPORT_H
#define HOOKER_TRANSPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <jansson.h>

#include "bpf/steps.h"
#include "hooker/hooks/dispatch.h"

/* ---------------------------------------------------------------- a transport, described */

struct hk_step_reason {
	unsigned int number; /* as the program counts it, 1 … HK_STEP_MISSING - 1 */
	bool drop;	     /* the packet was dropped; otherwise it passed untouched */
	const char *name;    /* NULL ends the list */
};

struct hk_step_desc {
	const char *name;    /* "parse"; unique in the transport. NULL ends the list */
	const char *program; /* its program in the object */
	enum hk_step_hook hook;
	const struct hk_step_reason *reasons; /* may be NULL */
};

struct hk_transport_desc {
	const char *name; /* what `hooker deploy` calls it */
	uint8_t protocol; /* IP protocol number of the packets it receives */
	/* The built object (NAME_bpf__elf_bytes of its skeleton), and where its source is. */
	const void *(*object)(size_t *size);
	const char *source;		  /* "bpf/NAME.bpf.c" */
	const struct hk_step_desc *steps; /* of each hook, in the order of their slots */
	const char *ports_map;		  /* hash: __u32 port -> struct hk_lite_port, or NULL */
};

extern const struct hk_transport_desc hk_transport_udplite; /* RFC 3828 */

/* The transports Hooker comes with, ended by NULL. */
extern const struct hk_transport_desc *const hk_transports[];

/* Whether a transport can be deployed on an interface: 0, -ENODEV, or -EOPNOTSUPP (not Ethernet). */
int hk_transport_interface_check(int ifindex);

/* By name; NULL if there is none. */
const struct hk_transport_desc *hk_transport_find(const char *name);

/* Whether the kernel has a datagram protocol of that number itself: it gives out sockets for it. */
bool hk_transport_is_native(const struct hk_transport_desc *desc);

/* ---------------------------------------------------------------- deploying */

struct hk_deployment;

struct hk_deploy_interface {
	int ifindex;
	struct hk_dispatch *dispatch; /* the caller's; NULL: the deployment opens one for itself */
};

struct hk_deploy_options {
	const struct hk_deploy_interface *interfaces;
	size_t interface_count;
	enum hk_xdp_mode xdp_mode; /* of dispatchers that are opened here */
	int count_fd;		   /* hk_count map to share with those dispatchers, or -1 */
	/*
	 * NULL: everything is detached when the deployment is freed or its owner dies. Else a folder
	 * (hk_transport_pin_dir) of pins that keep it in place without an owner.
	 */
	const char *pin_dir;
	bool time_verifier; /* hk_deploy_times.verify; failures are then told without a trace */
	/* Not NULL: compile the transport's source under this folder with clang, instead of the built
	 * object (hk_transport_source_dir). */
	const char *source_dir;
};

struct hk_deploy_times { /* milliseconds */
	double compile;	 /* 0 without source_dir */
	double open;	 /* parse the ELF object */
	double load;	 /* create maps, verify and JIT every program */
	double verify;	 /* of that: in the verifier, as it says itself */
	double attach;	 /* fill the chain, XDP and tc */
	double total;
};

/**
 * Loads @desc's object and attaches its chains: the XDP chain in the dispatcher's
 * HK_RX_SECOND(protocol), and tc egress. Map hk_unfinished has the interfaces that may pass on packets
 * whose checksum nobody has computed (veth, generic XDP).
 *
 * -EEXIST: it is deployed under that pin_dir already. -EBUSY: another XDP program is attached.
 * -EOPNOTSUPP: an interface is not Ethernet. -ENOEXEC: clang failed, and printed why. -ENOPKG: there
 * is no clang. -EPERM: the caller may not.
 */
int hk_transport_deploy(const struct hk_transport_desc *desc,
			const struct hk_deploy_options *options, struct hk_deployment **out);

/**
 * Opens the deployment that is pinned in @pin_dir, to change it or to ask for its status. -ENOENT:
 * there is none.
 */
int hk_deployment_open(const struct hk_transport_desc *desc, const char *pin_dir,
		       struct hk_deployment **out);

/**
 * Opens a deployment that another process of this machine owns, by hk_deployment_ids(): to ask for its
 * status, to swap steps, to register ports. Closing it detaches nothing.
 */
int hk_deployment_open_ids(const struct hk_transport_desc *desc, const json_t *ids,
			   struct hk_deployment **out);

/* What hk_deployment_open_ids() needs; a new object. */
json_t *hk_deployment_ids(const struct hk_deployment *deployment);

/**
 * The UDP socket bound to @port speaks this transport from now on; again: with these values.
 * @coverage: bytes of each sent datagram the checksum covers, from its header on; 0: all; 8 or more.
 * @min_coverage: of received datagrams that are not fully covered; 0: those are discarded (what RFC
 * 3828 recommends unless the application asks: it may see damaged bytes outside the coverage).
 * @flags: enum hk_lite_port_flags.
 * -EINVAL: coverage 1 to 7.
 */
int hk_deployment_add_port(struct hk_deployment *deployment, uint16_t port, uint16_t coverage,
			   uint16_t min_coverage, uint32_t flags);

/* GSO messages leaving by @ifindex are cut by this device of hooker/kernel/segmenter.h first. */
int hk_deployment_set_segmenter(struct hk_deployment *deployment, int ifindex, int segmenter);

/* -ENOENT: it was not registered. */
int hk_deployment_del_port(struct hk_deployment *deployment, uint16_t port);

/**
 * Replaces one step while traffic flows; the next packet runs the new one. @object: an object file in
 * which @program (NULL: the step's usual one) is found; it shares the deployment's maps of the same
 * names. @object NULL: the one Hooker was built with. -ESRCH: no such step. -ENOENT: no such file or
 * program. -EINVAL: the program is of another hook, or refused.
 */
int hk_deployment_swap_step(struct hk_deployment *deployment, const char *step, const char *object,
			    const char *program);

/* Packets counted by a step for a reason since it was deployed (0: handed on); -ENOENT: no such step. */
int hk_deployment_count(const struct hk_deployment *deployment, const char *step,
			unsigned int reason, uint64_t *packets);

void hk_deployment_times(const struct hk_deployment *deployment, struct hk_deploy_times *times);

/* For people and programs: an object as in hooker/transport/README.md; NULL if out of memory. */
json_t *hk_deployment_status(const struct hk_deployment *deployment);

/* Detaches everything, removes the pins, frees. NULL is fine. */
void hk_transport_undeploy(struct hk_deployment *deployment);

/* Detaches and removes what is pinned in @pin_dir, even half a deployment. -ENOENT: nothing is. */
int hk_transport_unpin(const char *pin_dir);

/* Frees; what is pinned stays deployed, what is not is detached. NULL is fine. */
void hk_deployment_close(struct hk_deployment *deployment);

/* ---------------------------------------------------------------- places */

/**
 * The folder for @desc's pins in this network namespace: all namespaces share one bpffs, so that its
 * name has the namespace's inode number in it. -ENOENT: no bpffs is mounted.
 */
int hk_transport_pin_dir(const struct hk_transport_desc *desc, char *path, size_t size);

/* Where the .bpf.c files are: beside the build or installed with the program. -ENOENT: nowhere. */
int hk_transport_source_dir(char *path, size_t size);

#endif
