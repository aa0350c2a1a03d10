// SPDX-License-Identifier: GPL-2.0
/* Deployment from source, as in the paper: clang at run time. */
#include "hooker/transport/transport.h"
#include "hooker/transport/internal.h"

#include <errno.h>
#include <libgen.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

/* The kernel's word for the machine, which bpf_tracing.h wants, and Debian's folder of asm/ headers. */
static void machine(char *arch, size_t arch_size, char *include, size_t include_size)
{
	struct utsname name;
	const char *word;

	uname(&name);
	word = !strcmp(name.machine, "x86_64")	? "x86" :
	       !strcmp(name.machine, "aarch64") ? "arm64" :
						  name.machine;
	snprintf(arch, arch_size, "-D__TARGET_ARCH_%s", word);
	snprintf(include, include_size, "/usr/include/%s-linux-gnu", name.machine);
}

static int run(char *const argv[])
{
	int status, err;
	pid_t pid;

	err = posix_spawnp(&pid, argv[0], NULL, NULL, argv, environ);
	if (err)
		return err == ENOENT ? -ENOPKG : -err;
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	return WIFEXITED(status) && !WEXITSTATUS(status) ? 0 : -ENOEXEC;
}

int hk_source_compile(const char *source_dir, const char *source, char *object, size_t size)
{
	const char *tmp = getenv("TMPDIR"), *clang = getenv("CLANG");
	char arch[96], include[128], input[PATH_MAX], include_dir[PATH_MAX];
	int fd, err;

	if (snprintf(input, sizeof(input), "%s/%s", source_dir, source) >= (int)sizeof(input) ||
	    snprintf(include_dir, sizeof(include_dir), "-I%s", source_dir) >=
		    (int)sizeof(include_dir) ||
	    snprintf(object, size, "%s/hooker-XXXXXX", tmp ? tmp : "/tmp") >= (int)size)
		return -ENAMETOOLONG;
	machine(arch, sizeof(arch), include, sizeof(include));
	fd = mkstemp(object);
	if (fd < 0)
		return -errno;
	close(fd);
	err = run((char *const[]){ (char *)(clang ? clang : "clang"), "-target", "bpf", arch, "-O2",
				   "-g", "-mcpu=v3", include_dir, "-idirafter", include, "-c",
				   input, "-o", object, NULL });
	if (err)
		unlink(object);
	return err;
}

/* build/hooker/hooker -> the tree; PREFIX/bin/hooker -> PREFIX/share/hooker. */
int hk_transport_source_dir(char *path, size_t size)
{
	static const char *const places[] = { "../..", "../share/hooker" };
	char exe[PATH_MAX], probe[PATH_MAX + 64];
	ssize_t n = readlink("/proc/self/exe", exe, sizeof(exe) - 1);

	if (n < 0)
		return -errno;
	exe[n] = '\0';
	dirname(exe);
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		snprintf(probe, sizeof(probe), "%s/%s/bpf/lib/steps.bpf.h", exe, places[i]);
		if (access(probe, R_OK))
			continue;
		if (snprintf(path, size, "%s/%s", exe, places[i]) >= (int)size)
			return -ENAMETOOLONG;
		return 0;
	}
	return -ENOENT;
}
