// SPDX-License-Identifier: GPL-2.0
#include "hooker/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <bpf/libbpf.h>

static enum hk_log_level log_level = HK_LOG_INFO;

static void log_print(enum hk_log_level level, const char *format, va_list args)
{
	static const char *const words[] = { "error", "warning", "info", "debug" };

	if (level > log_level)
		return;
	fprintf(stderr, "hooker: %s: ", words[level]);
	vfprintf(stderr, format, args);
	fputc('\n', stderr);
}

void hk_log(enum hk_log_level level, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	log_print(level, format, args);
	va_end(args);
}

/* libbpf reports as warnings what is merely a probe that failed; callers report real errors. */
static int libbpf_print(enum libbpf_print_level level, const char *format, va_list args)
{
	if ((int)level + 2 > (int)log_level)
		return 0;
	return vfprintf(stderr, format, args);
}

void hk_log_setup(enum hk_log_level level)
{
	log_level = level;
	libbpf_set_print(libbpf_print);
}
