/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Segmenters for the relay's UDP-Lite: its datagrams leave as UDP GSO messages, are cut by the segmenter
 * of their interface, and become UDP-Lite one by one. One system call, one route look-up and one
 * socket buffer for many datagrams, which moreover arrive close enough together for GRO.
 */
#ifndef HOOKER_SEGMENTS_H
#define HOOKER_SEGMENTS_H

struct hk_attach;

/* After UDP-Lite's deployment: sets attach->segments if every interface can have one. */
void hk_segments_open(struct hk_attach *attach);

/* Fine without them. */
void hk_segments_close(struct hk_attach *attach);

#endif
