// SPDX-License-Identifier: GPL-2.0
#include "hooker/base/file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

char *hk_file_read(const char *path)
{
	FILE *file = fopen(path, "re");
	char *text = NULL;
	size_t room = 0;

	if (!file)
		return NULL;
	/* No NUL in a text file: this "line" is the whole of it. */
	if (getdelim(&text, &room, 0, file) < 0) {
		free(text);
		text = ferror(file) ? NULL : strdup("");
	}
	fclose(file);
	return text;
}
