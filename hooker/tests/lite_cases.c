// SPDX-License-Identifier: GPL-2.0
/*
 * The packets are built, and checksums computed, byte by byte and by the letter of RFC 3828 and RFC
 * 1071, sharing nothing with the programs under test.
 */
#include "hooker/tests/lite_cases.h"

#include <arpa/inet.h>
#include <string.h>

#define UDP	    17
#define LITE	    136

#define PARSE(n)    "parse", (n)
#define COVERAGE(n) "coverage", (n)
#define VERIFY	    "verify", 1
#define DELIVERED   "deliver", 0

/* clang-format off */
const struct lite_case lite_cases[] = {
	/* Legal, fully covered: the field is 0 or the length. */
	{ "full by 0, 100 bytes", PORT_FULL, 100, 0, .verdict = DELIVER, .step = DELIVERED },
	{ "full by length, 100 bytes", PORT_FULL, 100, 108, .verdict = DELIVER, .step = DELIVERED },
	{ "full, no payload", PORT_FULL, 0, 8, .verdict = DELIVER, .step = DELIVERED },
	{ "full by 0, no payload", PORT_FULL, 0, 0, .verdict = DELIVER, .step = DELIVERED },
	{ "full, 1 byte", PORT_FULL, 1, 0, .verdict = DELIVER, .step = DELIVERED },
	{ "full, 13 bytes", PORT_FULL, 13, 0, .verdict = DELIVER, .step = DELIVERED },
	{ "full, 503 bytes", PORT_FULL, 503, 0, .verdict = DELIVER, .step = DELIVERED },
	{ "full, 504 bytes: one checksum chunk", PORT_FULL, 504, 0, .verdict = DELIVER, .step = DELIVERED },
	{ "full, 505 bytes", PORT_FULL, 505, 0, .verdict = DELIVER, .step = DELIVERED },
	{ "full, 1451 bytes", PORT_FULL, 1451, 0, .verdict = DELIVER, .step = DELIVERED },
	{ "full, 1452 bytes: 1500 with IPv6", PORT_FULL, 1452, 0, .verdict = DELIVER, .step = DELIVERED },
	{ "full, Ethernet padding behind", PORT_FULL, 3, 0, .padding = 15, .verdict = DELIVER, .step = DELIVERED },
	{ "computed checksum 0, sent as all ones", PORT_FULL, 100, 0, CHECK_FFFF, .verdict = DELIVER, .step = DELIVERED },
	/* Legal, partially covered. */
	{ "coverage 8: the header", PORT_ANY, 100, 8, .verdict = DELIVER, .step = DELIVERED },
	{ "coverage 9", PORT_ANY, 100, 9, .verdict = DELIVER, .step = DELIVERED },
	{ "coverage 20", PORT_ANY, 100, 20, .verdict = DELIVER, .step = DELIVERED },
	{ "coverage 21 of 101", PORT_ANY, 101, 21, .verdict = DELIVER, .step = DELIVERED },
	{ "coverage 107 of 108", PORT_ANY, 100, 107, .verdict = DELIVER, .step = DELIVERED },
	{ "coverage 20 of 1460", PORT_ANY, 1452, 20, .verdict = DELIVER, .step = DELIVERED },
	{ "coverage 777 of 1459", PORT_ANY, 1451, 777, .verdict = DELIVER, .step = DELIVERED },
	{ "computed checksum 0, coverage 20", PORT_ANY, 100, 20, CHECK_FFFF, .verdict = DELIVER, .step = DELIVERED },
	{ "coverage at the receiver's minimum", PORT_20, 100, 20, .verdict = DELIVER, .step = DELIVERED },
	{ "full, shorter than the minimum", PORT_20, 4, 12, .verdict = DELIVER, .step = DELIVERED },
	{ "full by 0, shorter than the minimum", PORT_20, 4, 0, .verdict = DELIVER, .step = DELIVERED },
	{ "no UDP checksum wanted", PORT_NO_CHECK6, 100, 20, .verdict = DELIVER, .step = DELIVERED },
	/* Damage outside the coverage reaches the application. */
	{ "damage behind coverage 8", PORT_ANY, 100, 8, .damage = 8, .verdict = DELIVER, .step = DELIVERED },
	{ "damage behind coverage 20", PORT_ANY, 100, 20, .damage = 20, .verdict = DELIVER, .step = DELIVERED },
	{ "damage behind coverage 21", PORT_ANY, 100, 21, .damage = 21, .verdict = DELIVER, .step = DELIVERED },
	{ "damage of the last byte, coverage 107", PORT_ANY, 100, 107, .damage = 107, .verdict = DELIVER, .step = DELIVERED },
	{ "damage of the last byte of 1460", PORT_ANY, 1452, 20, .damage = 1459, .verdict = DELIVER, .step = DELIVERED },
	/* Damage inside never does. */
	{ "damage of the source port", PORT_ANY, 100, 20, .damage = 1, .verdict = DISCARD, .step = VERIFY },
	{ "damage of the checksum", PORT_ANY, 100, 20, .damage = 7, .verdict = DISCARD, .step = VERIFY },
	{ "damage at 8, coverage 9", PORT_ANY, 100, 9, .damage = 8, .verdict = DISCARD, .step = VERIFY },
	{ "damage at 19, coverage 20", PORT_ANY, 100, 20, .damage = 19, .verdict = DISCARD, .step = VERIFY },
	{ "damage at 20, coverage 21", PORT_ANY, 100, 21, .damage = 20, .verdict = DISCARD, .step = VERIFY },
	{ "damage of the last byte, full", PORT_FULL, 101, 0, .damage = 108, .verdict = DISCARD, .step = VERIFY },
	{ "damage in the middle of 1460, full", PORT_FULL, 1452, 0, .damage = 700, .verdict = DISCARD, .step = VERIFY },
	{ "damage of the coverage field, still legal", PORT_ANY, 100, 40, .damage = 5, .verdict = DISCARD, .step = VERIFY },
	{ "damage of the pseudo-header", PORT_ANY, 100, 8, .damage_pseudo = true, .verdict = DISCARD, .step = VERIFY },
	/* Wrong checksums. */
	{ "checksum off by one", PORT_FULL, 100, 0, CHECK_WRONG, .verdict = DISCARD, .step = VERIFY },
	{ "checksum with UDP's pseudo-header", PORT_FULL, 100, 0, CHECK_AS_UDP, .verdict = DISCARD, .step = VERIFY },
	{ "pseudo-header length from the coverage", PORT_ANY, 100, 20, CHECK_BY_FIELD, .verdict = DISCARD, .step = VERIFY },
	{ "checksum over everything, coverage 20", PORT_ANY, 100, 20, CHECK_ALL, .verdict = DISCARD, .step = VERIFY },
	{ "finished, but looks unfinished, full", PORT_FULL, 100, 0, CHECK_UNFINISHED, .verdict = DISCARD, .step = VERIFY },
	{ "finished, but looks unfinished, coverage 21 of 101", PORT_ANY, 93, 21, CHECK_UNFINISHED, .verdict = DISCARD, .step = VERIFY },
	{ "checksum 0, full", PORT_FULL, 100, 0, CHECK_ZERO, .verdict = DISCARD, .step = COVERAGE(4) },
	{ "checksum 0, coverage 8", PORT_ANY, 100, 8, CHECK_ZERO, .verdict = DISCARD, .step = COVERAGE(4) },
	/* Illegal coverage. */
	{ "coverage 1", PORT_ANY, 100, 1, .verdict = DISCARD, .step = COVERAGE(1) },
	{ "coverage 2", PORT_ANY, 100, 2, .verdict = DISCARD, .step = COVERAGE(1) },
	{ "coverage 4", PORT_ANY, 100, 4, .verdict = DISCARD, .step = COVERAGE(1) },
	{ "coverage 7", PORT_ANY, 100, 7, .verdict = DISCARD, .step = COVERAGE(1) },
	{ "coverage 7, no payload", PORT_ANY, 0, 7, .verdict = DISCARD, .step = COVERAGE(1) },
	{ "coverage 1 beyond the datagram", PORT_ANY, 100, 109, .verdict = DISCARD, .step = COVERAGE(2) },
	{ "coverage into Ethernet padding", PORT_ANY, 3, 20, .padding = 30, .verdict = DISCARD, .step = COVERAGE(2) },
	{ "coverage 65535", PORT_ANY, 100, 65535, .verdict = DISCARD, .step = COVERAGE(2) },
	{ "coverage 9, no payload", PORT_ANY, 0, 9, .verdict = DISCARD, .step = COVERAGE(2) },
	/* What the application has not asked for (section 3.2). */
	{ "partial, application wants full", PORT_FULL, 100, 107, .verdict = DISCARD, .step = COVERAGE(3) },
	{ "coverage 8, application wants full", PORT_FULL, 100, 8, .verdict = DISCARD, .step = COVERAGE(3) },
	{ "coverage 19, minimum 20", PORT_20, 100, 19, .verdict = DISCARD, .step = COVERAGE(3) },
	/* Not for this transport. */
	{ "unknown port", PORT_OTHER, 100, 0, .verdict = UNTOUCHED, .step = PARSE(6) },
	{ "unknown port, illegal coverage", PORT_OTHER, 100, 3, .verdict = UNTOUCHED, .step = PARSE(6) },
	{ "IP options", PORT_FULL, 100, 0, .ip_options = true, .verdict = UNTOUCHED, .step = PARSE(2) },
	{ "fragment", PORT_FULL, 100, 0, .fragment = true, .verdict = UNTOUCHED, .step = PARSE(3) },
	{ "frame shorter than IP says", PORT_FULL, 100, 0, .cut = 1, .verdict = UNTOUCHED, .step = PARSE(4) },
	{ "no whole header", PORT_FULL, -1, 0, .verdict = UNTOUCHED, .step = PARSE(4) },
};
/* clang-format on */
const size_t lite_case_count = sizeof(lite_cases) / sizeof(lite_cases[0]);

