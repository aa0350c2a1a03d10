// links: hooker/tests/lite_cases.c hooker/transport/deploy.c hooker/transport/iface.c hooker/transport/pins.c hooker/transport/source.c hooker/transport/status.c hooker/transport/steps.c hooker/transport/udplite.c hooker/transport/verifier.c hooker/hooks/dispatch.c hooker/hooks/tc.c hooker/base/log.c hooker/base/measure.c
// libs: -lbpf -lmnl
// SPDX-License-Identifier: GPL-2.0
/*
 * RFC 3828 packet by packet: every case by bpf_prog_test_run(), then on a live link, and both must
 * give the verdict and the reason that the case names.
 * prog_udplite NEAR FAR IF: two network namespaces, joined by IF in each; NEAR has the deployment.
 */
#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>
#include <linux/if_packet.h>
#include <bpf/bpf.h>

#include "hooker/base/log.h"
#include "hooker/tests/lite_cases.h"
#include "hooker/transport/internal.h"

#define PORTS	  5
#define TIMEOUT	  5000 /* ms; a condition that is not met by then never will be */
#define SENTINEL  "the case before this is done"
#define TC_UNSPEC ((__u32)-1)

static struct hk_deployment *deployment;
static uint8_t near_mac[6], far_mac[6];
static int near_packet, far_packet, raw[2];
static int sockets[PORTS][2];
static unsigned int test_number, failures;

static void result(bool good, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void result(bool good, const char *format, ...)
{
	va_list args;

	failures += !good;
	printf("%sok %u - ", good ? "" : "not ", ++test_number);
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	putchar('\n');
	fflush(stdout);
}

static void enter(const char *name)
{
	char path[PATH_MAX];
	int fd;

	snprintf(path, sizeof(path), "/run/netns/%s", name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || setns(fd, CLONE_NEWNET))
		err(1, "%s", path);
	close(fd);
}

static int packet_socket(const char *ifname, uint8_t *mac)
{
	struct sockaddr_ll self = { .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL) };
	struct ifreq req = { 0 };
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, htons(ETH_P_ALL));

	snprintf(req.ifr_name, sizeof(req.ifr_name), "%s", ifname);
	self.sll_ifindex = if_nametoindex(ifname);
	if (fd < 0 || !self.sll_ifindex || bind(fd, (void *)&self, sizeof(self)) ||
	    ioctl(fd, SIOCGIFHWADDR, &req))
		err(1, "packet socket on %s", ifname);
	memcpy(mac, req.ifr_hwaddr.sa_data, 6);
	return fd;
}

static int udp_socket(bool v6, uint16_t port, bool no_check6)
{
	struct sockaddr_in6 self6 = { .sin6_family = AF_INET6, .sin6_port = htons(port) };
	struct sockaddr_in self4 = { .sin_family = AF_INET, .sin_port = htons(port) };
	int fd = socket(v6 ? AF_INET6 : AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int one = 1, e;

	if (v6)
		setsockopt(fd, IPPROTO_IPV6, 26 /* IPV6_V6ONLY */, &one, sizeof(one));
	if (v6 && no_check6)
		setsockopt(fd, IPPROTO_UDP, 102 /* UDP_NO_CHECK6_RX */, &one, sizeof(one));
	e = v6 ? bind(fd, (void *)&self6, sizeof(self6)) : bind(fd, (void *)&self4, sizeof(self4));
	if (fd < 0 || e)
		err(1, "UDP socket, port %u", port);
	return fd;
}

static uint64_t count(const char *step, unsigned int reason)
{
	uint64_t packets;

	if (hk_deployment_count(deployment, step, reason, &packets))
		errx(1, "no counter for step %s", step);
	return packets;
}

/* ---------------------------------------------------------------- bpf_prog_test_run() */

static int test_run(const char *entry, const uint8_t *in, size_t in_len, uint8_t *out,
		    __u32 *out_len, __u32 *retval)
{
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = in, .data_size_in = in_len, .data_out = out,
		    .data_size_out = FRAME_MAX, .repeat = 1);
	struct bpf_program *program = bpf_object__find_program_by_name(deployment->obj, entry);

	if (bpf_prog_test_run_opts(bpf_program__fd(program), &opts))
		return -errno;
	*out_len = opts.data_size_out;
	*retval = opts.retval;
	return 0;
}

static bool same_payload(const uint8_t *a, const uint8_t *b, int payload)
{
	return !memcmp(a + frame_header(a) + 8, b + frame_header(b) + 8, payload);
}

