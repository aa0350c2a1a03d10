/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The event loop, polling instead of sleeping while small messages go to and fro. What an answer waits for then is
 * to be woken, three times each way, and a processor that has gone idle meanwhile: 20 us each in a virtual machine.
 */
#ifndef HOOKER_DAEMON_SPIN_H
#define HOOKER_DAEMON_SPIN_H

struct event_base;
struct hk_relay;

/*
 * Serves @base until event_base_loopbreak(). @busy_poll_us: how long to poll after a message of @relay before
 * sleeping; 0, or no relay, or only one processor: not at all.
 */
void spin_loop(struct event_base *base, const struct hk_relay *relay, unsigned int busy_poll_us);

#endif
