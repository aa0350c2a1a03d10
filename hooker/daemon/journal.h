/* SPDX-License-Identifier: GPL-2.0 */
/* `hooker events`: what happens to connections, told to whoever follows; costs nothing while nobody does. */
#ifndef HOOKER_DAEMON_JOURNAL_H
#define HOOKER_DAEMON_JOURNAL_H

struct event_base;
struct hk_attach;
struct hk_control;
struct hk_journal;

/* Serves followers of @control on @base. Returns 0 or -errno. */
int hk_journal_open(struct hk_journal **out, struct hk_attach *attach, struct event_base *base,
		    struct hk_control *control);

struct sock_key;

/* A relayed connection fell back, which only userspace knows. NULL is fine. */
void hk_journal_fell_back(struct hk_journal *journal, const struct sock_key *key, int reason);

/* NULL is fine. Call it before hk_control_close(). */
void hk_journal_close(struct hk_journal *journal);

#endif
