/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * broken-installation, of another kind: a distribution that was installed as a link to its sources ("pip install -e",
 * "setup.py develop"), and the sources are gone. Sources: PEP 610 (direct_url.json), PEP 660; setuptools' .egg-link,
 * site's .pth files, and the finders that setuptools and others write.
 */
#include <ctype.h>
#include <string.h>

#include "../python/distribution.h"
#include "../python/installer.h"
#include "../python/module_file.h"
#include "../python/package_name.h"
#include "judge.h"

#define TEXT_MAX  (1U << 20) /* bytes of any of those files */
#define LINES_MAX 256

/* One editable distribution, as far as its own files tell. */
struct editable {
	const struct imp_distribution *dist;
	const char *site;    /* the directory that its metadata lies in */
	const char *project; /* direct_url.json's or .egg-link's: what was installed; NULL: not told */
	const char *source; /* the directory or file that imports were to be led to, and that is gone; or NULL */
	const char *told_by; /* the file that names @source */
	bool finder_gone;    /* @source is the finder itself, not what it leads to */
};

static char *read_file(const struct imp_case *c, const char *path)
{
	char *text;
	size_t len;

	return imp_host_read(c->host, c->a, path, TEXT_MAX, &text, &len) ? NULL : text;
}

static const char *first_line(const struct imp_case *c, const char *text)
{
	return imp_arena_strndup(c->a, text, strcspn(text, "\r\n"));
}

/* "file:///a%20b" -> "/a b"; NULL: it is no file on this machine. */
static const char *url_path(const struct imp_case *c, const char *url, size_t len)
{
	char *path = imp_arena_strndup(c->a, url, len), *out;
	const char *in;

	if (!imp_starts_with(path, "file://"))
		return NULL;
	in = out = path + 7;
	if (*in != '/')
		return NULL;
	for (path = out; *in; in++) {
		if (in[0] == '%' && isxdigit((unsigned char)in[1]) &&
		    isxdigit((unsigned char)in[2])) {
			static const char digits[] = "0123456789abcdef";

			*out++ = (char)((strchr(digits, tolower((unsigned char)in[1])) - digits) *
						16 +
					(strchr(digits, tolower((unsigned char)in[2])) - digits));
			in += 2;
		} else {
			*out++ = *in;
		}
	}
	*out = '\0';
	return path;
}

/* The string behind "url": in direct_url.json; such a URL holds no quote and no escape. */
static const char *project_of(const struct imp_case *c, const struct imp_distribution *dist)
{
	const char *text, *url;

	if (imp_ends_with(dist->metadata, ".egg-link")) {
		text = read_file(c, dist->metadata);
		return text ? first_line(c, text) : NULL;
	}
	text = read_file(c, imp_path_join(c->a, dist->metadata, "direct_url.json"));
	url = text ? strstr(text, "\"url\"") : NULL;
	if (!url)
		return NULL;
	url += 5;
	url += strspn(url, " \t\r\n:");
	return *url == '"' ? url_path(c, url + 1, strcspn(url + 1, "\"")) : NULL;
}

static bool is_gone(const struct imp_case *c, const char *path)
{
	return path && path[0] == '/' && imp_host_exists(c->host, path) == 0;
}

/* Lines of a .pth file: directories, unless they are comments or code. */
static void read_pth(const struct imp_case *c, struct editable *e, const char *path)
{
	const char *text = read_file(c, path), *line;
	size_t len;

	for (size_t n = 0; text && *text && n < LINES_MAX && !e->source;
	     n++, text += len + (text[len] != '\0')) {
		len = strcspn(text, "\r\n");
		line = imp_arena_strndup(c->a, text, len);
		if (!len || line[0] == '#' || imp_starts_with(line, "import ") ||
		    imp_starts_with(line, "import\t"))
			continue;
		line = imp_path_join(c->a, e->site, line);
		if (is_gone(c, line)) {
			e->source = line;
			e->told_by = path;
		}
	}
}

/* MAPPING = {'pkg': '/src/pkg'} of a finder that setuptools wrote */
static void read_finder(const struct imp_case *c, struct editable *e, const char *path)
{
	const char *text, *at;
	const char *key = imp_arena_printf(c->a, "'%s': '", imp_case_top(c));

	if (is_gone(c, path)) {
		e->finder_gone = true;
		e->source = path;
		e->told_by = imp_path_join(c->a, e->dist->metadata, "RECORD");
		return;
	}
	text = read_file(c, path);
	at = text ? strstr(text, "MAPPING") : NULL;
	at = at ? strstr(at, key) : NULL;
	if (!at)
		return;
	at += strlen(key);
	at = imp_arena_strndup(c->a, at, strcspn(at, "'"));
	/* It names a package's directory, or a module's file without its suffix. */
	if (is_gone(c, at) && is_gone(c, imp_arena_printf(c->a, "%s.py", at))) {
		e->source = at;
		e->told_by = path;
	}
}