static uint32_t sum_bytes(uint32_t sum, const uint8_t *bytes, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		sum += i & 1 ? bytes[i] : bytes[i] << 8;
		sum = (sum & 0xffff) + (sum >> 16);
	}
	return sum;
}

size_t frame_header(const uint8_t *frame)
{
	return frame[12] == 0x08 ? 14 + (frame[14] & 15) * 4 : 14 + 40;
}

static size_t datagram_length(const uint8_t *frame)
{
	if (frame[12] == 0x08)
		return (frame[16] << 8 | frame[17]) - (frame[14] & 15) * 4;
	return frame[18] << 8 | frame[19];
}

/* Addresses, zero, protocol, length of the datagram. */
static uint32_t pseudo(const uint8_t *frame, uint8_t protocol, uint32_t length)
{
	uint32_t sum = frame[12] == 0x08 ? sum_bytes(0, frame + 26, 8) :
					   sum_bytes(0, frame + 22, 32);
	const uint8_t rest[] = {
		length >> 24, length >> 16, length >> 8, length, 0, 0, 0, protocol
	};

	return sum_bytes(sum, rest, sizeof(rest));
}

static void put16(uint8_t *at, uint16_t value)
{
	at[0] = value >> 8;
	at[1] = value;
}

static uint16_t get16(const uint8_t *at)
{
	return at[0] << 8 | at[1];
}

