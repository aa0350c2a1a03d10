/* SPDX-License-Identifier: GPL-2.0 */
/* Frames as bytes, for tests that make, change and feed them by hand. */
#ifndef RDT_FRAMES_H
#define RDT_FRAMES_H

#include "hooker/tests/rdt_sim.h"

#define FRAMES_NOW (5 * SIM_SEC)

extern const struct rdt_identity frames_a, frames_b; /* of the two ends of one connection */

struct rdt_conn *frames_conn(const struct rdt_identity *id);
/* The datagram as bytes; returns how many. */
size_t frames_flat(const struct rdt_datagram *d, uint8_t *buf);
/* A valid DATA frame of 5 bytes from a to b, as bytes. */
size_t frames_sample(uint8_t *buf);
/* Parses and takes one: as rdt_input(), or why the parser refused. */
int frames_feed(struct rdt_conn *c, const uint8_t *buf, size_t len);
void frames_put64(uint8_t *at, uint64_t v);

#endif
