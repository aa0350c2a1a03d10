// SPDX-License-Identifier: GPL-2.0
#include "hooker/config/config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hooker/base/file.h"
#include "hooker/config/settings.h"
#include "hooker/rules/rules.h"

#define WORDS_MAX 32
#define KEYS_MAX  512
#define ERROR_MAX 256

struct reader {
	struct hk_settings *settings;
	const struct hk_config_source *source;
	json_t *errors;
	FILE *rules;		    /* the file with everything but its rules blanked */
	unsigned int line;	    /* being read */
	unsigned int set[KEYS_MAX]; /* line that set a key, 0 = none */
};

static void complain(struct reader *reader, unsigned int line, const char *what)
{
	json_array_append_new(reader->errors,
			      json_sprintf("%s:%u: %s", reader->source->path, line, what));
}

static void read_setting(struct reader *reader, char **words, int count)
{
	const struct argp_option *option = hk_setting_find(words[0]);
	char error[ERROR_MAX] = "";

	if (!option)
		snprintf(
			error, sizeof(error),
			"'%s' is no setting, and a rule needs `use tcp`, `use udp` or `use udplite`",
			words[0]);
	else if (reader->set[option->key] && !hk_setting_repeats(option->key))
		snprintf(error, sizeof(error), "%s was set in line %u already", words[0],
			 reader->set[option->key]);
	else if (!option->arg && count > 1)
		snprintf(error, sizeof(error), "%s takes no value", words[0]);
	else if (option->arg && count != 2)
		snprintf(error, sizeof(error), "%s needs one value: %s", words[0], option->arg);
	else
		hk_setting_set(&reader->settings->options, option->key, count > 1 ? words[1] : NULL,
			       error, sizeof(error));
	if (option)
		reader->set[option->key] = reader->line;
	if (*error)
		complain(reader, reader->line, error);
}

static void read_line(struct reader *reader, char *line)
{
	char *words[WORDS_MAX], *save = NULL, *word, *whole;
	bool rule = false;
	int count = 0;

	line[strcspn(line, "#")] = 0;
	whole = strdup(line);
	for (word = strtok_r(line, " \t\r", &save); word && count < WORDS_MAX;
	     word = strtok_r(NULL, " \t\r", &save)) {
		rule |= !strcmp(word, "use");
		words[count++] = word;
	}
	if (rule)
		fputs(whole ?: "", reader->rules);
	else if (count)
		read_setting(reader, words, count);
	fputc('\n', reader->rules);
	free(whole);
}

static int read_config(struct reader *reader)
{
	struct hk_settings *settings = reader->settings;
	char *rest, *line;
	size_t size;

	settings->text = rest = hk_file_read(reader->source->path);
	if (!rest) {
		json_array_append_new(reader->errors,
				      json_sprintf("can't read '%s': %s", reader->source->path,
						   strerror(errno)));
		return -errno;
	}
	reader->rules = open_memstream(&settings->rules_text, &size);
	if (!reader->rules)
		return -errno;
	while ((line = strsep(&rest, "\n"))) {
		reader->line++;
		read_line(reader, line);
	}
	fclose(reader->rules);
	settings->has_rules = true;
	return 0;
}

/* What the command line says replaces what the file says. */
static void read_given(struct reader *reader)
{
	const struct hk_given *given = reader->source->given;
	struct hk_options *options = &reader->settings->options;
	char error[ERROR_MAX];
	bool interfaces = false;
	int i;

	for (i = 0; i < reader->source->given_count; i++) {
		if (given[i].key == 'i' && !interfaces)
			options->interface_count = 0;
		interfaces |= given[i].key == 'i';
		reader->set[given[i].key] = 0;
		if (hk_setting_set(options, given[i].key, given[i].value, error, sizeof(error)))
			json_array_append_new(reader->errors, json_string(error));
	}
}

static void blank_line(char *text, unsigned int line)
{
	while (text && --line)
		text = strchr(text, '\n') ? strchr(text, '\n') + 1 : NULL;
	for (; text && *text && *text != '\n'; text++)
		*text = ' ';
}

/* The rules parser stops at the first fault: take that line out of a copy and try again. */
static void check_rules(struct reader *reader)
{
	struct hk_options *options = &reader->settings->options;
	char error[ERROR_MAX], *copy = strdup(options->rules_text);
	size_t name = strlen(options->rules_name);
	struct hk_rules rules;
	unsigned int line = 1;

	while (copy && line &&
	       hk_rules_parse(&rules, copy, options->rules_name, options->datapath, error,
			      sizeof(error))) {
		json_array_append_new(reader->errors, json_string(error));
		line = strlen(error) > name ? strtoul(error + name + 1, NULL, 10) : 0;
		if (line)
			blank_line(copy, line);
	}
	if (copy && line) {
		options->damage_rules = hk_rules_want_damage(&rules);
		options->lite_rules = hk_rules_want_lite(&rules);
		hk_rules_free(&rules);
	}
	free(copy);
}

static void read_rules(struct reader *reader)
{
	struct hk_settings *settings = reader->settings;
	const char *path = reader->source->rules_path;

	if (path) {
		free(settings->rules_text);
		settings->rules_text = hk_file_read(path);
		if (!settings->rules_text) {
			json_array_append_new(reader->errors,
					      json_sprintf("can't read the rules '%s': %s", path,
							   strerror(errno)));
			return;
		}
		settings->has_rules = true;
	}
	settings->options.rules_text = settings->rules_text;
	settings->options.rules_name = path ?: reader->source->path;
	if (settings->rules_text)
		check_rules(reader);
}

static void check_together(struct reader *reader)
{
	char error[ERROR_MAX];
	int key = hk_settings_check(&reader->settings->options, error, sizeof(error));

	if (key && reader->set[key])
		complain(reader, reader->set[key], error);
	else if (key)
		json_array_append_new(reader->errors,
				      json_sprintf("--%s: %s", hk_setting_by_key(key)->name,
						   error));
}

int hk_config_read(struct hk_settings **out, const struct hk_config_source *source, json_t **errors)
{
	struct hk_settings *settings = calloc(1, sizeof(*settings));
	struct reader reader = { .settings = settings, .source = source };
	int err = settings ? 0 : -ENOMEM;

	*errors = reader.errors = json_array();
	if (!err) {
		hk_settings_default(&settings->options);
		if (source->path)
			err = read_config(&reader);
	}
	if (!err) {
		read_given(&reader);
		read_rules(&reader);
		check_together(&reader); /* rules may ask for UDP-Lite */
	}
	if (!err && json_array_size(reader.errors))
		err = -EINVAL;
	if (err) {
		hk_config_free(settings);
		return err;
	}
	*out = settings;
	return 0;
}

void hk_config_free(struct hk_settings *settings)
{
	if (!settings)
		return;
	free(settings->text);
	free(settings->rules_text);
	free(settings);
}
