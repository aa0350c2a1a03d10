/* SPDX-License-Identifier: GPL-2.0 */
/* Reading JSON objects whose members may be missing. */
#ifndef HOOKER_JSON_H
#define HOOKER_JSON_H

#include <jansson.h>

/* Members of an answer: "-", 0 and 0 where there are none. */
const char *hk_text(const json_t *object, const char *key);
long long hk_number(const json_t *object, const char *key);
double hk_real(const json_t *object, const char *key);

#endif
