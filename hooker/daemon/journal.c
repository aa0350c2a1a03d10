// SPDX-License-Identifier: GPL-2.0
#include "hooker/daemon/journal.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdlib.h>
#include <time.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <event2/event.h>

#include "bpf/sockops.skel.h"
#include "hooker/hooks/attach.h"
#include "hooker/state/control.h"
#include "hooker/state/flows.h"
#include "hooker/base/flow_key.h"
#include "hooker/base/log.h"

struct hk_journal {
	struct hk_control *control;
	struct ring_buffer *notes;
	struct event *ready;
	int config_fd, flows_fd;
	int followers;
};

static int on_note(void *arg, void *data, size_t size)
{
	struct hk_journal *journal = arg;

	if (size >= sizeof(struct hk_note))
		hk_control_publish(journal->control, hk_note_json(data));
	return 0;
}

static void on_ready(evutil_socket_t fd, short what, void *arg)
{
	struct hk_journal *journal = arg;

	(void)fd, (void)what;
	ring_buffer__consume(journal->notes);
}

/* The programs write notes only while the flag is set. */
static void on_followers(void *arg, int count)
{
	struct hk_journal *journal = arg;
	struct hk_config config;
	__u32 zero = 0;

	journal->followers = count;
	if (bpf_map_lookup_elem(journal->config_fd, &zero, &config))
		return;
	if (count)
		config.flags |= HK_CONFIG_JOURNAL;
	else
		config.flags &= ~HK_CONFIG_JOURNAL;
	if (bpf_map_update_elem(journal->config_fd, &zero, &config, BPF_ANY))
		hk_warn("can't turn events %s", count ? "on" : "off");
}

int hk_journal_open(struct hk_journal **out, struct hk_attach *attach, struct event_base *base,
		    struct hk_control *control)
{
	struct hk_journal *journal = calloc(1, sizeof(*journal));
	int err;

	if (!journal)
		return -ENOMEM;
	journal->control = control;
	journal->config_fd = bpf_map__fd(attach->sockops->maps.hk_config);
	journal->flows_fd = bpf_map__fd(attach->sockops->maps.hk_flows);
	journal->notes = ring_buffer__new(bpf_map__fd(attach->sockops->maps.hk_journal), on_note,
					  journal, NULL);
	err = journal->notes ? 0 : -errno;
	if (!err)
		journal->ready = event_new(base, ring_buffer__epoll_fd(journal->notes),
					   EV_READ | EV_PERSIST, on_ready, journal);
	if (!err && (!journal->ready || event_add(journal->ready, NULL)))
		err = -ENOMEM;
	if (err) {
		hk_error("can't read events from the kernel: %s", strerror(-err));
		hk_journal_close(journal);
		return err;
	}
	hk_control_on_followers(control, on_followers, journal);
	*out = journal;
	return 0;
}

void hk_journal_fell_back(struct hk_journal *journal, const struct sock_key *key, int reason)
{
	struct hk_note note = {
		.what = HK_NOTE_FELL_BACK,
		.state = HK_FLOW_ACTIVE,
		.datapath = HK_DATAPATH_RELAY,
		.transport = HK_TRANSPORT_TCP,
		.reason = reason,
		.key = hk_flow_key_of(key),
	};
	struct timespec now;
	struct hk_flow flow;

	if (!journal || !journal->followers)
		return;
	clock_gettime(CLOCK_MONOTONIC, &now);
	note.at_ns = note.since_ns = now.tv_sec * 1000000000ull + now.tv_nsec;
	if (!bpf_map_lookup_elem(journal->flows_fd, &note.key, &flow)) {
		note.flags = flow.flags;
		note.cookie = flow.cookie;
		note.since_ns = flow.since_ns;
		note.tx_bytes = flow.tx_bytes;
	}
	hk_control_publish(journal->control, hk_note_json(&note));
}

void hk_journal_close(struct hk_journal *journal)
{
	if (!journal)
		return;
	hk_control_on_followers(journal->control, NULL, NULL);
	if (journal->ready)
		event_free(journal->ready);
	ring_buffer__free(journal->notes);
	free(journal);
}
