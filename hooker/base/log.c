// SPDX-License-Identifier: GPL-2.0
#include "hooker/base/log.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <bpf/libbpf.h>

#define ERRORS_KEPT 32 /* a daemon may live long; the first ones are the cause */

static const char *const words[] = { "error", "warning", "info", "debug" };
static const int priorities[] = { 3, 4, 6, 7 }; /* of syslog */

static enum hk_log_level log_level = HK_LOG_INFO; /* atomic: changed while threads run */
static bool to_journal;
static json_t *errors;

/* systemd tells which stream is the journal's; stderr may have been sent elsewhere since. */
static bool is_journal(int fd)
{
	const char *stream = getenv("JOURNAL_STREAM");
	unsigned long long device, inode;
	struct stat st;

	return stream && sscanf(stream, "%llu:%llu", &device, &inode) == 2 && !fstat(fd, &st) &&
	       st.st_dev == device && st.st_ino == inode;
}

static void keep_error(const char *format, va_list args)
{
	va_list copy;

	if (!errors)
		errors = json_array();
	if (json_array_size(errors) >= ERRORS_KEPT)
		return;
	va_copy(copy, args);
	json_array_append_new(errors, json_vsprintf(format, copy));
	va_end(copy);
}

static void print(enum hk_log_level level, const char *word, const char *format, va_list args)
{
	if (level > __atomic_load_n(&log_level, __ATOMIC_RELAXED))
		return;
	if (to_journal)
		fprintf(stderr, "<%d>", priorities[level]);
	else
		fprintf(stderr, "hooker: %s: ", word);
	vfprintf(stderr, format, args);
	fputc('\n', stderr);
}

/* The stream's lock keeps lines of several threads whole, and the list of errors, too. */
static void log_print(enum hk_log_level level, const char *word, const char *format, va_list args)
{
	flockfile(stderr);
	if (level == HK_LOG_ERROR)
		keep_error(format, args);
	print(level, word, format, args);
	funlockfile(stderr);
}

void hk_log(enum hk_log_level level, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	log_print(level, words[level], format, args);
	va_end(args);
}

void hk_hint(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	log_print(HK_LOG_ERROR, "hint", format, args);
	va_end(args);
}

json_t *hk_log_errors(void)
{
	return errors ? json_copy(errors) : json_array();
}

/* libbpf reports as warnings what is merely a probe that failed; callers report real errors. */
static int libbpf_print(enum libbpf_print_level level, const char *format, va_list args)
{
	if ((int)level + 2 > (int)__atomic_load_n(&log_level, __ATOMIC_RELAXED))
		return 0;
	if (to_journal)
		fprintf(stderr, "<%d>", priorities[HK_LOG_DEBUG]);
	return vfprintf(stderr, format, args);
}

void hk_log_limit(enum hk_log_level level)
{
	__atomic_store_n(&log_level, level, __ATOMIC_RELAXED);
}

void hk_log_setup(enum hk_log_level level)
{
	hk_log_limit(level);
	to_journal = is_journal(STDERR_FILENO);
	libbpf_set_print(libbpf_print);
}

int hk_log_level(const char *word)
{
	int i;

	for (i = 0; i < 4; i++)
		if (!strcmp(word, words[i]))
			return i;
	return -1;
}
