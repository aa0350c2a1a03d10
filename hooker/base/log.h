/* SPDX-License-Identifier: GPL-2.0 */
/* Messages for people, on stderr; stdout is for data. */
#ifndef HOOKER_LOG_H
#define HOOKER_LOG_H

#include <jansson.h>

enum hk_log_level { HK_LOG_ERROR, HK_LOG_WARN, HK_LOG_INFO, HK_LOG_DEBUG };

/*
 * Sets the highest level that is printed, and routes libbpf's messages one level lower than it asks.
 * Where stderr is the journal's, lines begin with <N>, its priority, instead of a word.
 */
void hk_log_setup(enum hk_log_level level);

/* Another highest level, from any thread. */
void hk_log_limit(enum hk_log_level level);

/* The level that "error", "warning", "info" or "debug" names, or -1. */
int hk_log_level(const char *word);

void hk_log(enum hk_log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* What to do about the error just reported; printed with errors. */
void hk_hint(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* The errors so far, oldest first: an array of strings, new. */
json_t *hk_log_errors(void);

#define hk_error(...) hk_log(HK_LOG_ERROR, __VA_ARGS__)
#define hk_warn(...)  hk_log(HK_LOG_WARN, __VA_ARGS__)
#define hk_info(...)  hk_log(HK_LOG_INFO, __VA_ARGS__)
#define hk_debug(...) hk_log(HK_LOG_DEBUG, __VA_ARGS__)

#endif
