/* SPDX-License-Identifier: GPL-2.0 */
/* What Hooker measures of itself: the phases of its start and end, and the memory it holds. */
#ifndef HOOKER_MEASURE_H
#define HOOKER_MEASURE_H

#include <jansson.h>

enum hk_phase {
	HK_PHASE_OTHER,
	HK_PHASE_OPEN,	 /* ELF objects parsed, maps to be shared found */
	HK_PHASE_LOAD,	 /* maps made, programs verified and compiled by the kernel */
	HK_PHASE_ATTACH, /* hooks, links, devices */
	HK_PHASE_MAX,
};

/* From now on time is charged to @phase, until the next call. One clock for the whole process. */
void hk_phase(enum hk_phase phase);

/* Milliseconds charged so far, and since the first call of hk_phase(). */
json_t *hk_phases_json(void);

/* Monotonic milliseconds. */
double hk_measure_now(void);

/**
 * Bytes of kernel memory that the map @fd is charged for, or -errno. Before Linux 6.4 that is what its
 * maximum would take.
 */
long long hk_map_bytes(int fd);

/* Resident bytes of this process. */
long long hk_resident_bytes(void);

#endif
