// SPDX-License-Identifier: GPL-2.0
/*
 * A deployment without an owner: a folder of pins on bpffs, where names have no dots. In it:
 *   entry-built | entry-source   hk_rx_entry; its name says where the object came from
 *   map-NAME                     every map of the object
 *   if-IFINDEX-xdp, -rx          the dispatcher's link and its PROG_ARRAY
 *   if-IFINDEX-tx                TCX links
 *   if-IFINDEX-clsact            before Linux 6.6: a mark that clsact filters are to be swept
 */
#include "hooker/transport/internal.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>
#include <linux/magic.h>
#include <bpf/bpf.h>

/* Mount points of bpffs; `ip netns exec` hides the usual one behind a fresh /sys. */
static int bpffs_find(char *path, size_t size)
{
	FILE *mounts = fopen("/proc/self/mounts", "re");
	char line[PATH_MAX + 256], where[PATH_MAX], type[64];
	struct statfs fs;
	int err = -ENOENT;

	snprintf(path, size, "/sys/fs/bpf");
	if (!statfs(path, &fs) && fs.f_type == BPF_FS_MAGIC)
		err = 0;
	while (err && mounts && fgets(line, sizeof(line), mounts)) {
		if (sscanf(line, "%*s %4095s %63s", where, type) == 2 && !strcmp(type, "bpf") &&
		    snprintf(path, size, "%s", where) < (int)size)
			err = 0;
	}
	if (mounts)
		fclose(mounts);
	return err;
}

int hk_transport_pin_dir(const struct hk_transport_desc *desc, char *path, size_t size)
{
	char bpffs[PATH_MAX];
	struct stat ns;
	int err = bpffs_find(bpffs, sizeof(bpffs));

	if (err)
		return err;
	if (stat("/proc/self/ns/net", &ns))
		return -errno;
	if (snprintf(path, size, "%s/hooker-%lu/%s", bpffs, (unsigned long)ns.st_ino, desc->name) >=
	    (int)size)
		return -ENAMETOOLONG;
	return 0;
}

