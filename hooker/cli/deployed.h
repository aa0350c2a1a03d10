/* SPDX-License-Identifier: GPL-2.0 */
/* What is deployed in this network namespace: kept by pins, or by a running `hooker run`. */
#ifndef HOOKER_DEPLOYED_H
#define HOOKER_DEPLOYED_H

#include <jansson.h>

#include "hooker/transport/transport.h"

/**
 * Opens it, whoever keeps it. -ENOENT: it is not deployed. -EACCES or -EPERM: the caller may not know.
 * Says nothing.
 */
int hk_deployed_open(const struct hk_transport_desc *desc, struct hk_deployment **out);

/* What a running `hooker run` says of it (hk_lite_json()), a new object; NULL: nothing. Says nothing. */
json_t *hk_deployed_by_daemon(const struct hk_transport_desc *desc);

#endif
