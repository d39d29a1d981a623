/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "requirement.h"

#include <string.h>

#include "../python/distribution.h"
#include "../python/module_file.h"
#include "../python/package_name.h"

#define METADATA_MAX (4U << 20) /* bytes */

/* The distribution that brought the file whose code asked; NULL: none did. */
static const char *metadata_of_importer(const struct imp_case *c)
{
	const char *file = c->attempt ? c->attempt->frame->file : NULL;
	const struct imp_sys_path *path = imp_case_sys_path(c);
	struct imp_distribution dist;

	for (size_t i = 0; path && file && i < path->path.n; i++)
		if (!imp_distribution_of_file(c->host, c->a, imp_case_directory(c, path->path.v[i]),
					      file, &dist))
			return dist.metadata;
	return NULL;
}

const char *imp_requirement_of(const struct imp_case *c, const char *distribution, const char **who)
{
	static const char field[] = "Requires-Dist: ";
	const char *metadata = metadata_of_importer(c), *line;
	size_t len;
	char *text;

	if (!metadata || !distribution ||
	    imp_host_read(c->host, c->a, imp_path_join(c->a, metadata, "METADATA"), METADATA_MAX,
			  &text, &len))
		return NULL;
	/* The header ends at the first empty line. */
	for (; *text && *text != '\n' && *text != '\r';
	     text += len, text += *text == '\r', text += *text == '\n') {
		len = strcspn(text, "\r\n");
		line = imp_arena_strndup(c->a, text, len);
		if (!imp_starts_with(line, field))
			continue;
		line += sizeof(field) - 1;
		if (!imp_package_same_name(imp_arena_strndup(c->a, line, strcspn(line, " ;<>=!~([")),
					   distribution))
			continue;
		*who = imp_path_name(metadata);
		return line;
	}
	return NULL;
}
