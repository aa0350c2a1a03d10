/* SPDX-License-Identifier: GPL-2.0 */
/* What the files of hooker/transport/ share. */
#ifndef HOOKER_TRANSPORT_INTERNAL_H
#define HOOKER_TRANSPORT_INTERNAL_H

#include <limits.h>
#include <bpf/libbpf.h>

#include "hooker/hooks/tc.h"
#include "hooker/transport/transport.h"

#define MAPS_MAX       16
#define INTERFACES_MAX 64

struct named_map {
	char name[BPF_OBJ_NAME_LEN];
	int fd;
};

struct deployed_interface {
	int ifindex;
	struct hk_dispatch *dispatch;
	bool own_dispatch;
	struct hk_tc *tx;
	/* Of a deployment opened from its pins: what was found there. */
	const char *tx_kind;
};

struct hk_deployment {
	const struct hk_transport_desc *desc;
	struct bpf_object *obj; /* NULL: opened from pins, file descriptors are ours */
	struct named_map maps[MAPS_MAX];
	int map_count;
	int entry_fd; /* hk_rx_entry: never swapped, so its load time is the deployment's */
	bool from_source;
	struct deployed_interface interfaces[INTERFACES_MAX];
	size_t interface_count;
	struct hk_deploy_times times;
	char pin_dir[PATH_MAX]; /* empty: not pinned */
};

/* source.c: compiles @source_dir/@source into a new temporary file, removed by the caller. */
int hk_source_compile(const char *source_dir, const char *source, char *object, size_t size);

/* Whether packets may arrive there whose checksum nobody has computed. */
bool hk_iface_has_unfinished(int ifindex, bool native_xdp);

/* verifier.c: has each program of @obj leave its statistics in *logs, which the caller frees. */
int hk_verifier_watch(struct bpf_object *obj, char **logs);
/* Milliseconds in the verifier, of all programs of @obj, once it is loaded. */
double hk_verifier_ms(const struct bpf_object *obj, const char *logs);

/* steps.c */
int hk_map_fd(const struct hk_deployment *deployment, const char *name);
const struct hk_step_desc *hk_step_find(const struct hk_transport_desc *desc, const char *name,
					unsigned int *slot);
int hk_steps_fill(struct hk_deployment *deployment);
extern const char *const hk_step_maps[HK_STEP_HOOKS];

/* pins.c */
int hk_pins_create(struct hk_deployment *deployment, const char *dir);
int hk_pins_add_interface(struct hk_deployment *deployment, const struct deployed_interface *iface);

#endif
