/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IMP_CMD_CMD_H
#define IMP_CMD_CMD_H

#include "options.h"

/* The subcommands; each returns imptrace's exit status. */
extern const struct imp_command imp_cmd_run;
extern const struct imp_command imp_cmd_analyze;
extern const struct imp_command imp_cmd_attach;
extern const struct imp_command imp_cmd_dump;

#define IMP_TRACE_DEFAULT "trace.zst"

/*
 * imp_open_trace - open FILE for reading; "-" is standard input
 * @name: set to what messages call it
 * Returns a descriptor, or -1 after a sentence on stderr.
 */
int imp_open_trace(const char *file, const char **name);

#endif