/* Ethernet and IP in front of @length bytes; returns where those go. */
static size_t put_ip(uint8_t *frame, bool v6, uint8_t protocol, size_t length, bool options,
		     bool fragment, const uint8_t *to, const uint8_t *from)
{
	uint8_t *ip = frame + 14;
	size_t header = options ? 24 : 20;

	memcpy(frame, to, 6);
	memcpy(frame + 6, from, 6);
	put16(frame + 12, v6 ? 0x86dd : 0x0800);
	if (v6) {
		ip[0] = 0x60;
		put16(ip + 4, length);
		ip[6] = protocol;
		ip[7] = 64;
		inet_pton(AF_INET6, ADDRESS6_FAR, ip + 8);
		inet_pton(AF_INET6, ADDRESS6_NEAR, ip + 24);
		return 14 + 40;
	}
	ip[0] = 0x40 | header / 4;
	put16(ip + 2, header + length);
	put16(ip + 4, 0x1234);
	put16(ip + 6, fragment ? 0x2000 : 0x4000);
	ip[8] = 64;
	ip[9] = protocol;
	inet_pton(AF_INET, ADDRESS4_FAR, ip + 12);
	inet_pton(AF_INET, ADDRESS4_NEAR, ip + 16);
	if (options)
		memset(ip + 20, 1, 4); /* no-operation */
	put16(ip + 10, ~sum_bytes(0, ip, header));
	return 14 + header;
}

static void fill(uint8_t *payload, int n)
{
	for (int i = 0; i < n; i++)
		payload[i] = i * 7 + (i >> 8) + 3;
}

