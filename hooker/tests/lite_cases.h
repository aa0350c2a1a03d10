/* SPDX-License-Identifier: GPL-2.0 */
/* Crafted datagrams, legal and illegal, and what RFC 3828 makes of each. */
#ifndef HOOKER_LITE_CASES_H
#define HOOKER_LITE_CASES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FRAME_MAX 2048

enum verdict {
	DELIVER, /* to the UDP socket */
	DISCARD,
	UNTOUCHED, /* to whoever else understands it */
};

/* How the registered ports treat coverage: see prog_udplite.c. */
enum port {
	PORT_FULL = 5000,      /* only fully covered datagrams */
	PORT_ANY = 5001,       /* coverage 8 or more */
	PORT_20 = 5002,	       /* coverage 20 or more; sends 20 */
	PORT_9 = 5003,	       /* sends and accepts 9: an odd number */
	PORT_NO_CHECK6 = 5004, /* as ANY, without UDP checksums for IPv6 */
	PORT_OTHER = 6000,     /* not registered */
};

enum check {
	CHECK_GOOD,
	CHECK_WRONG,
	CHECK_ZERO,
	CHECK_AS_UDP,	  /* pseudo-header with protocol 17 */
	CHECK_BY_FIELD,	  /* pseudo-header with the coverage field as length */
	CHECK_ALL,	  /* over everything, whatever the coverage */
	CHECK_UNFINISHED, /* as the kernel leaves it to a device */
	CHECK_FFFF,	  /* payload chosen so that the checksum comes out as 0, sent as all ones */
};

struct lite_case {
	const char *name;
	uint16_t port;
	int payload;  /* bytes */
	int coverage; /* as in the field */
	enum check check;
	int damage; /* flip a bit of this byte of the datagram after the checksum; 0: none */
	bool damage_pseudo; /* flip a bit of the source address instead */
	bool ip_options;    /* IPv4 options, or an IPv6 extension header */
	bool fragment;
	int padding; /* bytes behind the IP packet, as Ethernet adds */
	int cut;     /* bytes the frame lacks at its end */
	enum verdict verdict;
	const char *step; /* that counts it */
	unsigned int reason;
};

extern const struct lite_case lite_cases[];
extern const size_t lite_case_count;

/* The frame of case @c for IPv4 or IPv6, between the MAC addresses given. Returns its length. */
size_t lite_frame(const struct lite_case *c, bool v6, const uint8_t *to, const uint8_t *from,
		  uint8_t *frame);

/* A correct UDP datagram from @sport; @zero: checksum such that UDP-Lite's would come out as 0. */
size_t udp_frame(uint16_t sport, int payload, bool v6, bool zero, const uint8_t *to,
		 const uint8_t *from, uint8_t *frame);

/* Whether the frame is a correct UDP-Lite (UDP) datagram by an independent computation. */
bool lite_is_correct(const uint8_t *frame, size_t len, unsigned int *coverage);
bool udp_is_correct(const uint8_t *frame, size_t len, bool zero_allowed);

size_t frame_header(const uint8_t *frame); /* where the transport header is */

#define ADDRESS4_NEAR "10.78.0.1"
#define ADDRESS4_FAR  "10.78.0.2"
#define ADDRESS6_NEAR "fd78::1"
#define ADDRESS6_FAR  "fd78::2"

#endif
