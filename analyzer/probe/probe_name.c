/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "probe_import.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool imp_probe_name_part(const char *name, unsigned int i, const char **part, size_t *len)
{
	for (; i; i--) {
		name = strchr(name, '.');
		if (!name)
			return false;
		name++;
	}
	*part = name;
	*len = strcspn(name, ".");
	return true;
}

size_t imp_probe_name_prefix(const char *name, unsigned int n)
{
	const char *part;
	size_t len = 0;

	for (unsigned int i = 0; i < n && imp_probe_name_part(name, i, &part, &len); i++)
		len += (size_t)(part - name);
	return len;
}

/* A parent counts from the moment when its own import runs its code. */
bool imp_probe_imported(const struct imp_probe_image *image, const struct imp_probe_thread *t,
			const char *name, size_t len)
{
	for (size_t i = 0; i + 1 < t->n; i++)
		if (!t->calls[i].is_dlopen && !strncmp(t->calls[i].name, name, len) &&
		    !t->calls[i].name[len] && (t->calls[i].code_ran || t->calls[i].origin))
			return true;
	return imp_probe_modules_file(&image->imported, name, len) != NULL;
}

bool imp_probe_name_is_parent(const char *name, const char *of)
{
	size_t len = strlen(name);

	return !strncmp(name, of, len) && of[len] == '.';
}

const char *imp_probe_parent_file(const struct imp_probe_image *image,
				  const struct imp_probe_thread *t, const char *name)
{
	const char *dot = strrchr(name, '.'), *file;
	size_t len = dot ? (size_t)(dot - name) : 0;

	for (size_t i = 0; dot && i < t->n; i++)
		if (!t->calls[i].is_dlopen && !strncmp(t->calls[i].name, name, len) &&
		    !t->calls[i].name[len])
			return t->calls[i].origin;
	file = dot ? imp_probe_modules_file(&image->imported, name, len) : NULL;
	return file && *file ? file : NULL;
}
