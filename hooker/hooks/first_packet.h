/* SPDX-License-Identifier: GPL-2.0 */
/* When has a deployment carried its first packet? Sends one, and watches the chain count it. */
#ifndef HOOKER_FIRST_PACKET_H
#define HOOKER_FIRST_PACKET_H

#include "hooker/transport/transport.h"

/* Monotonic milliseconds. */
double hk_first_packet_now(void);

/**
 * Registers a port, sends one empty datagram to the broadcast address's discard port on @ifindex, and
 * waits until the last tc egress step has counted it. The interface needs an IPv4 address.
 * Returns 0, -ETIMEDOUT after a second, or -errno.
 */
int hk_first_packet(struct hk_deployment *deployment, const struct hk_transport_desc *desc,
		    int ifindex);

#endif
