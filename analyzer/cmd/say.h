/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IMP_CMD_SAY_H
#define IMP_CMD_SAY_H

#define IMP_SAY_MAX 8192 /* bytes of a line, with the NUL; of a longer one the end is left out */

/*
 * imp_say - a line on standard error
 * @format: without the newline at its end
 *
 * The name of a file or a command in it may hold anything, and a terminal may be there: what would do
 * something there is written out, as report/escape.h has it.
 */
__attribute__((format(printf, 1, 2))) void imp_say(const char *format, ...);

#endif
