// SPDX-License-Identifier: GPL-2.0
#include "hooker/cli/deployed.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

#include "hooker/state/control.h"

json_t *hk_deployed_by_daemon(const struct hk_transport_desc *desc)
{
	json_t *reply, *entry, *found = NULL;
	size_t i;

	if (!hk_control_is_served() ||
	    hk_control_call(json_pack("{s:s}", "command", "transports"), &reply))
		return NULL;
	json_array_foreach(json_object_get(reply, "transports"), i, entry) {
		const char *name = json_string_value(json_object_get(entry, "name"));

		if (name && !strcmp(name, desc->name))
			found = json_incref(entry);
	}
	json_decref(reply);
	return found;
}

int hk_deployed_open(const struct hk_transport_desc *desc, struct hk_deployment **out)
{
	char pin_dir[PATH_MAX];
	json_t *ids;
	int err;

	*out = NULL;
	/* No bpffs is no reason to stop: a daemon needs none. */
	err = hk_transport_pin_dir(desc, pin_dir, sizeof(pin_dir));
	err = err ?: hk_deployment_open(desc, pin_dir, out);
	if (err != -ENOENT)
		return err;
	ids = hk_deployed_by_daemon(desc);
	if (json_object_get(ids, "maps"))
		err = hk_deployment_open_ids(desc, ids, out);
	json_decref(ids);
	return err;
}
