/* SPDX-License-Identifier: GPL-2.0 */
/* What the simulation's own files share. */
#ifndef RDT_SIM_PARTS_H
#define RDT_SIM_PARTS_H

#include "hooker/tests/rdt_sim.h"

/* rdt_sim_link.c: datagrams on their way, the earliest first; memory for them; a direction's doings. */
void sim_push(struct sim *s, struct sim_packet *p);
struct sim_packet *sim_pop(struct sim *s);
struct sim_packet *sim_packet_get(struct sim *s);
void sim_packet_put(struct sim *s, struct sim_packet *p);
void sim_send(struct sim *s, int flow, int to, const struct rdt_datagram *d);

/* rdt_sim_end.c: all that one end can do now. */
void sim_end_work(struct sim *s, int flow, int who);

#endif
