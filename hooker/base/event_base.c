// SPDX-License-Identifier: GPL-2.0
#include "hooker/base/event_base.h"

#include <stddef.h>
#include <event2/event.h>

struct event_base *hk_event_base_new(void)
{
	struct event_config *config = event_config_new();
	struct event_base *base = NULL;

	if (!config)
		return NULL;
	/* Pacing and delayed acknowledgements need better than epoll's milliseconds. */
	event_config_set_flag(config, EVENT_BASE_FLAG_PRECISE_TIMER);
	base = event_base_new_with_config(config);
	event_config_free(config);
	return base;
}
