/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A package says by itself that one of its parts, or what it uses, is of another version than it needs. */
#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "../python/distribution.h"
#include "../python/package_name.h"
#include "failure_graph.h"
#include "judge.h"
#include "remedy.h"

/*
 * Texts with which packages say that two of their parts disagree. @part: the module at fault, where
 * the text itself does not name it.
 */
static const struct {
	const char *text, *part, *other;
	bool loaded; /* only where the other one was imported well: else it is what failed */
} disagreements[] = {
	{"numpy.core.multiarray failed to import", NULL, "numpy", true},
	{"numpy._core.multiarray failed to import", NULL, "numpy", true},
	{"Version mismatch: this is the 'cffi' package version", "_cffi_backend", "cffi", false},
	{"extension was built for another version of Pillow", NULL, "PIL", false},
	{"module compiled against API version", NULL, "numpy", false},
	{"module compiled against ABI version", NULL, "numpy", false},
	{"module was compiled against NumPy C-API version", NULL, "numpy", false},
	{"A module that was compiled using NumPy 1.x cannot be run in", NULL, "numpy", false},
	{"may indicate binary incompatibility", NULL, NULL, false},
	{" does not export expected C ", NULL, NULL, false}, /* Cython, as the three below */
	{" has wrong signature (expected ", NULL, NULL, false},
	{"has no attribute '__reduce_cython__'", NULL, NULL, false},
	{"has no attribute '__pyx_capi__'", NULL, NULL, false},
	{"is incompatible with the current pydantic version", "pydantic_core", "pydantic", false},
	{"Detected incompatible Protobuf Gencode/Runtime versions", NULL, "google.protobuf", false},
	{"Descriptors cannot be created directly", NULL, "google.protobuf", false},
	{"Descriptors cannot not be created directly", NULL, "google.protobuf", false},
};

/* What a package says that asks for a version, and was given another: "numba needs NumPy 1.24 or less. Got NumPy 1.26." */
static const char *const demands[] = {
	"requires",
	"required",
	"needs ",
	"only supports",
	"incompatible",
	"not compatible",
	"unsupported version",
	"compiled against",
	"compiled with different",
	"built against",
	"or newer",
	"or later",
	"or higher",
	"or greater",
	"or above",
	"at least version",
	"minimum version",
	"version mismatch",
};

static const struct imp_attempt *loaded(const struct imp_case *c, const char *module)
{
	return module ? imp_case_loaded(c, module) : NULL;
}

static bool part_of_word(char c)
{
	return isalnum((unsigned char)c) || c == '_';
}

/* "1.24", "v2.0.1", "1.0.2k": how many different ones are in the text? */
static unsigned int versions_in(const char *text)
{
	const char *first = NULL;
	size_t first_len = 0;
	unsigned int n = 0;

	for (const char *p = text; *p && n < 2; p++) {
		size_t major = strspn(p, "0123456789"), len;

		if (!major)
			continue;
		len = major + strspn(p + major, ".0123456789");
		if ((p > text && (part_of_word(p[-1]) || p[-1] == '.') && p[-1] != 'v' &&
		     p[-1] != 'V') ||
		    p[major] != '.' || !isdigit((unsigned char)p[major + 1])) {
			p += len - 1;
			continue;
		}
		while (p[len - 1] == '.')
			len--;
		if (!first || first_len != len || strncmp(first, p, len))
			n++;
		if (!first) {
			first = p;
			first_len = len;
		}
		p += len - 1;
	}
	return n;
}

/* "Python 3.9 or later is required": the other version is the interpreter's own, and need not be said. */
static bool names_python(const char *text)
{
	for (const char *p = text; (p = strcasestr(p, "python")); p += strlen("python")) {
		const char *after = p + strlen("python");

		if ((p > text && part_of_word(p[-1])) || part_of_word(*after))
			continue;
		if (!strncasecmp(after, " version", 8))
			after += 8;
		after += strspn(after, " ><=!~(");
		if (isdigit((unsigned char)*after) && versions_in(after))
			return true;
	}
	return false;
}

static bool demands_version(const char *text)
{
	if (strcasestr(text, "unsupported version of") && versions_in(text))
		return true;
	for (size_t i = 0; i < sizeof(demands) / sizeof(demands[0]); i++)
		if (strcasestr(text, demands[i]))
			return versions_in(text) > 1 || names_python(text);
	return false;
}

static bool names(const char *text, const char *module)
{
	size_t len = strlen(module);

	for (const char *p = text; (p = strcasestr(p, module)); p++)
		if ((p == text || !part_of_word(p[-1])) && !part_of_word(p[len]))
			return true;
	return false;
}

/* The package beside the failing one that its text speaks of. */
static const char *other_in(const struct imp_case *c, const char *text)
{
	size_t top = strcspn(c->module, ".");

	for (size_t i = 0; i < c->image->attempts.n; i++) {
		const struct imp_attempt *at = c->image->attempts.v[i];

		if (at->begin_ns > c->time_ns)
			break;
		if (at->ended && !at->exception && strlen(at->name) > 2 && !strchr(at->name, '.') &&
		    (strncmp(at->name, c->module, top) || at->name[top]) && names(text, at->name) &&
		    at->outcome->origin && !imp_case_stdlib(c, at->outcome->origin))
			return at->name;
	}
	return NULL;
}

