// SPDX-License-Identifier: GPL-2.0
/* How long the verifier took, in its own words: part of what loading takes. */
#include "hooker/transport/internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LOG_STATS 4    /* BPF_LOG_STATS: a few lines at the end, nothing about instructions */
#define LOG_SIZE  2048 /* of each program */

int hk_verifier_watch(struct bpf_object *obj, char **logs)
{
	struct bpf_program *program;
	size_t count = 0, i = 0;
	int err = 0;

	bpf_object__for_each_program(program, obj)
		count++;
	*logs = calloc(count ? count : 1, LOG_SIZE);
	if (!*logs)
		return -ENOMEM;
	bpf_object__for_each_program(program, obj) {
		err = err ?: bpf_program__set_log_buf(program, *logs + i++ * LOG_SIZE, LOG_SIZE);
		err = err ?: bpf_program__set_log_level(program, LOG_STATS);
	}
	return err;
}

double hk_verifier_ms(const struct bpf_object *obj, const char *logs)
{
	struct bpf_program *program = NULL;
	unsigned long us, sum = 0;
	const char *line;
	size_t i = 0;

	while ((program = bpf_object__next_program(obj, program))) {
		line = strstr(logs + i++ * LOG_SIZE, "verification time ");
		if (line && sscanf(line, "verification time %lu usec", &us) == 1)
			sum += us;
	}
	return sum / 1e3;
}
