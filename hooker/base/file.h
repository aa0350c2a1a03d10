/* SPDX-License-Identifier: GPL-2.0 */
#ifndef HOOKER_FILE_H
#define HOOKER_FILE_H

/* Reads the text file @path whole; free() it. NULL: errno says why. */
char *hk_file_read(const char *path);

#endif
