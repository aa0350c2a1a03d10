/* SPDX-License-Identifier: GPL-2.0 */
/* What `hooker status` and `hooker doctor` find: {check, verdict, detail, remedy}. */
#ifndef HOOKER_VERDICT_H
#define HOOKER_VERDICT_H

#include <jansson.h>

enum hk_verdict_level { HK_OK, HK_WARN, HK_FAIL };

/* Adds one to @list. @remedy: what to do about it, NULL where nothing is wrong. */
void hk_verdict(json_t *list, const char *check, enum hk_verdict_level level, const char *remedy,
		const char *format, ...) __attribute__((format(printf, 5, 6)));

/* The worst of @list. */
enum hk_verdict_level hk_verdict_worst(const json_t *list);

/* A line each, for people; below it the remedy. */
void hk_verdict_print(const json_t *list);

#endif