/* The files of an editable distribution that lead elsewhere: what its RECORD lists. */
static void read_record(const struct imp_case *c, struct editable *e)
{
	const char *text = read_file(c, imp_path_join(c->a, e->dist->metadata, "RECORD")), *name;
	size_t len;

	for (size_t n = 0; text && *text && n < LINES_MAX && !e->source;
	     n++, text += len + (text[len] != '\0')) {
		len = strcspn(text, "\r\n");
		name = imp_arena_strndup(c->a, text, strcspn(text, ",\r\n"));
		if (imp_ends_with(name, ".pth"))
			read_pth(c, e, imp_path_join(c->a, e->site, name));
		else if (imp_ends_with(name, ".py") && imp_case_has(name, "editable"))
			read_finder(c, e, imp_path_join(c->a, e->site, name));
	}
}

/* Does the distribution bring the module: by what it says itself, or by its name? */
bool imp_judge_brings(const struct imp_case *c, const struct imp_distribution *dist)
{
	const char *top = imp_case_top(c), *known = imp_package_pypi_name(c->a, top);
	const char *text =
		imp_ends_with(dist->metadata, ".egg-link") ?
			NULL :
			read_file(c, imp_path_join(c->a, dist->metadata, "top_level.txt"));
	size_t len;

	for (; text && *text; text += len + (text[len] != '\0')) {
		len = strcspn(text, "\r\n");
		if (len == strlen(top) && !strncmp(text, top, len))
			return true;
	}
	return dist->name && (imp_package_same_name(dist->name, top) ||
			      (known && imp_package_same_name(dist->name, known)));
}

static bool tell(struct imp_case *c, const struct editable *e)
{
	struct imp_finding *f = c->f;
	const char *version = e->dist->version;

	f->cause = IMP_CAUSE_BROKEN_INSTALLATION;
	f->path = e->source;
	f->summary = imp_arena_printf(
		c->a,
		"%s is installed as a link to its sources (%s%s%s, editable), and %s: %s does not exist",
		c->module, e->dist->name, version ? " " : "", version ? version : "",
		e->finder_gone ? "what leads to them is gone" : "those are gone", e->source);
	imp_finding_evidence(c->a, f, IMP_DERIVED, "%s is the metadata of an editable installation",
			     e->dist->metadata);
	imp_finding_evidence(c->a, f, IMP_DERIVED, "%s names %s, and that does not exist",
			     e->told_by, e->source);
	if (e->project && strcmp(e->project, e->source))
		imp_finding_evidence(c->a, f, IMP_DERIVED, "it was installed from %s%s", e->project,
				     is_gone(c, e->project) ? ", which does not exist either" : "");
	/* Where the sources are now, nobody but the user knows; what PyPI has under that name is something else. */
	if (e->project && !is_gone(c, e->project))
		imp_remedy_install_project(c, e->project);
	imp_finding_fix(
		c->a, f, IMP_LIKELY, NULL,
		"put the sources back, or install them from where they are now: %s -m pip install -e NEW_PLACE",
		imp_shell_quote(c->a, imp_remedy_python(c)));
	return true;
}

bool imp_judge_editable(struct imp_case *c)
{
	const struct imp_sys_path *path = imp_case_sys_path(c);

	if (imp_case_parent(c) || !path)
		return false;
	for (size_t i = 0; i < path->path.n; i++) {
		struct editable e = {.site = imp_case_directory(c, path->path.v[i])};
		struct imp_distributions all = {0};

		if (imp_case_stdlib(c, imp_path_join(c->a, e.site, "x")) ||
		    imp_distribution_list(c->host, c->a, e.site, &all))
			continue;
		for (size_t k = 0; k < all.n; k++) {
			e.dist = &all.v[k];
			if (!e.dist->editable || !imp_judge_brings(c, e.dist))
				continue;
			e.project = project_of(c, e.dist);
			if (!imp_ends_with(e.dist->metadata, ".egg-link"))
				read_record(c, &e);
			if (!e.source && is_gone(c, e.project)) {
				e.source = e.project;
				e.told_by = imp_ends_with(e.dist->metadata, ".egg-link") ?
						    e.dist->metadata :
						    imp_path_join(c->a, e.dist->metadata,
								  "direct_url.json");
			}
			if (e.source)
				return tell(c, &e);
		}
	}
	return false;
}
