/* SPDX-License-Identifier: GPL-2.0 */
#ifndef HOOKER_NOTIFY_H
#define HOOKER_NOTIFY_H

/* sd_notify(3): tells the service manager, if one has asked by $NOTIFY_SOCKET. */
void hk_notify(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
