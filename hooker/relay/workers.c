// SPDX-License-Identifier: GPL-2.0
/*
 * The threads behind the loops but the first, which is the daemon's main thread. That one alone looks into other loops, and
 * only while they stand still (pause); they only tell it something (fall-backs), and never wait for it.
 */
#include "hooker/relay/loop.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include <event2/event.h>

#include "hooker/base/log.h"
#include "hooker/relay/slice.h"

/* Of fall-backs that the main thread has not heard of; what is more is lost. */
#define NOTES_BYTES (1 << 20)

struct worker {
	struct workers *workers;
	struct loop *loop;
	pthread_t thread;
	bool running;
	int wake; /* eventfd */
	struct event *woken;
};

struct workers {
	struct hk_relay *relay;
	pthread_mutex_t lock;
	pthread_cond_t all_parked, go_on;
	unsigned int pauses; /* nested; of the main thread */
	unsigned int parked;
	bool paused, stopping; /* under the lock */
	int notes[2];	       /* a pipe: struct note */
	struct event *noted;
	struct worker each[HK_LOOPS_MAX - 1];
};

struct note {
	struct sock_key key;
	int reason;
};

static unsigned int count(const struct workers *workers)
{
	return workers->relay->loop_count - 1;
}

/* ---- in the worker's thread ---- */

static void on_woken(evutil_socket_t fd, short what, void *arg)
{
	struct worker *worker = arg;
	struct workers *workers = worker->workers;
	eventfd_t value;

	(void)what;
	eventfd_read(fd, &value);
	pthread_mutex_lock(&workers->lock);
	if (workers->paused) {
		workers->parked++;
		pthread_cond_signal(&workers->all_parked);
		while (workers->paused)
			pthread_cond_wait(&workers->go_on, &workers->lock);
		workers->parked--;
	}
	if (workers->stopping)
		event_base_loopbreak(worker->loop->base);
	pthread_mutex_unlock(&workers->lock);
}

static void *run(void *arg)
{
	struct worker *worker = arg;
	int err = ask_for_slice();

	if (err)
		hk_debug("no slice of our own: %s", strerror(-err));
	spin_loop(worker->loop);
	return NULL;
}

void workers_fell_back(struct loop *loop, const struct sock_key *key, int reason)
{
	const struct hk_relay_options *options = &loop->options;
	struct note note = { *key, reason };

	if (!options->on_fallback)
		return;
	if (!loop->index)
		options->on_fallback(options->arg, key, reason);
	else if (write(loop->relay->workers->notes[1], &note, sizeof(note)) != sizeof(note))
		hk_debug("fall-back of port %u not told", key->src_port);
}

/* ---- in the main thread ---- */

static void on_noted(evutil_socket_t fd, short what, void *arg)
{
	const struct hk_relay_options *options = arg;
	struct note note;

	(void)what;
	while (read(fd, &note, sizeof(note)) == sizeof(note))
		options->on_fallback(options->arg, &note.key, note.reason);
}

static void wake_all(const struct workers *workers)
{
	unsigned int i;

	for (i = 0; i < count(workers); i++)
		eventfd_write(workers->each[i].wake, 1);
}

void workers_pause(struct workers *workers)
{
	if (workers->pauses++ || !count(workers))
		return;
	pthread_mutex_lock(&workers->lock);
	workers->paused = true;
	wake_all(workers);
	while (workers->parked < count(workers))
		pthread_cond_wait(&workers->all_parked, &workers->lock);
	pthread_mutex_unlock(&workers->lock);
}

void workers_resume(struct workers *workers)
{
	if (--workers->pauses || !count(workers))
		return;
	pthread_mutex_lock(&workers->lock);
	workers->paused = false;
	pthread_cond_broadcast(&workers->go_on);
	pthread_mutex_unlock(&workers->lock);
}

/* ---- life ---- */

static int start(struct worker *worker, struct workers *workers, struct loop *loop)
{
	char name[16];
	int err;

	worker->workers = workers;
	worker->loop = loop;
	worker->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (worker->wake < 0)
		return -errno;
	worker->woken = event_new(loop->base, worker->wake, EV_READ | EV_PERSIST, on_woken, worker);
	if (!worker->woken || event_add(worker->woken, NULL))
		return -ENOMEM;
	err = pthread_create(&worker->thread, NULL, run, worker);
	if (err)
		return -err;
	worker->running = true;
	snprintf(name, sizeof(name), "hooker-loop-%u", loop->index);
	pthread_setname_np(worker->thread, name);
	return 0;
}

static int start_all(struct workers *workers)
{
	sigset_t all, before;
	unsigned int i;
	int err = 0;

	/* Signals are for the main thread, and threads inherit what is blocked. */
	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &before);
	for (i = 0; !err && i < count(workers); i++)
		err = start(&workers->each[i], workers, workers->relay->loops[i + 1]);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return err;
}

static int open_notes(struct workers *workers)
{
	struct loop *loop = workers->relay->loops[0];

	if (pipe2(workers->notes, O_CLOEXEC | O_NONBLOCK))
		return -errno;
	fcntl(workers->notes[1], F_SETPIPE_SZ, NOTES_BYTES);
	workers->noted = event_new(loop->base, workers->notes[0], EV_READ | EV_PERSIST, on_noted,
				   &loop->options);
	return workers->noted && !event_add(workers->noted, NULL) ? 0 : -ENOMEM;
}

int workers_open(struct workers **out, struct hk_relay *relay)
{
	struct workers *workers = calloc(1, sizeof(*workers));
	int err, i;

	if (!workers)
		return -ENOMEM;
	workers->relay = relay;
	pthread_mutex_init(&workers->lock, NULL);
	pthread_cond_init(&workers->all_parked, NULL);
	pthread_cond_init(&workers->go_on, NULL);
	workers->notes[0] = workers->notes[1] = -1;
	for (i = 0; i < HK_LOOPS_MAX - 1; i++)
		workers->each[i].wake = -1;
	*out = workers; /* before the threads, which use it */
	err = open_notes(workers);
	if (!err)
		err = start_all(workers);
	if (err)
		hk_error("can't start the relay's threads: %s", strerror(-err));
	return err;
}

static void stop(struct worker *worker)
{
	if (worker->running)
		pthread_join(worker->thread, NULL);
	if (worker->woken)
		event_free(worker->woken);
	if (worker->wake >= 0)
		close(worker->wake);
}

void workers_close(struct workers *workers)
{
	unsigned int i;

	if (!workers)
		return;
	pthread_mutex_lock(&workers->lock);
	workers->stopping = true;
	wake_all(workers);
	pthread_mutex_unlock(&workers->lock);
	for (i = 0; i < count(workers); i++)
		stop(&workers->each[i]);
	if (workers->noted)
		event_free(workers->noted);
	for (i = 0; i < 2; i++)
		if (workers->notes[i] >= 0)
			close(workers->notes[i]);
	pthread_cond_destroy(&workers->go_on);
	pthread_cond_destroy(&workers->all_parked);
	pthread_mutex_destroy(&workers->lock);
	free(workers);
}
