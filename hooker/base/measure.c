// SPDX-License-Identifier: GPL-2.0
#include "hooker/base/measure.h"

#include <errno.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

static struct {
	double begun, since;
	enum hk_phase phase;
	double ms[HK_PHASE_MAX];
} phases;

double hk_measure_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1e3 + now.tv_nsec / 1e6;
}

void hk_phase(enum hk_phase phase)
{
	double now = hk_measure_now();

	if (!phases.begun)
		phases.begun = now;
	else
		phases.ms[phases.phase] += now - phases.since;
	phases.since = now;
	phases.phase = phase;
}

json_t *hk_phases_json(void)
{
	return json_pack("{s:f, s:f, s:f, s:f}", "open_ms", phases.ms[HK_PHASE_OPEN], "load_ms",
			 phases.ms[HK_PHASE_LOAD], "attach_ms", phases.ms[HK_PHASE_ATTACH],
			 "total_ms", hk_measure_now() - phases.begun);
}

long long hk_map_bytes(int fd)
{
	long long bytes = -ENODATA;
	char path[64], line[128];
	FILE *info;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	info = fopen(path, "r");
	if (!info)
		return -errno;
	while (fgets(line, sizeof(line), info))
		if (sscanf(line, "memlock: %lld", &bytes) == 1)
			break;
	fclose(info);
	return bytes;
}

long long hk_resident_bytes(void)
{
	long long size = 0, resident = 0;
	FILE *statm = fopen("/proc/self/statm", "r");

	if (!statm)
		return 0;
	if (fscanf(statm, "%lld %lld", &size, &resident) != 2)
		resident = 0;
	fclose(statm);
	return resident * sysconf(_SC_PAGESIZE);
}
