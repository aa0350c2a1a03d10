/* SPDX-License-Identifier: GPL-2.0 */
/* UDP-Lite of a running `hooker run`: deployed at its start, taken away at any time. */
#ifndef HOOKER_LITE_H
#define HOOKER_LITE_H

#include <jansson.h>

struct hk_attach;
struct hk_relay;

/* Deploys the chain for the relay's port. Reports errors. Returns 0 or -errno. */
int hk_lite_deploy(struct hk_attach *attach);

/**
 * Takes UDP-Lite away while connections use it: the relay's go on in UDP, those of the kernel datapath
 * in TCP, and new ones ask for UDP. @relay: NULL in the kernel datapath. -ENOENT: there is none.
 */
int hk_lite_undeploy(struct hk_attach *attach, struct hk_relay *relay);

/* For `hooker transports`: hk_deployment_ids(), or that the kernel datapath has it; NULL: neither. */
json_t *hk_lite_json(const struct hk_attach *attach);

#endif
