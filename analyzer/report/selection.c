/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "selection.h"

#include <string.h>

bool imp_report_affects(const struct imp_finding *f, const char *module)
{
	for (size_t i = 0; i < f->affected.n; i++) {
		if (!strcmp(f->affected.v[i], module))
			return true;
	}
	return false;
}

bool imp_report_shows(const struct imp_finding *f, const struct imp_report_options *opt)
{
	if (!opt->module)
		return !f->optional || opt->all;
	return (f->module && !strcmp(f->module, opt->module)) || imp_report_affects(f, opt->module);
}

const struct imp_interpreter *imp_report_interpreter(const struct imp_finding *f)
{
	const struct imp_image *image = f->image;
	uint64_t number = f->attempt ? f->attempt->interp : 0;

	if (!image || !image->interpreters.n)
		return NULL;
	for (size_t i = 0; i < image->interpreters.n; i++) {
		if (image->interpreters.v[i]->number == number)
			return image->interpreters.v[i];
	}
	return image->interpreters.v[0];
}

const char *imp_report_python_version(const struct imp_interpreter *py, size_t *len)
{
	if (!py || !py->version)
		return NULL;
	*len = strcspn(py->version, " ");
	return py->version;
}
