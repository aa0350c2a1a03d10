/* SPDX-License-Identifier: GPL-2.0 */
#ifndef HOOKER_INTERFACES_H
#define HOOKER_INTERFACES_H

#include <stdbool.h>

/*
 * Is @name one of the interfaces that Hooker receives on where nobody names any: up, Ethernet, neither
 * loopback nor a segmenter of its own?
 */
bool hk_interface_is_default(const char *name);

struct hk_options;

/* Puts them all into @options; their names stay allocated. Returns 0, or -ENODEV, reported. */
int hk_interfaces_default(struct hk_options *options);

#endif
