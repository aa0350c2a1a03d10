// SPDX-License-Identifier: GPL-2.0
/*
 * `capture INTERFACE`: keeps one capture open and cuts it into files on command, so that a
 * measurement need not start and stop tcpdump around every transfer.
 *
 *   stdin              stdout
 *                      ready
 *   start FILE         started           what came before is forgotten
 *   start @OFFSET                        the capture goes to the window, at most --slot MB from there
 *   stop               stopped FRAMES DROPPED BYTES
 *
 * It runs at idle priority over a ring that holds a whole transfer, and writes only at `stop`: while
 * hosts are being timed it takes neither their processor nor a disk. End of input ends it. The window
 * is memory shared with the machine below (testbed vm run --window).
 */
#include <argp.h>
#include <errno.h>
#include <fcntl.h>
#include <pcap/pcap.h>
#include <poll.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <unistd.h>

enum {
	EXIT_FAILED = 1,
	EXIT_USAGE = 2,
	SNAPLEN = 262144,
	/*
	 * The kernel hands over a partly filled block after this, and libpcap's blocks are 256 KB: while
	 * nobody takes them, a ring of 64 MB holds 64 MB of a fast flow, but of a slow one 256 times this.
	 */
	RETIRE_MS = 100,
	FILE_BUFFER = 512 * 1024 * 1024, /* untouched pages cost nothing */
};

struct capture {
	const char *interface, *window_path;
	int ring_mb, slot_mb;
	bool sent_only;
	int window_fd;
	char *slot; /* NULL: the capture goes to a file */
	size_t slot_used;
	pcap_t *pcap;
	char *buffer;
	pcap_dumper_t *dumper; /* NULL between `stop` and `start` */
	struct timeval since;  /* of `start`: frames from before may still be in the ring */
	unsigned long frames;
	unsigned int dropped_before;
};

static void take(unsigned char *arg, const struct pcap_pkthdr *header, const unsigned char *data)
{
	struct capture *c = (struct capture *)arg;

	if (!c->dumper || timercmp(&header->ts, &c->since, <))
		return;
	pcap_dump((unsigned char *)c->dumper, header, data);
	c->frames++;
}

/* Take what the ring holds, and whatever the kernel still has in an unfinished block. */
static int drain(struct capture *c)
{
	struct pollfd ring = { .fd = pcap_get_selectable_fd(c->pcap), .events = POLLIN };
	int n;

	do {
		n = pcap_dispatch(c->pcap, -1, take, (unsigned char *)c);
		if (n < 0)
			return n;
	} while (n > 0 || poll(&ring, 1, RETIRE_MS + RETIRE_MS / 2) > 0);
	return 0;
}

static unsigned int dropped(struct capture *c)
{
	struct pcap_stat st = { 0 };

	pcap_stats(c->pcap, &st);
	return st.ps_drop + st.ps_ifdrop;
}

/* What stdio calls when its buffer goes to the window. */
static ssize_t write_slot(void *arg, const char *data, size_t len)
{
	struct capture *c = arg;

	if (len > (size_t)c->slot_mb * 1024 * 1024 - c->slot_used) {
		errno = ENOSPC;
		return 0;
	}
	memcpy(c->slot + c->slot_used, data, len);
	c->slot_used += len;
	return len;
}

static FILE *open_slot(struct capture *c, const char *offset)
{
	static const cookie_io_functions_t io = { .write = write_slot };

	c->slot = mmap(NULL, (size_t)c->slot_mb * 1024 * 1024, PROT_READ | PROT_WRITE, MAP_SHARED,
		       c->window_fd, strtoull(offset, NULL, 10));
	if (c->slot == MAP_FAILED) {
		c->slot = NULL;
		return NULL;
	}
	c->slot_used = 0;
	return fopencookie(c, "wb", io);
}

static void close_slot(struct capture *c)
{
	if (c->slot)
		munmap(c->slot, (size_t)c->slot_mb * 1024 * 1024);
	c->slot = NULL;
}

static int start(struct capture *c, const char *path)
{
	FILE *file;

	if (c->dumper)
		return -1;
	file = path[0] == '@' ? open_slot(c, path + 1) : fopen(path, "wb");
	if (!file) {
		fprintf(stderr, "capture: can't write '%s': %s\n", path, strerror(errno));
		return -1;
	}
	setvbuf(file, c->buffer, _IOFBF, FILE_BUFFER);
	c->dumper = pcap_dump_fopen(c->pcap, file);
	c->frames = 0;
	c->dropped_before = dropped(c);
	gettimeofday(&c->since, NULL);
	return c->dumper ? 0 : -1;
}

static int stop(struct capture *c)
{
	long bytes;
	bool bad;

	if (!c->dumper || drain(c) < 0)
		return -1;
	bytes = pcap_dump_ftell(c->dumper);
	bad = pcap_dump_flush(c->dumper) || ferror(pcap_dump_file(c->dumper));
	if (bad)
		fprintf(stderr, "capture: can't write: %s\n", strerror(errno));
	pcap_dump_close(c->dumper);
	c->dumper = NULL;
	if (c->slot)
		bytes = c->slot_used;
	close_slot(c);
	if (bad)
		return -1;
	printf("stopped %lu %u %ld\n", c->frames, dropped(c) - c->dropped_before, bytes);
	return 0;
}

