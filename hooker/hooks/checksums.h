/* SPDX-License-Identifier: GPL-2.0 */
/* What an interface does with checksums that the kernel leaves to it. */
#ifndef HOOKER_CHECKSUMS_H
#define HOOKER_CHECKSUMS_H

#include <stdbool.h>

/*
 * A device that knows only TCP's and UDP's checksums goes by the protocol in the IP header: of protocol 136 it might
 * compute none, and of TCP behind a header of UDP the wrong one. One that adds up whatever it is told, or nothing
 * at all, is safe. False as well if the device does not tell.
 */
bool hk_checksums_safe(const char *device);

#endif
