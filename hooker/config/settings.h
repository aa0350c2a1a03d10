/* SPDX-License-Identifier: GPL-2.0 */
/* What can be set: by an option of `hooker run`, or by a line of hooker.conf with the same words. */
#ifndef HOOKER_CONFIG_SETTINGS_H
#define HOOKER_CONFIG_SETTINGS_H

#include <argp.h>
#include <stdbool.h>
#include <stddef.h>
#include <jansson.h>

#include "hooker/hooks/attach.h"

/* The settings as options; ends as argp wants it. */
extern const struct argp_option hk_setting_options[];

/* The option that --@name and a line of hooker.conf that begins with it mean; NULL: no such setting. */
const struct argp_option *hk_setting_find(const char *name);
const struct argp_option *hk_setting_by_key(int key);

/* May it change while Hooker runs? */
bool hk_setting_is_live(int key);

/* May it be given more than once? */
bool hk_setting_repeats(int key);

/* What Hooker does when nothing is set. */
void hk_settings_default(struct hk_options *options);

/**
 * Sets the setting @key to @value, which must live as long as @options. Returns 0, or -EINVAL with
 * @error saying what it should be.
 */
int hk_setting_set(struct hk_options *options, int key, const char *value, char *error,
		   size_t size);

/**
 * Do the settings go together? Returns 0, or the key of one that does not, with @error saying why.
 */
int hk_settings_check(const struct hk_options *options, char *error, size_t size);

/* The names of the settings that differ, a new array. */
json_t *hk_settings_diff(const struct hk_options *old, const struct hk_options *fresh);

/* Takes over the setting @key, one that may change while Hooker runs. */
void hk_setting_copy(struct hk_options *options, const struct hk_options *from, int key);

#endif
