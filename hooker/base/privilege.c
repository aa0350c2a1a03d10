// SPDX-License-Identifier: GPL-2.0
#include "hooker/base/privilege.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <linux/capability.h>

#include "hooker/base/log.h"

static unsigned long long effective(void)
{
	FILE *file = fopen("/proc/self/status", "re");
	unsigned long long capabilities = 0;
	char line[256];

	while (file && fgets(line, sizeof(line), file))
		if (sscanf(line, "CapEff: %llx", &capabilities) == 1)
			break;
	if (file)
		fclose(file);
	return capabilities;
}

bool hk_privilege_missing(char *text, size_t room, bool all)
{
	static const struct {
		int number;
		const char *name;
	} needed[] = {
		{ CAP_BPF, "CAP_BPF" },
		{ CAP_PERFMON, "CAP_PERFMON" },
		{ CAP_NET_ADMIN, "CAP_NET_ADMIN" },
		{ CAP_NET_RAW, "CAP_NET_RAW" },
	};
	unsigned long long have = effective();
	size_t count = sizeof(needed) / sizeof(needed[0]) - !all, i;

	*text = '\0';
	if (have & 1ull << CAP_SYS_ADMIN)
		have |= 1ull << CAP_BPF | 1ull << CAP_PERFMON;
	for (i = 0; i < count; i++)
		if (!(have & 1ull << needed[i].number))
			snprintf(text + strlen(text), room - strlen(text), "%s%s", *text ? " " : "",
				 needed[i].name);
	return *text;
}

int hk_privilege_check(void)
{
	char missing[128];

	if (!hk_privilege_missing(missing, sizeof(missing), false))
		return 0;
	hk_error("this process lacks %s", missing);
	hk_hint("run Hooker as root, or with these capabilities");
	return -EPERM;
}