static int pin(int fd, const char *dir, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static int pin(int fd, const char *dir, const char *format, ...)
{
	char path[PATH_MAX + NAME_MAX], name[NAME_MAX];
	va_list args;

	va_start(args, format);
	vsnprintf(name, sizeof(name), format, args);
	va_end(args);
	snprintf(path, sizeof(path), "%s/%s", dir, name);
	return bpf_obj_pin(fd, path) ? -errno : 0;
}

/* A link whose interface is gone stays as a pin, with interface index 0. */
static bool link_is_alive(const char *path)
{
	struct bpf_link_info info = { 0 };
	__u32 size = sizeof(info);
	int fd = bpf_obj_get(path);
	bool alive;

	if (fd < 0)
		return false;
	alive = !bpf_obj_get_info_by_fd(fd, &info, &size) && info.xdp.ifindex;
	close(fd);
	return alive;
}

/* Calls @each for every pin of @dir until it returns not 0. -ENOENT: no such folder. */
static int for_each_pin(const char *dir, int (*each)(const char *path, const char *name, void *arg),
			void *arg)
{
	char path[PATH_MAX + NAME_MAX + 2];
	struct dirent *entry;
	DIR *folder = opendir(dir);
	int ret = 0;

	if (!folder)
		return -errno;
	while (!ret && (entry = readdir(folder))) {
		if (entry->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "%s/%s", dir, entry->d_name);
		ret = each(path, entry->d_name, arg);
	}
	closedir(folder);
	return ret;
}

static bool ends_with(const char *name, const char *suffix)
{
	size_t n = strlen(name), m = strlen(suffix);

	return n >= m && !strcmp(name + n - m, suffix);
}

static int is_attached(const char *path, const char *name, void *arg)
{
	(void)arg;
	return ends_with(name, "-xdp") && link_is_alive(path);
}

static int remove_one(const char *path, const char *name, void *arg)
{
	const char *suffix = arg;
	int fd, ifindex;

	if (!ends_with(name, suffix))
		return 0;
	if (ends_with(name, "-clsact")) {
		if (sscanf(name, "if-%d-", &ifindex) == 1)
			hk_tc_sweep(ifindex);
	} else if (ends_with(name, "-tx") || ends_with(name, "-xdp")) {
		/* Removing the last reference detaches too, but from a work queue, some time later. */
		fd = bpf_obj_get(path);
		if (fd >= 0) {
			bpf_link_detach(fd);
			close(fd);
		}
	}
	unlink(path);
	return 0;
}

int hk_transport_unpin(const char *dir)
{
	static const char *const order[] = { "-tx", "-clsact", "-xdp", "" };
	char parent[PATH_MAX], *slash;
	int err = 0;

	for (size_t i = 0; !err && i < sizeof(order) / sizeof(order[0]); i++)
		err = for_each_pin(dir, remove_one, (void *)order[i]);
	if (err)
		return err;
	if (rmdir(dir))
		return -errno;
	/* The namespace's folder goes with its last transport. */
	snprintf(parent, sizeof(parent), "%s", dir);
	slash = strrchr(parent, '/');
	if (slash) {
		*slash = '\0';
		rmdir(parent);
	}
	return 0;
}

static int make_dir(const char *dir)
{
	char parent[PATH_MAX], *slash;

	snprintf(parent, sizeof(parent), "%s", dir);
	slash = strrchr(parent, '/');
	if (!slash)
		return -EINVAL;
	*slash = '\0';
	if (mkdir(parent, 0700) && errno != EEXIST)
		return -errno;
	return mkdir(dir, 0700) ? -errno : 0;
}

int hk_pins_create(struct hk_deployment *deployment, const char *dir)
{
	int err = for_each_pin(dir, is_attached, NULL);

	if (err > 0)
		return -EEXIST;
	if (!err)
		err = hk_transport_unpin(
			dir); /* left by a killed process or a vanished namespace */
	if (err && err != -ENOENT)
		return err;
	err = make_dir(dir);
	if (err)
		return err;
	snprintf(deployment->pin_dir, sizeof(deployment->pin_dir), "%s", dir);
	for (int i = 0; !err && i < deployment->map_count; i++)
		err = pin(deployment->maps[i].fd, dir, "map-%s", deployment->maps[i].name);
	return err   ?:
		       pin(deployment->entry_fd, dir, "entry-%s",
			   deployment->from_source ? "source" : "built");
}

int hk_pins_add_interface(struct hk_deployment *deployment, const struct deployed_interface *iface)
{
	const char *dir = deployment->pin_dir;
	int err = 0;

	if (iface->own_dispatch) {
		err = pin(hk_dispatch_map_fd(iface->dispatch), dir, "if-%d-rx", iface->ifindex);
		err = err   ?:
			      pin(hk_dispatch_link_fd(iface->dispatch), dir, "if-%d-xdp",
				  iface->ifindex);
	}
	if (!err && iface->tx && hk_tc_fd(iface->tx) >= 0)
		err = pin(hk_tc_fd(iface->tx), dir, "if-%d-tx", iface->ifindex);
	else if (!err && iface->tx)
		err = pin(deployment->entry_fd, dir, "if-%d-clsact", iface->ifindex);
	return err;
}

static struct deployed_interface *interface_get(struct hk_deployment *deployment, int ifindex)
{
	struct deployed_interface *iface;

	for (size_t i = 0; i < deployment->interface_count; i++)
		if (deployment->interfaces[i].ifindex == ifindex)
			return &deployment->interfaces[i];
	if (deployment->interface_count == INTERFACES_MAX)
		return NULL;
	iface = &deployment->interfaces[deployment->interface_count++];
	iface->ifindex = ifindex;
	return iface;
}

static int open_one(const char *path, const char *name, void *arg)
{
	struct hk_deployment *deployment = arg;
	struct deployed_interface *iface;
	struct named_map *map;
	int ifindex;

	if (!strncmp(name, "entry-", 6)) {
		deployment->from_source = !strcmp(name, "entry-source");
		deployment->entry_fd = bpf_obj_get(path);
		return deployment->entry_fd < 0 ? -errno : 0;
	}
	if (!strncmp(name, "map-", 4) && deployment->map_count < MAPS_MAX) {
		map = &deployment->maps[deployment->map_count];
		snprintf(map->name, sizeof(map->name), "%s", name + 4);
		map->fd = bpf_obj_get(path);
		if (map->fd < 0)
			return -errno;
		deployment->map_count++;
		return 0;
	}
	if (sscanf(name, "if-%d-", &ifindex) != 1)
		return 0;
	iface = interface_get(deployment, ifindex);
	if (!iface)
		return -E2BIG;
	if (ends_with(name, "-tx"))
		iface->tx_kind = "tcx";
	else if (ends_with(name, "-clsact"))
		iface->tx_kind = "clsact";
	return 0;
}

int hk_deployment_open(const struct hk_transport_desc *desc, const char *pin_dir,
		       struct hk_deployment **out)
{
	struct hk_deployment *deployment = calloc(1, sizeof(*deployment));
	int err;

	*out = NULL;
	if (!deployment)
		return -ENOMEM;
	deployment->desc = desc;
	deployment->entry_fd = -1;
	snprintf(deployment->pin_dir, sizeof(deployment->pin_dir), "%s", pin_dir);
	err = for_each_pin(pin_dir, open_one, deployment);
	/* A folder without its entry is what a killed process left half made. */
	if (!err && deployment->entry_fd < 0)
		err = -ENOENT;
	if (err)
		hk_deployment_close(deployment);
	else
		*out = deployment;
	return err;
}
