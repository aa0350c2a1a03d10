// SPDX-License-Identifier: GPL-2.0
#include "hooker/hooks/cgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <mntent.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/vfs.h>
#include <unistd.h>
#include <linux/magic.h>

#include "hooker/base/log.h"

/* Hybrid set-ups mount v2 beside v1, so the place must be looked up, never assumed. */
bool hk_cgroup_root(char *path, size_t size)
{
	FILE *mounts = setmntent("/proc/self/mounts", "r");
	struct mntent *mount;
	bool found = false;

	if (!mounts)
		return false;
	while (!found && (mount = getmntent(mounts))) {
		if (strcmp(mount->mnt_type, "cgroup2"))
			continue;
		snprintf(path, size, "%s", mount->mnt_dir);
		found = true;
	}
	endmntent(mounts);
	return found;
}

int hk_cgroup_open_quiet(const char *path)
{
	struct statfs fs;
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	if (!fstatfs(fd, &fs) && fs.f_type == CGROUP2_SUPER_MAGIC)
		return fd;
	close(fd);
	return -EOPNOTSUPP;
}

int hk_cgroup_open(const char *path)
{
	char root[4096];
	int fd;

	if (!path) {
		if (!hk_cgroup_root(root, sizeof(root))) {
			hk_error("no cgroup v2 is mounted; mount one: mount -t cgroup2 none /mnt");
			return -EOPNOTSUPP;
		}
		path = root;
	}
	fd = hk_cgroup_open_quiet(path);
	if (fd == -EOPNOTSUPP)
		hk_error("'%s' is not a cgroup v2 directory; sock_ops needs one", path);
	else if (fd < 0)
		hk_error("can't open cgroup '%s': %s", path, strerror(-fd));
	return fd;
}
