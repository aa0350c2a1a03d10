// SPDX-License-Identifier: GPL-2.0
/*
 * Who is not on the path, but knows the addresses and ports of a connection, or has guessed them:
 *   prog_spoof SRC SPORT DST DPORT reset            urgent data of a made-up number, then a reset that bears it
 *   prog_spoof SRC SPORT DST DPORT carry PROTOCOL   every number near enough, each time a bit further on
 *   prog_spoof SRC SPORT DST DPORT overtake         every number near enough in TCP, six segments of each in a row
 *   prog_spoof SRC SPORT DST DPORT refuse PROTOCOL  ICMP, quoting numbers from all over
 *   prog_spoof SRC SPORT DST DPORT short PROTOCOL   one packet that is too short for its TCP header
 *   prog_spoof SRC SPORT DST DPORT stranger         UDP of these ports; payload, FIN and RST of a made-up number
 * PROTOCOL: 17 (UDP) or 136 (UDP-Lite). All of it pretends to come from SRC.
 */
#include <arpa/inet.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <netinet/ip.h>
#include <netinet/ip_icmp.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <sys/socket.h>

#include "bpf/wire.h"

#define MADE_UP 0x12345678

struct forger {
	int fd;
	struct in_addr from, to;
	uint16_t from_port, to_port;
};

static void die(const char *what)
{
	perror(what);
	exit(2);
}

/* Ones' complement sum of 16-bit words; @len is even. */
static uint32_t sum_of(const void *data, size_t len, uint32_t sum)
{
	const uint8_t *byte = data;
	size_t i;

	for (i = 0; i < len; i += 2)
		sum += byte[i] << 8 | byte[i + 1];
	return sum;
}

static uint16_t checksum(uint32_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return htons(~sum & 0xffff);
}

static uint32_t pseudo_sum(const struct forger *forger, int protocol, size_t len)
{
	uint32_t sum = sum_of(&forger->from, 4, protocol + len);

	return sum_of(&forger->to, 4, sum);
}

/* The kernel fills in length, identification and checksum. */
static struct ip ip_header(struct in_addr from, struct in_addr to, int protocol)
{
	return (struct ip){
		.ip_v = 4,
		.ip_hl = 5,
		.ip_ttl = 64,
		.ip_p = protocol,
		.ip_src = from,
		.ip_dst = to,
	};
}

static void send_out(const struct forger *forger, int protocol, const void *payload, size_t len)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_addr = forger->to };
	unsigned char packet[256];
	struct ip ip = ip_header(forger->from, forger->to, protocol);

	memcpy(packet, &ip, sizeof(ip));
	memcpy(packet + sizeof(ip), payload, len);
	if (sendto(forger->fd, packet, sizeof(ip) + len, 0, (struct sockaddr *)&to, sizeof(to)) < 0)
		die("sendto");
}

static struct tcphdr segment(const struct forger *forger, uint32_t seq, uint32_t ack)
{
	return (struct tcphdr){
		.source = htons(forger->from_port),
		.dest = htons(forger->to_port),
		.seq = htonl(seq),
		.ack_seq = htonl(ack),
		.doff = 5,
		.ack = 1,
		.window = htons(1024),
	};
}

static void send_tcp(const struct forger *forger, struct tcphdr tcp)
{
	tcp.check =
		checksum(sum_of(&tcp, sizeof(tcp), pseudo_sum(forger, IPPROTO_TCP, sizeof(tcp))));
	send_out(forger, IPPROTO_TCP, &tcp, sizeof(tcp));
}

static void reset(const struct forger *forger)
{
	struct tcphdr urgent = segment(forger, MADE_UP, 0), rst = urgent;

	urgent.urg = 1;
	rst.rst = 1;
	send_tcp(forger, urgent);
	send_tcp(forger, rst);
}

/* A segment on the transport; TCP's own checksum is wrong. */
static void send_wrapped(const struct forger *forger, int protocol, struct tcphdr tcp)
{
	struct {
		struct udphdr udp;
		struct tcphdr tcp;
	} packet = { .tcp = tcp };

	packet.udp.source = packet.tcp.source;
	packet.udp.dest = packet.tcp.dest;
	packet.udp.len = htons(sizeof(packet));
	if (protocol == IPPROTO_UDPLITE) {
		packet.udp.len = htons(HK_KERNEL_COVERAGE);
		packet.udp.check = checksum(sum_of(&packet, HK_KERNEL_COVERAGE,
						   pseudo_sum(forger, protocol, sizeof(packet))));
	}
	send_out(forger, protocol, &packet, sizeof(packet));
}

