// SPDX-License-Identifier: GPL-2.0
#include "hooker/rules/rules.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct parser {
	struct hk_rules *rules;
	const char *name;
	unsigned int line;
	enum hk_datapath datapath;
	char *error;
	size_t size;
};

__attribute__((format(printf, 2, 3))) static int fail(const struct parser *parser,
						      const char *format, ...)
{
	va_list args;
	int n = snprintf(parser->error, parser->size, "%s:%u: ", parser->name, parser->line);

	va_start(args, format);
	if (n >= 0 && (size_t)n < parser->size)
		vsnprintf(parser->error + n, parser->size - n, format, args);
	va_end(args);
	return -EINVAL;
}

static int parse_number(const char *word, long least, long most)
{
	char *end;
	long value = word ? strtol(word, &end, 10) : -1;

	return !word || !*word || *end || value < least || value > most ? -1 : (int)value;
}

static void set_prefix(struct hk_rule *rule, int length)
{
	int i, bits;

	for (i = 0; i < 4; i++) {
		bits = length - 32 * i;
		rule->remote_mask[i] = bits <= 0  ? 0 :
				       bits >= 32 ? 0xffffffff :
						    htonl(0xffffffff << (32 - bits));
		rule->remote_ip[i] &= rule->remote_mask[i];
	}
}

static int parse_remote(struct hk_rule *rule, const char *word)
{
	const char *slash = strchrnul(word, '/');
	char address[INET6_ADDRSTRLEN];
	int most = 128, length;
	__u32 ip4;

	if (slash - word >= (int)sizeof(address))
		return -EINVAL;
	memcpy(address, word, slash - word);
	address[slash - word] = 0;
	if (inet_pton(AF_INET, address, &ip4) == 1) {
		rule->remote_ip[2] = htonl(0xffff);
		rule->remote_ip[3] = ip4;
		most = 32;
	} else if (inet_pton(AF_INET6, address, rule->remote_ip) != 1) {
		return -EINVAL;
	}
	length = *slash ? parse_number(slash + 1, 0, most) : most;
	if (length < 0)
		return -EINVAL;
	set_prefix(rule, length + 128 - most);
	return 0;
}

static int parse_use(struct hk_rule *rule, const char *word, enum hk_datapath datapath)
{
	rule->datapath = datapath;
	if (!strcmp(word, "udp"))
		rule->transport = HK_TRANSPORT_UDP;
	else if (!strcmp(word, "udplite"))
		rule->transport = HK_TRANSPORT_UDPLITE;
	else if (!strcmp(word, "tcp"))
		rule->datapath = HK_DATAPATH_NONE, rule->transport = HK_TRANSPORT_TCP;
	else
		return -EINVAL;
	if (datapath == HK_DATAPATH_KERNEL && rule->transport == HK_TRANSPORT_UDPLITE)
		rule->coverage = 24; /* HK_KERNEL_COVERAGE: the format has no other */
	return 0;
}

/* One word and what follows it. Returns how many words were used, or -errno. */
static int parse_word(struct parser *parser, const char *word, const char *value)
{
	struct hk_rule *rule = &parser->rules->rule[parser->rules->count];
	int number;

	if (!strcmp(word, "accept-damage")) {
		rule->damage = 1;
		return 1;
	}
	if (!value)
		return fail(parser, "'%s' is no word of a rule, or lacks its value", word);
	if (!strcmp(word, "remote")) {
		if (parse_remote(rule, value))
			return fail(parser, "'%s' is not an address or prefix", value);
	} else if (!strcmp(word, "remote-port") || !strcmp(word, "local-port")) {
		number = parse_number(value, 1, 65535);
		if (number < 0)
			return fail(parser, "'%s' is not a port", value);
		*(*word == 'r' ? &rule->remote_port : &rule->local_port) = number;
	} else if (!strcmp(word, "coverage")) {
		number = parse_number(value, 0, 65535);
		if (number < 0 || (number > 0 && number < 8))
			return fail(parser, "coverage is 0 or 8 to 65535, not '%s'", value);
		if (parser->datapath != HK_DATAPATH_RELAY)
			return fail(parser, "only the relay has a choice of coverage");
		rule->coverage = number;
	} else if (!strcmp(word, "cgroup")) {
		free(parser->rules->cgroup[parser->rules->count]);
		parser->rules->cgroup[parser->rules->count] = strdup(value);
	} else if (!strcmp(word, "use")) {
		if (parse_use(rule, value, parser->datapath))
			return fail(parser, "use what? tcp, udp or udplite, not '%s'", value);
	} else {
		return fail(parser, "'%s' is no word of a rule", word);
	}
	return 2;
}

static int parse_line(struct parser *parser, char *line)
{
	struct hk_rules *rules = parser->rules;
	char *words[32], *save = NULL, *word;
	int count = 0, i, used;

	line[strcspn(line, "#\n")] = 0;
	for (word = strtok_r(line, " \t\r", &save); word; word = strtok_r(NULL, " \t\r", &save)) {
		if (count == 32)
			return fail(parser, "too many words");
		words[count++] = word;
	}
	if (!count)
		return 0;
	if (rules->count == HK_RULES_MAX)
		return fail(parser, "more than %d rules", HK_RULES_MAX);
	memset(&rules->rule[rules->count], 0, sizeof(rules->rule[0]));
	for (i = 0; i < count; i += used) {
		used = parse_word(parser, words[i], i + 1 < count ? words[i + 1] : NULL);
		if (used < 0)
			return used;
	}
	if (!rules->rule[rules->count].transport)
		return fail(parser, "a rule needs `use tcp`, `use udp` or `use udplite`");
	rules->count++;
	return 0;
}

int hk_rules_parse(struct hk_rules *rules, const char *text, const char *name,
		   enum hk_datapath datapath, char *error, size_t size)
{
	struct parser parser = { rules, name, 0, datapath, error, size };
	char *copy = strdup(text), *rest = copy, *line;
	int err = copy ? 0 : -ENOMEM;

	memset(rules, 0, sizeof(*rules));
	while (!err && (line = strsep(&rest, "\n"))) {
		parser.line++;
		err = parse_line(&parser, line);
	}
	free(copy);
	if (err)
		hk_rules_free(rules);
	return err;
}

void hk_rules_free(struct hk_rules *rules)
{
	int i;

	for (i = 0; i < HK_RULES_MAX; i++)
		free(rules->cgroup[i]);
	memset(rules, 0, sizeof(*rules));
}

bool hk_rules_want_damage(const struct hk_rules *rules)
{
	unsigned int i;

	for (i = 0; i < rules->count; i++)
		if (rules->rule[i].damage)
			return true;
	return false;
}

bool hk_rules_want_lite(const struct hk_rules *rules)
{
	unsigned int i;

	for (i = 0; i < rules->count; i++)
		if (rules->rule[i].transport == HK_TRANSPORT_UDPLITE)
			return true;
	return false;
}
