/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A compiled Python file (.pyc) that stands alone: it is good only for the version that compiled it. */
#include <stdlib.h>
#include <string.h>

#include "judge.h"

#define HEAD_LEN 4 /* bytes: the magic number, "\r\n" */

/* Source: CPython, Lib/importlib/_bootstrap_external.py (to 3.13) and pycore_magic_number.h; Python/import.c of 2.7 */
static const struct {
	unsigned int first, last;
	const char *version;
} versions[] = {
	{3250, 3310, "3.4"},  {3320, 3351, "3.5"},  {3360, 3379, "3.6"},  {3390, 3394, "3.7"},
	{3400, 3413, "3.8"},  {3420, 3425, "3.9"},  {3430, 3439, "3.10"}, {3450, 3495, "3.11"},
	{3500, 3531, "3.12"}, {3550, 3571, "3.13"}, {3600, 3649, "3.14"}, {62171, 62211, "2.7"},
};

static const char *version_of(unsigned int magic)
{
	for (size_t i = 0; i < sizeof(versions) / sizeof(versions[0]); i++)
		if (magic >= versions[i].first && magic <= versions[i].last)
			return versions[i].version;
	return NULL;
}

/* The bytes that repr() shows in @text, at most HEAD_LEN of them; returns how many. */
static size_t read_repr(const char *text, unsigned char *head)
{
	const char *p = strstr(text, ": b'") ? strstr(text, ": b'") : strstr(text, ": b\"");
	size_t n = 0;
	char quote;

	if (!p)
		return 0;
	quote = p[3];
	for (p += 4; *p && *p != quote && n < HEAD_LEN; p++) {
		char hex[3] = {0};

		if (*p != '\\') {
			head[n++] = (unsigned char)*p;
			continue;
		}
		p++;
		if (*p == 'x' && p[1] && p[2]) {
			memcpy(hex, p + 1, 2);
			head[n++] = (unsigned char)strtoul(hex, NULL, 16);
			p += 2;
		} else if (*p) {
			head[n++] = *p == 'r' ? '\r' : *p == 'n' ? '\n' : *p == 't' ? '\t' : *p;
		} else {
			break;
		}
	}
	return n;
}

bool imp_judge_compiled(struct imp_case *c)
{
	static const char said[] = "ad magic number in "; /* "Bad", in 2.7, which names the file */
	const struct imp_exception *e = c->exception;
	const char *at = e->message ? strstr(e->message, said) : NULL, *version, *file = e->path;
	unsigned char head[HEAD_LEN];
	struct imp_finding *f = c->f;
	unsigned int magic;
	size_t len;

	if (!at || strcmp(imp_case_text(e->type), "ImportError"))
		return false;
	at += sizeof(said) - 1;
	len = read_repr(at, head);
	if (!file && *at == '/')
		file = at;
	f->path = file;
	magic = len >= 2 ? head[0] | (unsigned int)head[1] << 8 : 0;
	version = version_of(magic);
	if (len && (len < HEAD_LEN || memcmp(head + 2, "\r\n", 2))) {
		f->cause = IMP_CAUSE_CORRUPT_FILE;
		f->summary =
			imp_arena_printf(c->a, "%s is no compiled Python file: it begins with %s",
					 file ? file : c->module, strchr(at, ':') + 2);
		imp_finding_fix(
			c->a, f, IMP_LIKELY, NULL,
			"put a whole file in its place: the source (.py) of %s, or install its package again",
			c->module);
		return true;
	}
	f->cause = IMP_CAUSE_VERSION_MISMATCH;
	f->summary = imp_arena_printf(c->a, "%s was compiled by %s, and is of no use to this %s",
				      file ? file : c->module,
				      version ? imp_arena_printf(c->a, "Python %s", version) :
						"another version of Python",
				      imp_case_python(c));
	if (len)
		imp_finding_evidence(
			c->a, f, IMP_OBSERVED, "its magic number is %u%s", magic,
			version ? imp_arena_printf(c->a, ", which is Python %s's", version) : "");
	imp_finding_evidence(
		c->a, f, IMP_DERIVED,
		"no code of it ran: a compiled file is read only by the version that wrote it");
	imp_finding_fix(
		c->a, f, IMP_LIKELY, NULL,
		"install %s in a version for this Python, put its source (.py) there, or compile that source with this Python",
		c->module);
	if (version)
		imp_finding_fix(c->a, f, IMP_POSSIBLE, NULL, "run the program with Python %s",
				version);
	return true;
}
