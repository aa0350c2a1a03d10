// links: hooker/transport/deploy.c hooker/transport/iface.c hooker/transport/pins.c hooker/transport/source.c hooker/transport/status.c hooker/transport/steps.c hooker/transport/udplite.c hooker/transport/verifier.c hooker/hooks/dispatch.c hooker/hooks/tc.c hooker/base/log.c hooker/base/measure.c
// libs: -lbpf -lmnl
// SPDX-License-Identifier: GPL-2.0
/*
 * A second transport, made by following hooker/transport/README.md and using nothing else.
 * prog_toy A B IF OBJECT: namespaces with 10.78.0.1 and 10.78.0.2 on IF; OBJECT: toy.bpf.o.
 */
#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "hooker/base/log.h"
#include "hooker/tests/toy.skel.h"
#include "hooker/transport/transport.h"

#define PORT 7000

static const struct hk_step_reason not_ours[] = { { 1, false, "not-ours" }, { 0 } };

static const struct hk_step_desc steps[] = {
	{ "find", "toy_find_rx", HK_STEP_RX, not_ours },
	{ "unscramble", "toy_unscramble", HK_STEP_RX, not_ours },
	{ "scramble", "toy_scramble_tx", HK_STEP_TX, not_ours },
	{ 0 },
};

static const struct hk_transport_desc toy = {
	.name = "toy",
	.protocol = 253,
	.object = toy_bpf__elf_bytes,
	.source = "hooker/tests/toy.bpf.c",
	.steps = steps,
	.ports_map = "toy_ports",
};

static unsigned int test_number, failures;

static void ok(bool good, const char *name)
{
	failures += !good;
	printf("%sok %u - toy: %s\n", good ? "" : "not ", ++test_number, name);
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

static struct hk_deployment *deploy(const char *ifname, const char *source_dir)
{
	struct hk_deploy_interface iface = { .ifindex = if_nametoindex(ifname) };
	struct hk_deploy_options options = {
		.interfaces = &iface,
		.interface_count = 1,
		.count_fd = -1,
		.source_dir = source_dir,
	};
	struct hk_deployment *deployment;
	int e = hk_transport_deploy(&toy, &options, &deployment);

	if (!e)
		e = hk_deployment_add_port(deployment, PORT, 0, 0, 0);
	if (e)
		errx(1, "deploy: %s", strerror(-e));
	return deployment;
}

static int udp_socket(const char *ip)
{
	struct sockaddr_in self = { .sin_family = AF_INET, .sin_port = htons(PORT) };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	inet_pton(AF_INET, ip, &self.sin_addr);
	if (fd < 0 || bind(fd, (void *)&self, sizeof(self)))
		err(1, "socket");
	return fd;
}

/* Whether @text sent by @from to @ip is @expected when it arrives at @to. */
static bool travels(int from, const char *ip, int to, const char *text, const char *expected)
{
	struct sockaddr_in peer = { .sin_family = AF_INET, .sin_port = htons(PORT) };
	struct pollfd p = { .fd = to, .events = POLLIN };
	char got[256] = "";

	inet_pton(AF_INET, ip, &peer.sin_addr);
	if (sendto(from, text, strlen(text), 0, (void *)&peer, sizeof(peer)) < 0)
		return false;
	if (poll(&p, 1, 2000) != 1 || recv(to, got, sizeof(got) - 1, 0) < 0)
		return false;
	return !strcmp(got, expected);
}

static uint64_t count(const struct hk_deployment *deployment, const char *step)
{
	uint64_t packets = 0;

	hk_deployment_count(deployment, step, 0, &packets);
	return packets;
}

int main(int argc, char **argv)
{
	struct hk_deployment *a, *b;
	int fd_a, fd_b;

	if (argc != 5)
		errx(2, "usage: prog_toy A B IF OBJECT");
	hk_log_setup(HK_LOG_INFO);
	puts("1..8");
	enter(argv[1]);
	a = deploy(argv[3], NULL);
	fd_a = udp_socket("10.78.0.1");
	enter(argv[2]);
	b = deploy(argv[3], "."); /* from source */
	fd_b = udp_socket("10.78.0.2");
	ok(travels(fd_a, "10.78.0.2", fd_b, "a message of the toy transport",
		   "a message of the toy transport"),
	   "there");
	ok(travels(fd_b, "10.78.0.1", fd_a, "short", "short"), "and back");
	ok(count(a, "scramble") == 1 && count(b, "unscramble") == 1, "each step has counted");
	ok(!hk_deployment_swap_step(b, "unscramble", argv[4], "toy_mark_x"), "a step is swapped");
	ok(travels(fd_a, "10.78.0.2", fd_b, "hello", "Xello"), "the new step runs");
	ok(hk_deployment_swap_step(b, "no such step", NULL, NULL) == -ESRCH &&
		   hk_deployment_swap_step(b, "unscramble", argv[4], "no_such_program") == -ENOENT,
	   "what is not there is not swapped in");
	ok(travels(fd_a, "10.78.0.2", fd_b, "hello", "Xello"), "and the chain still works");
	hk_transport_undeploy(a);
	hk_transport_undeploy(b);
	ok(travels(fd_a, "10.78.0.2", fd_b, "plain UDP", "plain UDP"), "undeployed");
	return failures != 0;
}
