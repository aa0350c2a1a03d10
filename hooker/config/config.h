/* SPDX-License-Identifier: GPL-2.0 */
/*
 * hooker.conf: settings and rules, one a line. A line with the word `use` is a rule as in
 * hooker/rules/rules.h, any other a setting with the same words as the option of `hooker run`:
 *
 *   datapath kernel          # --datapath kernel
 *   interface eth0           # may be repeated
 *   accept-damage            # without value
 *   remote 10.0.0.0/8 use tcp
 *
 * # begins a comment. What the command line says comes before what the file says.
 */
#ifndef HOOKER_CONFIG_CONFIG_H
#define HOOKER_CONFIG_CONFIG_H

#include <stdbool.h>
#include <jansson.h>

#include "hooker/hooks/attach.h"

#define HK_CONFIG_DEFAULT "/etc/hooker/hooker.conf"

/* A setting on the command line. */
struct hk_given {
	int key;	   /* of hk_setting_options */
	const char *value; /* NULL where the setting has none */
};

#define HK_GIVEN_MAX 64

/* Where a configuration comes from: can be read again. */
struct hk_config_source {
	const char *path;	/* NULL = no file */
	const char *rules_path; /* --rules, which replaces the file's rules; NULL = none */
	struct hk_given given[HK_GIVEN_MAX];
	int given_count;
};

struct hk_settings {
	struct hk_options options; /* points into what follows, and into the source */
	char *text;		   /* the file, cut into words */
	char *rules_text;	   /* of the rules the options point to */
	bool has_rules; /* a file was read that says which are in force, if only "none" */
};

/**
 * Reads and checks everything: the file, the rules, whether all goes together. Puts each fault as
 * "FILE:LINE: what" into the new array *@errors, and returns 0 only if there is none: -EINVAL, or
 * -errno for a file that can't be read. hk_config_free() after success.
 */
int hk_config_read(struct hk_settings **out, const struct hk_config_source *source,
		   json_t **errors);

void hk_config_free(struct hk_settings *settings);

#endif