static int obey(struct capture *c, char *line)
{
	int err = -1;

	line[strcspn(line, "\n")] = '\0';
	if (strncmp(line, "start ", 6) == 0) {
		err = start(c, line + 6);
		if (!err)
			printf("started\n");
	} else if (strcmp(line, "stop") == 0) {
		err = stop(c);
	}
	if (err)
		fprintf(stderr, "capture: '%s' failed: %s\n", line, pcap_geterr(c->pcap));
	fflush(stdout);
	return err;
}

static int open_ring(struct capture *c)
{
	char why[PCAP_ERRBUF_SIZE] = "";
	int err = PCAP_ERROR;

	c->pcap = pcap_create(c->interface, why);
	if (c->pcap) {
		pcap_set_snaplen(c->pcap, SNAPLEN);
		pcap_set_timeout(c->pcap, RETIRE_MS);
		pcap_set_buffer_size(c->pcap, c->ring_mb * 1024 * 1024);
		err = pcap_activate(c->pcap);
		if (err >= 0)
			err = pcap_setnonblock(c->pcap, 1, why);
		if (err >= 0 && c->sent_only)
			err = pcap_setdirection(c->pcap, PCAP_D_OUT);
	}
	if (err < 0)
		fprintf(stderr, "capture: can't capture on '%s': %s\n", c->interface,
			why[0] ? why : pcap_geterr(c->pcap));
	return err < 0 ? err : 0;
}

static int run(struct capture *c)
{
	struct pollfd fds[] = { { .fd = STDIN_FILENO, .events = POLLIN },
				{ .fd = pcap_get_selectable_fd(c->pcap), .events = POLLIN } };
	struct sched_param none = { 0 };
	char line[4200];

	sched_setscheduler(0, SCHED_IDLE, &none);
	setvbuf(stdin, NULL, _IONBF, 0); /* poll() must see every line that was not read yet */
	printf("ready\n");
	fflush(stdout);
	for (;;) {
		if (poll(fds, 2, -1) < 0 && errno != EINTR)
			return -1;
		if (fds[1].revents && pcap_dispatch(c->pcap, -1, take, (unsigned char *)c) < 0)
			return -1;
		if (!fds[0].revents)
			continue;
		if (!fgets(line, sizeof(line), stdin))
			return 0;
		if (obey(c, line))
			return -1;
	}
}

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
	struct capture *c = state->input;

	switch (key) {
	case 'm':
		c->ring_mb = atoi(arg);
		if (c->ring_mb < 1 || c->ring_mb > 1024)
			argp_error(state, "--ring takes 1 to 1024 (MB), not '%s'", arg);
		return 0;
	case 'w': c->window_path = arg; return 0;
	case 'o': c->sent_only = true; return 0;
	case 's':
		c->slot_mb = atoi(arg);
		if (c->slot_mb < 1)
			argp_error(state, "--slot takes a number of MB, not '%s'", arg);
		return 0;
	case ARGP_KEY_ARG:
		if (state->arg_num)
			argp_error(state, "unexpected argument '%s'", arg);
		c->interface = arg;
		return 0;
	case ARGP_KEY_END:
		if (!c->interface)
			argp_error(state, "INTERFACE is needed");
		return 0;
	default: return ARGP_ERR_UNKNOWN;
	}
}

int main(int argc, char **argv)
{
	static const struct argp_option options[] = {
		{ "ring", 'm', "MB", 0, "memory for frames not yet taken (64)", 0 },
		{ "window", 'w', "FILE", 0, "memory for `start @OFFSET`", 0 },
		{ "slot", 's', "MB", 0, "at most so much of it for a capture (64)", 0 },
		{ "sent", 'o', NULL, 0,
		  "only what this host sends: what it receives is seen after XDP, not as on the wire",
		  0 },
		{ 0 },
	};
	static const struct argp argp = {
		.options = options,
		.parser = parse_option,
		.args_doc = "INTERFACE",
		.doc = "Capture on command: `start FILE`, `stop` on standard input.",
	};
	struct capture c = { .ring_mb = 64, .slot_mb = 64, .window_fd = -1 };
	int err = 0;

	argp_err_exit_status = EXIT_USAGE;
	argp_parse(&argp, argc, argv, 0, NULL, &c);
	c.buffer = malloc(FILE_BUFFER);
	if (!c.buffer) {
		fprintf(stderr, "capture: out of memory\n");
		return EXIT_FAILED;
	}
	if (c.window_path) {
		c.window_fd = open(c.window_path, O_RDWR | O_CLOEXEC);
		err = c.window_fd < 0 ? -errno : 0;
		if (err)
			fprintf(stderr, "capture: can't open '%s': %s\n", c.window_path,
				strerror(-err));
	}
	if (!err)
		err = open_ring(&c);
	if (!err)
		err = run(&c);
	if (c.pcap)
		pcap_close(c.pcap);
	free(c.buffer);
	return err ? EXIT_FAILED : 0;
}