/* Of 32 numbers as many times 2^27 apart, one is within 2^26 of any; and so is one of each further round. */
static void carry(const struct forger *forger, int protocol)
{
	uint32_t round, i, j;

	for (round = 0; round < 8; round++)
		for (i = 0; i < 32; i++)
			for (j = 0; j < 32; j++)
				send_wrapped(
					forger, protocol,
					segment(forger,
						i * 2 * HK_SEQ_NEAR + round * (HK_SEQ_NEAR - 1),
						j * 2 * HK_SEQ_NEAR + round * (HK_SEQ_NEAR - 1)));
}

/*
 * As if copies in TCP had overtaken those on the transport, which goes on beside. Each number of 32, and each
 * acknowledgement of 64, for it must not be ahead.
 */
static void overtake(const struct forger *forger)
{
	uint32_t i, j, copy;

	for (i = 0; i < 32; i++)
		for (j = 0; j < 64; j++)
			for (copy = 0; copy < 6; copy++)
				send_tcp(forger,
					 segment(forger, i * 2 * HK_SEQ_NEAR, j * HK_SEQ_NEAR));
}

static void send_short(const struct forger *forger, int protocol)
{
	struct tcphdr tcp = segment(forger, 0, 0);

	tcp.doff = 15;
	send_wrapped(forger, protocol, tcp);
}

static void stranger(const struct forger *forger)
{
	struct {
		struct tcphdr tcp;
		char bytes[100];
	} data = { .tcp = segment(forger, MADE_UP, MADE_UP) };
	struct {
		struct udphdr udp;
		char bytes[100];
	} datagram = { .udp = { .source = data.tcp.source, .dest = data.tcp.dest } };
	struct tcphdr fin = data.tcp, rst = data.tcp;

	datagram.udp.len = htons(sizeof(datagram));
	send_out(forger, IPPROTO_UDP, &datagram, sizeof(datagram));
	data.tcp.psh = 1;
	data.tcp.check = checksum(
		sum_of(&data, sizeof(data), pseudo_sum(forger, IPPROTO_TCP, sizeof(data))));
	send_out(forger, IPPROTO_TCP, &data, sizeof(data));
	fin.fin = 1;
	send_tcp(forger, fin);
	rst.ack = 0;
	rst.rst = 1;
	send_tcp(forger, rst);
}

static void refuse(const struct forger *forger, int protocol)
{
	struct {
		struct icmphdr icmp;
		struct ip ip;
		struct udphdr udp;
		struct tcphdr tcp;
	} message = {
		.icmp = { .type = ICMP_DEST_UNREACH, .code = ICMP_PORT_UNREACH },
		.ip = ip_header(forger->to, forger->from, protocol),
		.tcp = segment(forger, 0, 0),
	};
	uint32_t i;

	message.udp.source = htons(forger->to_port);
	message.udp.dest = htons(forger->from_port);
	message.ip.ip_len = htons(sizeof(message) - sizeof(message.icmp));
	message.ip.ip_sum = checksum(sum_of(&message.ip, sizeof(message.ip), 0));
	for (i = 0; i < 32; i++) {
		message.tcp.seq = htonl(i * 2 * HK_SEQ_NEAR);
		message.icmp.checksum = 0;
		message.icmp.checksum = checksum(sum_of(&message, sizeof(message), 0));
		send_out(forger, IPPROTO_ICMP, &message, sizeof(message));
	}
}

int main(int argc, char **argv)
{
	struct forger forger = { .fd = socket(AF_INET, SOCK_RAW, IPPROTO_RAW) };
	int protocol = argc > 6 ? atoi(argv[6]) : 0;

	if (argc < 6 || !inet_aton(argv[1], &forger.from) || !inet_aton(argv[3], &forger.to))
		return 2;
	if (forger.fd < 0)
		die("socket");
	forger.from_port = atoi(argv[2]);
	forger.to_port = atoi(argv[4]);
	if (!forger.from_port || !forger.to_port)
		return 2;
	if (!strcmp(argv[5], "reset"))
		reset(&forger);
	else if (!strcmp(argv[5], "carry"))
		carry(&forger, protocol);
	else if (!strcmp(argv[5], "overtake"))
		overtake(&forger);
	else if (!strcmp(argv[5], "refuse"))
		refuse(&forger, protocol);
	else if (!strcmp(argv[5], "short"))
		send_short(&forger, protocol);
	else if (!strcmp(argv[5], "stranger"))
		stranger(&forger);
	else
		return 2;
	close(forger.fd);
	return 0;
}