static void case_by_test_run(const struct lite_case *c, bool v6)
{
	uint8_t in[FRAME_MAX], out[FRAME_MAX];
	size_t len = lite_frame(c, v6, near_mac, far_mac, in);
	uint64_t before = count(c->step, c->reason);
	bool good = false;
	__u32 out_len, retval;

	if (!test_run("hk_rx_entry", in, len, out, &out_len, &retval)) {
		switch (c->verdict) {
		case DISCARD: good = retval == 1 /* XDP_DROP */; break;
		case UNTOUCHED:
			good = retval == 2 && out_len == len && !memcmp(in, out, len);
			break;
		case DELIVER:
			good = retval == 2 && out_len == len && same_payload(in, out, c->payload) &&
			       udp_is_correct(out, len,
					      (!v6 || c->port == PORT_NO_CHECK6) && !c->damage);
			/* Damage makes the true sum differ from the header's: only IPv4's 0 is right. */
			if (c->damage && retval == 2)
				good = same_payload(in, out, c->payload) && out_len == len;
			break;
		}
	}
	result(good && count(c->step, c->reason) == before + 1, "test_run IPv%d: %s", v6 ? 6 : 4,
	       c->name);
}

/* ---------------------------------------------------------------- live */

static void inject(int fd, const uint8_t *frame, size_t len)
{
	if (send(fd, frame, len, 0) != (ssize_t)len)
		err(1, "send frame");
}

static bool wait_readable(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return poll(&p, 1, TIMEOUT) == 1;
}

static bool receive(int fd, const uint8_t *payload, int len)
{
	uint8_t got[FRAME_MAX];

	return recv(fd, got, sizeof(got), MSG_DONTWAIT) == len && !memcmp(got, payload, len);
}

static int drain(int fd)
{
	uint8_t got[FRAME_MAX];
	int n = 0;

	while (recv(fd, got, sizeof(got), MSG_DONTWAIT) >= 0)
		n++;
	return n;
}

/* A good datagram behind the case's: packets of one interface arrive in order. */
static bool sentinel(bool v6)
{
	static const struct lite_case plain = { .port = PORT_FULL, .payload = sizeof(SENTINEL) };
	uint8_t frame[FRAME_MAX], got[FRAME_MAX];
	size_t len = lite_frame(&plain, v6, near_mac, far_mac, frame);
	int fd = sockets[0][v6];

	inject(far_packet, frame, len);
	return wait_readable(fd) && recv(fd, got, sizeof(got), MSG_DONTWAIT) == sizeof(SENTINEL);
}

static void case_live(const struct lite_case *c, bool v6)
{
	/* On veth it may be unfinished, and UDP finds out that it is not. */
	unsigned int reason = c->check == CHECK_UNFINISHED ? 2 : c->reason;
	int fd = c->port == PORT_OTHER ? -1 : sockets[c->port - PORT_FULL][v6];
	bool stack_sees = c->verdict == UNTOUCHED && !c->fragment && !c->cut;
	/* The dispatcher itself leaves these alone, before any step. */
	bool early = c->ip_options || c->fragment;
	uint64_t before = count(c->step, reason);
	uint8_t frame[FRAME_MAX];
	size_t len = lite_frame(c, v6, near_mac, far_mac, frame);
	bool good = true;

	drain(raw[v6]);
	inject(far_packet, frame, len);
	if (c->verdict == DELIVER)
		good = wait_readable(fd) &&
		       receive(fd, frame + frame_header(frame) + 8, c->payload);
	good = sentinel(v6) && good;
	if (c->verdict != DELIVER && fd >= 0)
		good = good && drain(fd) == 0;
	good = good && drain(raw[v6]) == stack_sees;
	/* The sentinel is delivered too. */
	good = good && count(c->step, reason) == before + !early + !strcmp(c->step, "deliver");
	result(good, "live IPv%d: %s", v6 ? 6 : 4, c->name);
}

/* ---------------------------------------------------------------- sending */

static const struct {
	const char *name;
	uint16_t port;
	int payload;
	bool zero;
	unsigned int coverage; /* expected in the field; 0: stays UDP */
} sends[] = {
	{ "full, 100 bytes", PORT_FULL, 100, false, 108 },
	{ "full, no payload", PORT_FULL, 0, false, 8 },
	{ "full, 1 byte", PORT_FULL, 1, false, 9 },
	{ "full, 1451 bytes", PORT_FULL, 1451, false, 1459 },
	{ "full, 1452 bytes", PORT_FULL, 1452, false, 1460 },
	{ "computed checksum 0 becomes all ones", PORT_FULL, 100, true, 108 },
	{ "coverage 8", PORT_ANY, 100, false, 8 },
	{ "coverage 8, no payload", PORT_ANY, 0, false, 8 },
	{ "coverage 20", PORT_20, 100, false, 20 },
	{ "coverage 20, 13 bytes", PORT_20, 13, false, 20 },
	{ "coverage 20 of 20", PORT_20, 12, false, 20 },
	{ "coverage 20, datagram of 19", PORT_20, 11, false, 19 },
	{ "coverage 20 of 1460", PORT_20, 1452, false, 20 },
	{ "coverage 9", PORT_9, 101, false, 9 },
	{ "coverage 9, computed checksum not kept", PORT_9, 1, false, 9 },
	{ "port that is not registered", PORT_OTHER, 100, false, 0 },
};

