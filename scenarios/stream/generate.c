// SPDX-License-Identifier: GPL-2.0
/*
 * `stream generate`: files shaped like a text, an image (JFIF) and a video (MP4). Same kind, size
 * and seed, same bytes. They need not open in a viewer; what matters is that they carry what such
 * files carry: line ends, NUL runs, length fields, incompressible stretches.
 */
#include <argp.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "scenarios/stream/stream.h"

struct generate_options {
	const char *kind, *output;
	uint64_t size, seed;
	bool sized;
};

struct writer {
	unsigned char *data;
	size_t len, size;
	uint64_t random;
};

/* splitmix64 (Steele, Lea, Flood 2014): short, and the same on every machine. */
static uint64_t next_random(struct writer *w)
{
	uint64_t z = (w->random += 0x9e3779b97f4a7c15ULL);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
	return z ^ (z >> 31);
}

static bool full(const struct writer *w)
{
	return w->len == w->size;
}

static void put(struct writer *w, const void *data, size_t len)
{
	size_t room = w->size - w->len;

	if (len > room)
		len = room;
	memcpy(w->data + w->len, data, len);
	w->len += len;
}

static void put_be32(struct writer *w, uint32_t v)
{
	unsigned char b[4] = { v >> 24, v >> 16, v >> 8, v };

	put(w, b, sizeof(b));
}

static void put_random(struct writer *w, size_t len)
{
	while (len && !full(w)) {
		uint64_t r = next_random(w);
		size_t n = len < sizeof(r) ? len : sizeof(r);

		put(w, &r, n);
		len -= n;
	}
}

static void generate_text(struct writer *w)
{
	static const char *const words[] = {
		"the",	    "of",      "and",	   "to",	  "in",	     "packet",	"transport",
		"kernel",   "a",       "is",	   "stream",	  "socket",  "latency", "protocol",
		"with",	    "network", "hook",	   "deployment",  "program", "layer",	"host",
		"receiver", "window",  "checksum", "application", "user",    "that",	"for",
	};
	const size_t n = sizeof(words) / sizeof(words[0]);
	size_t column = 0;

	while (!full(w)) {
		uint64_t r = next_random(w);
		/* The product of two uniform numbers favours the first words, as a language does. */
		const char *word = words[(r & 0xffff) * (r >> 48) * n >> 32];

		if (column) {
			bool wrap = column + strlen(word) > 76;

			put(w, wrap ? "\n" : " ", 1);
			column = wrap ? 0 : column + 1;
		}
		put(w, word, strlen(word));
		column += strlen(word);
		if ((r >> 16 & 15) == 0) {
			put(w, ".\n", 2);
			column = 0;
		}
	}
	if (w->size)
		w->data[w->size - 1] = '\n';
}

static void generate_image(struct writer *w)
{
	static const unsigned char soi_jfif[] = { 0xff, 0xd8, 0xff, 0xe0, 0x00, 0x10, 'J',
						  'F',	'I',  'F',  0x00, 0x01, 0x01, 0x00,
						  0x00, 0x01, 0x00, 0x01, 0x00, 0x00 };
	static const unsigned char sof[] = { 0xff, 0xc0, 0x00, 0x11, 0x08, 0x04, 0x38,
					     0x07, 0x80, 0x03, 0x01, 0x22, 0x00, 0x02,
					     0x11, 0x01, 0x03, 0x11, 0x01 };
	static const unsigned char sos[] = { 0xff, 0xda, 0x00, 0x0c, 0x03, 0x01, 0x00,
					     0x02, 0x11, 0x03, 0x11, 0x00, 0x3f, 0x00 };
	static const unsigned char eoi[] = { 0xff, 0xd9 };
	unsigned char dqt[69] = { 0xff, 0xdb, 0x00, 0x43, 0x00 };

	put(w, soi_jfif, sizeof(soi_jfif));
	for (size_t i = 5; i < sizeof(dqt); i++)
		dqt[i] = 1 + i / 4;
	put(w, dqt, sizeof(dqt));
	put(w, sof, sizeof(sof));
	put(w, sos, sizeof(sos));
	while (!full(w)) {
		unsigned char byte = next_random(w);

		put(w, &byte, 1);
		if (byte == 0xff)
			put(w, "", 1); /* entropy-coded data stuffs a NUL after each 0xff */
	}
	if (w->size >= sizeof(eoi))
		memcpy(w->data + w->size - sizeof(eoi), eoi, sizeof(eoi));
}

