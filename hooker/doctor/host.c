// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/utsname.h>
#include <sys/vfs.h>
#include <unistd.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/magic.h>

#include "bpf/wire.h"
#include "hooker/hooks/cgroup.h"
#include "hooker/state/control.h"
#include "hooker/doctor/doctor.h"
#include "hooker/base/privilege.h"
#include "hooker/base/verdict.h"

/* ---- kernel ---- */

static const struct {
	int version; /* major * 1000 + minor */
	enum hk_verdict_level without;
	const char *lacks;
} features[] = {
	{ 5010, HK_FAIL, "TCP options from sock_ops: nothing can be negotiated" },
	{ 5011, HK_WARN, "waking writers: what applications may send ahead is not bounded" },
	{ 5015, HK_WARN, "telling network namespaces apart: containers in the cgroup are touched" },
	{ 6012, HK_WARN,
	  "redirecting servers that listen already: restart them after Hooker has started" },
};

static void check_kernel(json_t *list)
{
	int major = 0, minor = 0, version;
	struct utsname name;
	bool bad = false;
	char remedy[64];
	size_t i;

	uname(&name);
	sscanf(name.release, "%d.%d", &major, &minor);
	version = major * 1000 + minor;
	for (i = 0; i < sizeof(features) / sizeof(features[0]); i++) {
		if (version >= features[i].version)
			continue;
		snprintf(remedy, sizeof(remedy), "Linux %d.%d or later", features[i].version / 1000,
			 features[i].version % 1000);
		hk_verdict(list, "kernel", features[i].without, remedy, "Linux %s lacks %s",
			   name.release, features[i].lacks);
		bad = true;
	}
	if (!bad)
		hk_verdict(list, "kernel", HK_OK, NULL, "Linux %s has all that Hooker uses",
			   name.release);
}

static void check_btf(json_t *list)
{
	if (!access("/sys/kernel/btf/vmlinux", R_OK))
		hk_verdict(list, "btf", HK_OK, NULL, "the kernel describes its types");
	else
		hk_verdict(list, "btf", HK_FAIL,
			   "a kernel with CONFIG_DEBUG_INFO_BTF=y, and /sys mounted",
			   "/sys/kernel/btf/vmlinux is not there: the programs can't be fitted to "
			   "this kernel");
}

static void check_jit(json_t *list)
{
	FILE *file = fopen("/proc/sys/net/core/bpf_jit_enable", "re");
	int value = 1;

	if (file && fscanf(file, "%d", &value) == 1 && !value)
		hk_verdict(list, "jit", HK_WARN, "sysctl net.core.bpf_jit_enable=1",
			   "BPF programs are interpreted, several times as slow");
	if (file)
		fclose(file);
}

/* ---- privileges ---- */

static bool check_privileges(json_t *list)
{
	char missing[128];
	bool lacking = hk_privilege_missing(missing, sizeof(missing), true);

	if (lacking)
		hk_verdict(list, "privileges", HK_FAIL,
			   "run Hooker as root, or with these capabilities",
			   "this process lacks %s", missing);
	else
		hk_verdict(list, "privileges", HK_OK, NULL, "all capabilities that are needed");
	return !lacking;
}

/* ---- cgroup ---- */

/* Other programs on the same hook see every connection too, and may set the same options. */
static void check_cgroup_programs(json_t *list, int fd, const char *path)
{
	__u32 ids[64], count = 64, i;

	if (bpf_prog_query(fd, BPF_CGROUP_SOCK_OPS, BPF_F_QUERY_EFFECTIVE, NULL, ids, &count))
		return;
	for (i = 0; i < count; i++) {
		struct bpf_prog_info info = { 0 };
		__u32 size = sizeof(info);
		int prog = bpf_prog_get_fd_by_id(ids[i]);

		if (prog >= 0 && !bpf_obj_get_info_by_fd(prog, &info, &size) &&
		    strncmp(info.name, "hk_", 3))
			hk_verdict(list, "cgroup", HK_WARN,
				   "if connections misbehave, detach it (`bpftool cgroup tree`)",
				   "sock_ops program '%s' (%u) is attached to %s as well",
				   info.name, info.id, path);
		if (prog >= 0)
			close(prog);
	}
}

