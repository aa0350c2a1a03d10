// SPDX-License-Identifier: GPL-2.0
#include "hooker/base/json.h"

const char *hk_text(const json_t *object, const char *key)
{
	return json_string_value(json_object_get(object, key)) ?: "-";
}

long long hk_number(const json_t *object, const char *key)
{
	return json_integer_value(json_object_get(object, key));
}

double hk_real(const json_t *object, const char *key)
{
	return json_number_value(json_object_get(object, key));
}