static bool sent_right(size_t i, const uint8_t *in, const uint8_t *out, size_t len)
{
	unsigned int coverage;

	if (!sends[i].coverage)
		return !memcmp(in, out, len);
	if (!lite_is_correct(out, len, &coverage) || coverage != sends[i].coverage)
		return false;
	if (sends[i].zero && memcmp(out + frame_header(out) + 6, "\xff\xff", 2))
		return false;
	return same_payload(in, out, sends[i].payload);
}

static void send_by_test_run(size_t i, bool v6)
{
	uint8_t in[FRAME_MAX], out[FRAME_MAX];
	size_t len = udp_frame(sends[i].port, sends[i].payload, v6, sends[i].zero, far_mac,
			       near_mac, in);
	__u32 out_len = 0, retval = 0;
	int e = test_run("hk_tx_entry", in, len, out, &out_len, &retval);

	result(!e && retval == TC_UNSPEC && out_len == len && sent_right(i, in, out, len),
	       "test_run send IPv%d: %s", v6 ? 6 : 4, sends[i].name);
}

/* Reads frames until one has the ports of @in. */
static bool capture(const uint8_t *in, uint8_t *out, size_t len)
{
	size_t ports = frame_header(in);

	while (wait_readable(far_packet)) {
		if (recv(far_packet, out, FRAME_MAX, MSG_DONTWAIT) == (ssize_t)len &&
		    !memcmp(in + 12, out + 12, 2) && !memcmp(in + ports, out + ports, 4))
			return true;
	}
	return false;
}

static void send_live(size_t i, bool v6)
{
	uint8_t in[FRAME_MAX], out[FRAME_MAX];
	size_t len = udp_frame(sends[i].port, sends[i].payload, v6, sends[i].zero, far_mac,
			       near_mac, in);

	drain(far_packet);
	inject(near_packet, in, len);
	result(capture(in, out, len) && sent_right(i, in, out, len), "live send IPv%d: %s",
	       v6 ? 6 : 4, sends[i].name);
}

/* ---------------------------------------------------------------- */

static void set_up(const char *near, const char *far, const char *ifname)
{
	static const struct {
		uint16_t coverage, min;
		uint32_t flags;
	} ports[PORTS] = {
		{ 0, 0, 0 }, { 8, 8, 0 }, { 20, 20, 0 }, { 9, 9, 0 }, { 20, 8, HK_LITE_NO_CHECK6 },
	};
	struct hk_deploy_interface iface = { 0 };
	struct hk_deploy_options options = {
		.interfaces = &iface,
		.interface_count = 1,
		.count_fd = -1,
	};
	int e;

	enter(far);
	far_packet = packet_socket(ifname, far_mac);
	enter(near);
	near_packet = packet_socket(ifname, near_mac);
	iface.ifindex = if_nametoindex(ifname);
	e = hk_transport_deploy(&hk_transport_udplite, &options, &deployment);
	if (e)
		errx(1, "deploy: %s", strerror(-e));
	for (int i = 0; i < PORTS; i++) {
		e = hk_deployment_add_port(deployment, PORT_FULL + i, ports[i].coverage,
					   ports[i].min, ports[i].flags);
		if (e)
			errx(1, "port: %s", strerror(-e));
		for (int v6 = 0; v6 < 2; v6++)
			sockets[i][v6] = udp_socket(v6, PORT_FULL + i, ports[i].flags);
	}
	raw[0] = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, 136);
	raw[1] = socket(AF_INET6, SOCK_RAW | SOCK_CLOEXEC, 136);
	if (raw[0] < 0 || raw[1] < 0)
		err(1, "raw socket");
}

int main(int argc, char **argv)
{
	size_t n = sizeof(sends) / sizeof(sends[0]), only4 = 0, i;

	if (argc != 4)
		errx(2, "usage: prog_udplite NEAR FAR IF");
	hk_log_setup(HK_LOG_INFO);
	set_up(argv[1], argv[2], argv[3]);
	for (i = 0; i < lite_case_count; i++)
		only4 += lite_cases[i].ip_options || lite_cases[i].fragment;
	printf("1..%zu\n", (lite_case_count * 2 - only4) * 2 + n * 4);
	for (int v6 = 0; v6 < 2; v6++) {
		for (i = 0; i < lite_case_count; i++) {
			if (v6 && (lite_cases[i].ip_options || lite_cases[i].fragment))
				continue;
			case_by_test_run(&lite_cases[i], v6);
			case_live(&lite_cases[i], v6);
		}
		for (i = 0; i < n; i++) {
			send_by_test_run(i, v6);
			send_live(i, v6);
		}
	}
	hk_transport_undeploy(deployment);
	return failures != 0;
}
