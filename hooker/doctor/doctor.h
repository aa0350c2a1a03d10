/* SPDX-License-Identifier: GPL-2.0 */
/* What `hooker doctor` examines; each function adds to @list as hooker/base/verdict.h says. */
#ifndef HOOKER_DOCTOR_H
#define HOOKER_DOCTOR_H

#include <jansson.h>

/* Kernel, BTF, privileges, cgroup (NULL = the root), ports, limits. */
void doctor_host(json_t *list, const char *cgroup);

/* XDP, offloads, MTU, programs of others on one interface. */
void doctor_interface(json_t *list, const char *name);

#endif