/* The version of the module at @file; NULL: nothing says it. */
static const char *version_of(const struct imp_case *c, const char *module, const char *file)
{
	const struct imp_sys_path *path = imp_case_sys_path(c);
	const char *name = imp_package_pypi_name(c->a, module);

	for (size_t i = 0; path && i < path->path.n; i++) {
		const char *entry = imp_case_directory(c, path->path.v[i]);
		struct imp_distributions all = {0};
		struct imp_distribution dist;
		size_t len = strlen(entry);

		if (!len || strncmp(file, entry, len) || file[len] != '/')
			continue;
		if (!imp_distribution_of_file(c->host, c->a, entry, file, &dist) && dist.version)
			return dist.version;
		/* Debian's metadata has no list of files. */
		if (!name || imp_distribution_list(c->host, c->a, entry, &all))
			return NULL;
		for (size_t k = 0; k < all.n; k++)
			if (all.v[k].version && imp_package_same_name(all.v[k].name, name))
				return all.v[k].version;
		return NULL;
	}
	return NULL;
}

static void say_part(struct imp_case *c, const char *module)
{
	const struct imp_attempt *at = loaded(c, module);
	const char *file = at			      ? at->outcome->origin :
			   !strcmp(module, c->module) ? c->f->path :
							NULL;
	const char *version = file ? version_of(c, module, file) : NULL;

	if (at && file)
		imp_finding_evidence(c->a, c->f, IMP_OBSERVED, "%s was imported from %s", module,
				     file);
	if (version)
		imp_finding_evidence(c->a, c->f, IMP_DERIVED,
				     "%s is of version %s, by the metadata beside it", file,
				     version);
}

static const char *first_line(struct imp_case *c, const char *text)
{
	return imp_arena_strndup(c->a, text, strcspn(text, "\n"));
}

/* No pattern of anybody's: the text asks for one version and names another. */
static bool judge_demand(struct imp_case *c)
{
	const char *message = c->exception->message, *other;
	struct imp_finding *f = c->f;

	/* A program's own error, at its top, is not about an import, whatever it says. */
	if (!message || (!c->attempt && !imp_exception_is_import_error(c->exception)) ||
	    (!demands_version(message) && !imp_case_has(c->exception->type, "VersionConflict")) ||
	    !strcmp(imp_case_text(c->exception->type), "SyntaxError"))
		return false;
	f->cause = IMP_CAUSE_VERSION_MISMATCH;
	other = other_in(c, message);
	if (!f->module)
		f->module = c->exception->where.module ? c->exception->where.module :
			    other		       ? other :
							 "the program";
	if (!f->path)
		f->path = c->exception->where.file;
	f->summary = imp_arena_printf(c->a, "%s does not accept the version that it met: %s",
				      f->module, first_line(c, message));
	imp_finding_evidence(c->a, f, IMP_OBSERVED, "the package itself says: %s", message);
	if (other)
		say_part(c, other);
	imp_finding_fix(
		c->a, f, IMP_LIKELY, NULL,
		"install a version of %s that %s accepts, or a version of %s that accepts this one",
		other ? other : "what its message names", f->module, f->module);
	return true;
}

/* The length of a dotted name less its last part. */
static size_t dot_before(const char *name, size_t len)
{
	while (len && name[len - 1] != '.')
		len--;
	return len ? len - 1 : 0;
}

bool imp_judge_version(struct imp_case *c)
{
	const char *message = c->exception->message;
	struct imp_finding *f = c->f;

	for (size_t i = 0; i < sizeof(disagreements) / sizeof(disagreements[0]); i++) {
		const char *part = disagreements[i].part, *other = disagreements[i].other;

		if (!imp_case_has(message, disagreements[i].text) ||
		    (disagreements[i].loaded && !loaded(c, other)))
			continue;
		if (!other &&
		    !part) { /* "numpy.dtype size changed, ...": the module whose type it is */
			size_t len = strcspn(message, " ");

			other = NULL;
			for (; len && !other; len = dot_before(message, len)) {
				other = imp_arena_strndup(c->a, message, len);
				if (!loaded(c, other))
					other = NULL;
			}
		}
		f->cause = IMP_CAUSE_VERSION_MISMATCH;
		if (part)
			f->module = part;
		else if (!c->attempt && c->exception->where.module)
			f->module = c->exception->where.module;
		if (!f->module)
			f->module = other ? other : "an extension";
		if (!f->path && loaded(c, f->module))
			f->path = loaded(c, f->module)->outcome->origin;
		if (!f->path)
			f->path = c->exception->where.file;
		f->summary =
			other ? imp_arena_printf(
					c->a,
					"%s and %s do not belong together: their versions disagree",
					f->module, other) :
				imp_arena_printf(
					c->a, "%s was built against another version of what it uses",
					f->module);
		imp_finding_evidence(c->a, f, IMP_OBSERVED, "the package itself says: %s", message);
		say_part(c, f->module);
		if (other && strcmp(other, f->module))
			say_part(c, other);
		return true;
	}
	return judge_demand(c);
}