static void generate_video(struct writer *w)
{
	static const char ftyp[] = "ftypisom\0\0\2\0isomiso2avc1mp41";
	uint32_t frame = 0;

	put_be32(w, 4 + sizeof(ftyp) - 1);
	put(w, ftyp, sizeof(ftyp) - 1);
	put_be32(w, w->size > w->len ? w->size - w->len : 8);
	put(w, "mdat", 4);
	while (!full(w)) {
		/* A key frame each 50 frames, NAL units behind 32-bit lengths, and the runs of NULs
		 * that filler data leaves in a constant-rate stream. */
		bool key = frame++ % 50 == 0;
		uint32_t len = (key ? 60000 : 8000) + next_random(w) % 9000;

		put_be32(w, len + 1);
		put(w, key ? "\x65" : "\x41", 1);
		put_random(w, len);
		if (frame % 10 == 0) {
			put_be32(w, 65);
			put(w, "\x0c", 1);
			put(w, (const char[64]){ 0 }, 64);
		}
	}
}

static const struct {
	const char *name;
	void (*generate)(struct writer *w);
} kinds[] = {
	{ "text", generate_text },
	{ "image", generate_image },
	{ "video", generate_video },
};

static error_t parse_generate(int key, char *arg, struct argp_state *state)
{
	struct generate_options *o = state->input;
	char *end = "";

	switch (key) {
	case 'k': o->kind = arg; return 0;
	case 'o': o->output = arg; return 0;
	case 'n':
		errno = 0;
		o->size = strtoull(arg, &end, 10);
		o->sized = true;
		if (*end || !*arg || *arg == '-' || errno)
			argp_error(state, "--size takes a number of bytes, not '%s'", arg);
		return 0;
	case 's':
		o->seed = strtoull(arg, &end, 10);
		if (*end || !*arg)
			argp_error(state, "--seed takes a number, not '%s'", arg);
		return 0;
	case ARGP_KEY_ARG: argp_error(state, "unexpected argument '%s'", arg); return 0;
	case ARGP_KEY_END:
		if (!o->kind || !o->sized || !o->output)
			argp_error(state, "--kind, --size and --output are needed");
		return 0;
	default: return ARGP_ERR_UNKNOWN;
	}
}

int cmd_generate(int argc, char **argv)
{
	static const struct argp_option options[] = {
		{ "kind", 'k', "text|image|video", 0, "what the file looks like", 0 },
		{ "size", 'n', "N", 0, "its size in bytes", 0 },
		{ "seed", 's', "N", 0, "another seed, another file (1)", 0 },
		{ "output", 'o', "FILE", 0, "where to write it", 0 },
		{ 0 },
	};
	static const struct argp argp = {
		.options = options,
		.parser = parse_generate,
		.doc = "Write a test file: same kind, size and seed, same bytes.",
	};
	struct generate_options o = { .seed = 1 };
	struct writer w = { 0 };
	FILE *file = NULL;
	size_t i = 0;
	int status = STREAM_FAILED;

	argp_err_exit_status = STREAM_USAGE;
	argp_parse(&argp, argc, argv, 0, NULL, &o);
	while (i < sizeof(kinds) / sizeof(kinds[0]) && strcmp(kinds[i].name, o.kind))
		i++;
	if (i == sizeof(kinds) / sizeof(kinds[0])) {
		fprintf(stderr, "stream generate: no kind '%s'; there are text, image and video\n",
			o.kind);
		return STREAM_USAGE;
	}
	w.size = o.size;
	w.random = o.seed;
	w.data = malloc(w.size ? w.size : 1);
	if (!w.data) {
		fprintf(stderr, "stream generate: no memory for %zu bytes\n", w.size);
		goto out;
	}
	kinds[i].generate(&w);
	file = fopen(o.output, "wb");
	if (!file || fwrite(w.data, 1, w.size, file) != w.size)
		goto out_write;
	i = fclose(file);
	file = NULL;
	if (i)
		goto out_write;
	status = STREAM_OK;
	goto out;
out_write:
	fprintf(stderr, "stream generate: can't write '%s': %s\n", o.output, strerror(errno));
out:
	if (file)
		fclose(file);
	free(w.data);
	return status;
}
