/* SPDX-License-Identifier: GPL-2.0 */
/* The exit codes of `hooker`, of its daemon, and in its answers. */
#ifndef HOOKER_EXIT_H
#define HOOKER_EXIT_H

#define HK_EXIT_OK	    0
#define HK_EXIT_FAILURE	    1
#define HK_EXIT_USAGE	    2
#define HK_EXIT_UNSUPPORTED 4

#endif
