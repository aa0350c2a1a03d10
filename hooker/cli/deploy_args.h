/* SPDX-License-Identifier: GPL-2.0 */
/* The command line of `hooker deploy`: what cmd_deploy_argp makes of it. */
#ifndef HOOKER_DEPLOY_ARGS_H
#define HOOKER_DEPLOY_ARGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "hooker/transport/transport.h"

#define HK_DEPLOY_LIST_MAX 64

struct hk_deploy_port {
	uint16_t port, coverage, min_coverage;
	int given; /* how many of these were */
};

struct hk_deploy_arguments {
	const char *transport;
	struct hk_deploy_interface interfaces[HK_DEPLOY_LIST_MAX];
	size_t interface_count;
	struct hk_deploy_port ports[HK_DEPLOY_LIST_MAX]; /* complete: defaults are filled in */
	size_t port_count;
	const char *swaps[HK_DEPLOY_LIST_MAX]; /* STEP[=OBJECT[:PROGRAM]] */
	size_t swap_count;
	uint16_t coverage, min_coverage;
	bool min_given, no_check6, from_source, timing;
	enum hk_xdp_mode xdp_mode;
};

#endif
