/* SPDX-License-Identifier: GPL-2.0 */
/* The words people read for the numbers of bpf/abi.h. Unknown numbers give "?". */
#ifndef HOOKER_NAMES_H
#define HOOKER_NAMES_H

const char *hk_reason_name(unsigned int reason);      /* enum hk_reason */
const char *hk_datapath_name(unsigned int datapath);  /* enum hk_datapath */
const char *hk_transport_name(unsigned int protocol); /* enum hk_transport */
const char *hk_flow_state_name(unsigned int state);   /* enum hk_flow_state */
const char *hk_counter_name(unsigned int counter);    /* enum hk_counter; NULL = unused */

#endif