static void check_cgroup(json_t *list, const char *path)
{
	char root[4096];
	int fd;

	if (!path && !hk_cgroup_root(root, sizeof(root))) {
		hk_verdict(list, "cgroup", HK_FAIL,
			   "mount -t cgroup2 none /sys/fs/cgroup/unified (any directory will do)",
			   "no cgroup v2 is mounted here");
		return;
	}
	fd = hk_cgroup_open_quiet(path ?: root);
	if (fd < 0) {
		hk_verdict(list, "cgroup", HK_FAIL, "name a directory of the cgroup v2 hierarchy",
			   "'%s' is no cgroup v2: %s", path ?: root, strerror(-fd));
		return;
	}
	hk_verdict(list, "cgroup", HK_OK, NULL, "cgroup v2 at %s", path ?: root);
	check_cgroup_programs(list, fd, path ?: root);
	close(fd);
}

/* ---- ports and limits ---- */

static int try_bind(int type, int port)
{
	struct sockaddr_in addr = { .sin_family = AF_INET, .sin_port = htons(port) };
	int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0), one = 1, err = 0;

	if (fd < 0)
		return -errno;
	/* As the relay does: connections in TIME_WAIT are no hindrance. */
	if (type == SOCK_STREAM)
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(fd, (struct sockaddr *)&addr, sizeof(addr)))
		err = -errno;
	close(fd);
	return err;
}

static void check_ports(json_t *list)
{
	static const struct {
		int type, port;
		const char *word;
	} ports[] = {
		{ SOCK_DGRAM, HK_RELAY_PORT, "udp" },
		{ SOCK_STREAM, HK_RELAY_PORT, "tcp" },
		{ SOCK_DGRAM, HK_RELAY_LITE_PORT, "udp" },
	};
	char remedy[128];
	bool bad = false;
	size_t i;

	if (hk_control_is_served()) {
		hk_verdict(list, "ports", HK_OK, NULL,
			   "a Hooker runs here and has them: see `hooker status`");
		return;
	}
	for (i = 0; i < sizeof(ports) / sizeof(ports[0]); i++) {
		int err = try_bind(ports[i].type, ports[i].port);

		if (!err)
			continue;
		snprintf(remedy, sizeof(remedy),
			 "stop who has it (`ss -ap sport = %d`), or use --datapath kernel",
			 ports[i].port);
		hk_verdict(list, "ports", HK_FAIL, remedy,
			   "the relay's port %d/%s can't be had: %s", ports[i].port, ports[i].word,
			   strerror(-err));
		bad = true;
	}
	if (!bad)
		hk_verdict(list, "ports", HK_OK, NULL, "the relay's ports %d and %d are free",
			   HK_RELAY_PORT, HK_RELAY_LITE_PORT);
}

/* The relay raises the soft limit itself as far as it may. */
static void check_limits(json_t *list, bool privileged)
{
	struct rlimit files;

	if (getrlimit(RLIMIT_NOFILE, &files))
		return;
	if (files.rlim_max < 4096 && !privileged)
		hk_verdict(list, "limits", HK_WARN,
			   "ulimit -Hn 65536, or LimitNOFILE= of the service",
			   "%llu open files at most: the relay needs two for a connection",
			   (unsigned long long)files.rlim_max);
	else
		hk_verdict(list, "limits", HK_OK, NULL, "enough open files");
}

static void check_bpffs(json_t *list)
{
	struct statfs fs;

	if (statfs("/sys/fs/bpf", &fs) || fs.f_type != BPF_FS_MAGIC)
		hk_verdict(list, "bpffs", HK_WARN, "mount -t bpf bpf /sys/fs/bpf",
			   "no bpf file system: `hooker deploy` can't keep a transport");
}

void doctor_host(json_t *list, const char *cgroup)
{
	bool privileged;

	check_kernel(list);
	check_btf(list);
	check_jit(list);
	privileged = check_privileges(list);
	check_cgroup(list, cgroup);
	check_bpffs(list);
	check_ports(list);
	check_limits(list, privileged);
}
