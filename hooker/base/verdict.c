// SPDX-License-Identifier: GPL-2.0
#include "hooker/base/verdict.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *const words[] = { "ok", "warn", "fail" };

void hk_verdict(json_t *list, const char *check, enum hk_verdict_level level, const char *remedy,
		const char *format, ...)
{
	json_t *detail;
	va_list args;

	va_start(args, format);
	detail = json_vsprintf(format, args);
	va_end(args);
	json_array_append_new(list, json_pack("{s:s, s:s, s:o, s:s?}", "check", check, "verdict",
					      words[level], "detail", detail, "remedy", remedy));
}

static enum hk_verdict_level level_of(const json_t *item)
{
	const char *word = json_string_value(json_object_get(item, "verdict"));
	int i;

	for (i = HK_WARN; word && i <= HK_FAIL; i++)
		if (!strcmp(word, words[i]))
			return i;
	return HK_OK;
}

enum hk_verdict_level hk_verdict_worst(const json_t *list)
{
	enum hk_verdict_level worst = HK_OK;
	const json_t *item;
	size_t i;

	json_array_foreach(list, i, item)
		if (level_of(item) > worst)
			worst = level_of(item);
	return worst;
}

void hk_verdict_print(const json_t *list)
{
	static const char *const colours[] = { "\033[32m", "\033[33m", "\033[31m" };
	bool colour = isatty(STDOUT_FILENO) && !getenv("NO_COLOR");
	const json_t *item;
	size_t i;

	json_array_foreach(list, i, item) {
		enum hk_verdict_level level = level_of(item);
		const char *remedy = json_string_value(json_object_get(item, "remedy"));

		printf("  %s%-5s%s %-12s %s\n", colour ? colours[level] : "", words[level],
		       colour ? "\033[0m" : "", json_string_value(json_object_get(item, "check")),
		       json_string_value(json_object_get(item, "detail")));
		if (remedy)
			printf("  %5s %-12s remedy: %s\n", "", "", remedy);
	}
}
