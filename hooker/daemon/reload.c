// SPDX-License-Identifier: GPL-2.0
/* What changes while Hooker runs: the rules, and those settings that can. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <bpf/libbpf.h>

#include "bpf/sockops.skel.h"
#include "hooker/base/exit.h"
#include "hooker/config/settings.h"
#include "hooker/daemon/internal.h"
#include "hooker/base/log.h"
#include "hooker/rules/rules.h"

int use_rules(struct daemon *daemon, const char *text, const char *name, char *error, size_t size)
{
	const struct sockops_bpf *so = daemon->attach->sockops;
	struct hk_rules rules;
	int err;

	*error = 0;
	if (hk_rules_parse(&rules, text, name, daemon->attach->options->datapath, error, size))
		return -EINVAL;
	if (hk_rules_want_damage(&rules) && !daemon->damage_ready)
		snprintf(error, size, "%s: accept-damage needs a Hooker started with it", name);
	else if (hk_rules_want_lite(&rules) && daemon->attach->relay && !daemon->attach->udplite)
		snprintf(error, size, "%s: udplite needs a Hooker started with it", name);
	else if ((err = hk_rules_apply(&daemon->force, &rules, bpf_map__fd(so->maps.hk_config),
				       bpf_map__fd(so->maps.hk_rules),
				       bpf_map__fd(so->maps.hk_class))))
		snprintf(error, size, "can't put the rules in force: %s", strerror(-err));
	hk_rules_free(&rules);
	if (*error)
		return -EINVAL;
	free(daemon->rules_text);
	daemon->rules_text = strdup(text);
	return 0;
}

/* Can the setting @name become what @fresh says while Hooker runs? */
static bool can_change(const struct daemon *daemon, const char *name,
		       const struct hk_options *fresh)
{
	const struct hk_attach *attach = daemon->attach;

	if (!hk_setting_is_live(hk_setting_find(name)->key))
		return false;
	if (!strcmp(name, "accept-damage"))
		return !fresh->damage || daemon->damage_ready;
	/* The relay's UDP-Lite is deployed when Hooker starts. */
	if (!strcmp(name, "transport"))
		return fresh->transport != HK_TRANSPORT_UDPLITE || !attach->relay ||
		       attach->udplite;
	return true;
}

/* Sorts the names of what differs; puts into @options what can change. */
static void merge(const struct daemon *daemon, struct hk_options *options,
		  const struct hk_options *fresh, json_t *changed, json_t *needs_restart)
{
	json_t *names = hk_settings_diff(options, fresh), *name;
	size_t i;

	json_array_foreach(names, i, name) {
		const char *word = json_string_value(name);

		if (can_change(daemon, word, fresh)) {
			hk_setting_copy(options, fresh, hk_setting_find(word)->key);
			json_array_append(changed, name);
		} else {
			json_array_append(needs_restart, name);
		}
	}
	json_decref(names);
}

static int apply(struct daemon *daemon, const struct hk_options *options)
{
	daemon->settings->options = *options;
	hk_log_limit(options->log_level);
	return hk_attach_configure(daemon->attach, options->datapath, options->transport,
				   options->coverage);
}

static json_t *refuse(json_t *errors, int exit_code)
{
	json_t *first = json_incref(json_array_get(errors, 0));
	json_t *reply;

	json_array_remove(errors, 0);
	reply = json_pack("{s:o, s:O, s:i}", "error", first, "details", errors, "exit_code",
			  exit_code);
	hk_warn("the old configuration stays in force: %s", json_string_value(first));
	return reply;
}

static bool same_text(const char *a, const char *b)
{
	return !strcmp(a ?: "", b ?: "");
}

/* The rules first: they can still be refused. */
static json_t *take(struct daemon *daemon, const struct hk_settings *fresh)
{
	struct hk_options options = daemon->settings->options;
	json_t *changed = json_array(), *needs_restart = json_array();
	char error[256] = "";
	int err = 0;

	if (fresh->has_rules && !same_text(fresh->rules_text, daemon->rules_text)) {
		err = use_rules(daemon, fresh->rules_text, fresh->options.rules_name, error,
				sizeof(error));
		json_array_append_new(changed, json_string("rules"));
	}
	if (!err) {
		merge(daemon, &options, &fresh->options, changed, needs_restart);
		err = apply(daemon, &options);
		if (err)
			snprintf(error, sizeof(error), "can't change what runs: %s",
				 strerror(-err));
	}
	if (err) {
		json_t *errors = json_pack("[s]", error), *reply = refuse(errors, HK_EXIT_FAILURE);

		json_decref(errors);
		json_decref(changed);
		json_decref(needs_restart);
		return reply;
	}
	return json_pack("{s:i, s:o, s:o}", "schema", 1, "changed", changed, "needs_restart",
			 needs_restart);
}

static void log_outcome(const json_t *reply)
{
	const json_t *name;
	size_t i;

	json_array_foreach(json_object_get(reply, "changed"), i, name)
		hk_info("reload: %s changed", json_string_value(name));
	json_array_foreach(json_object_get(reply, "needs_restart"), i, name)
		hk_warn("reload: %s can't change while Hooker runs: restart it",
			json_string_value(name));
}

json_t *reload(struct daemon *daemon)
{
	struct hk_settings *fresh;
	json_t *errors, *reply;

	if (hk_config_read(&fresh, daemon->source, &errors)) {
		reply = refuse(errors, HK_EXIT_USAGE);
	} else {
		reply = take(daemon, fresh);
		hk_config_free(fresh);
		log_outcome(reply);
	}
	json_decref(errors);
	return reply;
}