static uint16_t checksum(const struct lite_case *c, const uint8_t *frame, const uint8_t *lite,
			 size_t length)
{
	size_t covered = c->coverage && c->check != CHECK_ALL ? (size_t)c->coverage : length;
	uint32_t sum;

	if (c->check == CHECK_UNFINISHED) {
		/* Whoever adds up the whole takes the place of this field for what UDP-Lite adds up: without the rest. */
		sum = c->coverage & 1 ? sum_bytes(lite[c->coverage], lite + c->coverage + 1,
						  length - c->coverage - 1) :
		      c->coverage     ? sum_bytes(0, lite + c->coverage, length - c->coverage) :
					0;
		sum = pseudo(frame, LITE, length) + (~sum & 0xffff);
		return (sum & 0xffff) + (sum >> 16);
	}
	/* Where the coverage is illegal, as right as can be: only the coverage is at fault. */
	if (covered > length)
		covered = length;
	sum = pseudo(frame, c->check == CHECK_AS_UDP ? UDP : LITE,
		     c->check == CHECK_BY_FIELD ? covered : length);
	sum = ~sum_bytes(sum, lite, covered) & 0xffff;
	return sum ? sum : 0xffff;
}

size_t lite_frame(const struct lite_case *c, bool v6, const uint8_t *to, const uint8_t *from,
		  uint8_t *frame)
{
	size_t length = 8 + c->payload, at;
	uint8_t *lite;

	memset(frame, 0, FRAME_MAX);
	at = put_ip(frame, v6, LITE, length, c->ip_options, c->fragment, to, from);
	lite = frame + at;
	put16(lite, 4000);
	put16(lite + 2, c->port);
	put16(lite + 4, c->coverage);
	fill(lite + 8, c->payload);
	if (c->check == CHECK_FFFF) {
		/* Payload that makes up for the rest of the sum: it becomes all ones, its complement 0. */
		memset(lite + 8, 0, 2);
		put16(lite + 8, checksum(c, frame, lite, length));
	}
	put16(lite + 6, c->check == CHECK_ZERO ? 0 : checksum(c, frame, lite, length));
	if (c->check == CHECK_WRONG)
		lite[7] ^= 1;
	if (c->damage)
		lite[c->damage] ^= 0x10;
	if (c->damage_pseudo)
		frame[v6 ? 22 + 15 : 26 + 3] ^= 0x10;
	if (c->damage_pseudo && !v6) {
		put16(frame + 24, 0);
		put16(frame + 24, ~sum_bytes(0, frame + 14, 20));
	}
	return at + length + c->padding - c->cut;
}

size_t udp_frame(uint16_t sport, int payload, bool v6, bool zero, const uint8_t *to,
		 const uint8_t *from, uint8_t *frame)
{
	size_t length = 8 + payload, at;
	uint8_t *udp;
	uint16_t check;

	memset(frame, 0, FRAME_MAX);
	at = put_ip(frame, v6, UDP, length, false, false, to, from);
	udp = frame + at;
	put16(udp, sport);
	put16(udp + 2, 4000);
	put16(udp + 4, length);
	fill(udp + 8, payload);
	if (zero) {
		memset(udp + 8, 0, 2);
		put16(udp + 8, ~sum_bytes(pseudo(frame, LITE, length), udp, length));
	}
	check = ~sum_bytes(pseudo(frame, UDP, length), udp, length);
	put16(udp + 6, check ? check : 0xffff);
	return at + length;
}

bool lite_is_correct(const uint8_t *frame, size_t len, unsigned int *coverage)
{
	size_t at = frame_header(frame), length = datagram_length(frame), covered;
	const uint8_t *lite = frame + at;

	if (at + length > len || frame[frame[12] == 0x08 ? 23 : 20] != LITE || !get16(lite + 6))
		return false;
	if (frame[12] == 0x08 && sum_bytes(0, frame + 14, at - 14) != 0xffff)
		return false;
	*coverage = get16(lite + 4);
	covered = *coverage ? *coverage : length;
	return covered >= 8 && covered <= length &&
	       sum_bytes(pseudo(frame, LITE, length), lite, covered) == 0xffff;
}

bool udp_is_correct(const uint8_t *frame, size_t len, bool zero_allowed)
{
	size_t at = frame_header(frame), length = datagram_length(frame);
	const uint8_t *udp = frame + at;

	if (at + length > len || frame[frame[12] == 0x08 ? 23 : 20] != UDP ||
	    get16(udp + 4) != length)
		return false;
	if (frame[12] == 0x08 && sum_bytes(0, frame + 14, at - 14) != 0xffff)
		return false;
	if (!get16(udp + 6))
		return zero_allowed;
	return sum_bytes(pseudo(frame, UDP, length), udp, length) == 0xffff;
}
