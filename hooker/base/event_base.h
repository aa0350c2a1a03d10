/* SPDX-License-Identifier: GPL-2.0 */
/* libevent, as Hooker uses it. */
#ifndef HOOKER_BASE_EVENT_BASE_H
#define HOOKER_BASE_EVENT_BASE_H

struct event_base;

/* An event loop whose timers are precise to the microsecond, for one thread. NULL: no memory. */
struct event_base *hk_event_base_new(void);

#endif
