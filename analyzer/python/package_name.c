// SPDX-License-Identifier: GPL-2.0-or-later
#include "package_name.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "../host/host_cache.h"
#include "distribution.h"
#include "module_file.h"

#define APT_LISTS   "/var/lib/apt/lists"
#define DPKG_STATUS "/var/lib/dpkg/status"
#define STATUS_MAX  (256U << 20)

struct package_row {
	const char *module, *pypi, *debian;
};

static const struct package_row packages[] = {
#define PACKAGE(module, pypi, debian) {module, pypi, debian},
#include "package_names.def"
#undef PACKAGE
};

/*
 * Namespaces that many distributions share: each subpackage is one of its own, named after its
 * path. To install the bare name would bring a stranger's package.
 */
static const struct {
	const char *top, *separator;
	int parts; /* how many parts of the import name make the distribution's */
} namespaces[] = {
	{"azure", "-", 3}, {"backports", ".", 2},  {"google", "-", 3},	      {"jaraco", ".", 2},
	{"lazr", ".", 2},  {"plone", ".", 2},	   {"repoze", ".", 2},	      {"ruamel", ".", 2},
	{"zope", ".", 2},  {"collective", ".", 2}, {"sphinxcontrib", "-", 2}, {"zc", ".", 2},
};

/* The row of the longest dotted prefix of a name. */
static const struct package_row *find_row(const char *module)
{
	const struct package_row *best = NULL;
	size_t i, n, longest = 0;

	for (i = 0; i < sizeof(packages) / sizeof(packages[0]); i++) {
		if (packages[i].module[0] != module[0])
			continue;
		n = strlen(packages[i].module);
		if (n > longest && strncmp(module, packages[i].module, n) == 0 &&
		    (module[n] == '\0' || module[n] == '.')) {
			best = &packages[i];
			longest = n;
		}
	}
	return best;
}

static bool is_alnum(char c) /* of ASCII, whatever the locale */
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

/*
 * PEP 503: lower case, runs of "-", "_" and "." become one "-". NULL where it is no valid name:
 * those begin and end with a letter or digit of ASCII.
 */
static char *normalize(struct imp_arena *a, const char *name, size_t len)
{
	char *out = imp_arena_alloc(a, len + 1);
	size_t i, n = 0;

	if (!len || !is_alnum(name[0]) || !is_alnum(name[len - 1]))
		return NULL;
	for (i = 0; i < len; i++) {
		char c = name[i];

		if (c == '-' || c == '_' || c == '.') {
			if (out[n - 1] != '-')
				out[n++] = '-';
		} else if (is_alnum(c)) {
			out[n++] = c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
		} else {
			return NULL;
		}
	}
	return out;
}

/* "google.cloud.storage.blob" -> "google-cloud-storage"; NULL: the bare namespace. */
static const char *namespace_name(struct imp_arena *a, const char *module, size_t which)
{
	const char *s = module, *dot;
	char *name = imp_arena_alloc(a, strlen(module) + 1);
	int part;

	for (part = 0; part < namespaces[which].parts; part++) {
		dot = strchrnul(s, '.');
		if (dot == s)
			return NULL;
		strncat(name, s, (size_t)(dot - s));
		s = dot;
		if (!*s++)
			break;
		if (part + 1 < namespaces[which].parts)
			strcat(name, namespaces[which].separator);
	}
	if (strcmp(name, namespaces[which].top) == 0 || !normalize(a, name, strlen(name)))
		return NULL;
	for (s = name; (s = strchr(s, '_'));)
		name[s - name] = '-';
	return name;
}

static bool is_namespace(const char *module, size_t *which)
{
	size_t i, len = strcspn(module, ".");

	for (i = 0; i < sizeof(namespaces) / sizeof(namespaces[0]); i++) {
		if (strlen(namespaces[i].top) == len &&
		    strncmp(module, namespaces[i].top, len) == 0) {
			*which = i;
			return true;
		}
	}
	return false;
}

/* Runs of "-", "_" and "." count as one, and letters have no case. */
bool imp_package_same_name(const char *one, const char *two)
{
	for (;; one++, two++) {
		size_t dashes = strspn(one, "-_.");

		if (!dashes != !strspn(two, "-_."))
			return false;
		if (dashes) {
			one += dashes - 1;
			two += strspn(two, "-_.") - 1;
		} else if (tolower((unsigned char)*one) != tolower((unsigned char)*two)) {
			return false;
		} else if (!*one) {
			return true;
		}
	}
}

bool imp_package_is_translated(const char *module)
{
	const struct package_row *row = find_row(module);

	return row && row->pypi;
}

const char *imp_package_pypi_name(struct imp_arena *a, const char *module)
{
	const struct package_row *row;
	size_t which;

	if (imp_package_is_stdlib(module, NULL) || imp_package_python2_successor(module))
		return NULL;
	row = find_row(module);
	if (row)
		return row->pypi;
	if (is_namespace(module, &which))
		return namespace_name(a, module, which);
	return normalize(a, module, strcspn(module, "."));
}

/* ---- Debian --------------------------------------------------------------------------------- */

/* Where a package's stanza begins in dpkg's status file; NULL: it is not there. */
static const char *find_stanza(const struct imp_host *h, struct imp_arena *a, const char *package,
			       struct imp_host_buffer *b)
{
	const char *line = imp_arena_printf(a, "\nPackage: %s\n", package), *text;
	size_t len;

	if (imp_host_text(h, DPKG_STATUS, STATUS_MAX, b, &text, &len) < 0)
		return NULL;
	if (len >= strlen(line) && memcmp(text, line + 1, strlen(line + 1)) == 0)
		return text;
	return memmem(text, len, line, strlen(line));
}

bool imp_package_debian_installed(const struct imp_host *h, struct imp_arena *a, const char *package)
{
	struct imp_host_buffer b = {0};
	const char *s = find_stanza(h, a, package, &b), *end, *status;
	bool installed = false;

	if (s) {
		end = strstr(s + 1, "\n\n");
		status = strstr(s + 1, "\nStatus: install ok installed\n");
		installed = status && (!end || status < end);
	}
	imp_host_buffer_clear(&b);
	return installed;
}

static int exists(const struct imp_host *h, struct imp_arena *a, const char *package)
{
	const char *line = imp_arena_printf(a, "\nPackage: %s\n", package);
	struct imp_host_buffer b = {0};
	struct imp_strings names;
	int ret, known = -ENODATA;
	bool found;
	size_t i;

	if (!h->enabled)
		return -ENODATA;
	found = find_stanza(h, a, package, &b) != NULL;
	imp_host_buffer_clear(&b);
	if (found)
		return 1;
	if (imp_host_list(h, a, APT_LISTS, &names) < 0)
		return -ENODATA;
	/*
	 * Compressed lists (apt keeps them so in container images) could hold it as well: then "not
	 * there" is not known.
	 */
	for (i = 0; i < names.n; i++) {
		if (!strstr(names.v[i], "_Packages"))
			continue;
		if (!imp_ends_with(names.v[i], "_Packages"))
			return -ENODATA;
		ret = imp_host_contains(h, imp_path_join(a, APT_LISTS, names.v[i]), line);
		if (ret == 1)
			return 1;
		if (ret == 0)
			known = 0;
	}
	return known;
}

int imp_package_debian_exists(const struct imp_host *h, struct imp_arena *a, const char *package)
{
	struct imp_host_answer *answer =
		h->enabled ? imp_host_cache_get(h, package, IMP_HOST_PACKAGE) : NULL;

	if (!answer)
		return exists(h, a, package);
	if (!answer->known)
		answer->ret = exists(h, a, package);
	answer->known = true;
	return answer->ret;
}

/* A package from our tables: NULL where this machine's data say that it does not exist. */
static const char *confirm(const struct imp_host *h, struct imp_arena *a, const char *package,
			   bool *confirmed)
{
	int ret = imp_package_debian_exists(h, a, package);

	*confirmed = ret == 1;
	return ret == 0 ? NULL : package;
}

const char *imp_package_debian_find(const struct imp_host *h, struct imp_arena *a,
				    const char *module, bool *confirmed)
{
	const struct package_row *row;
	const char *guess, *package;
	bool unused;

	if (!confirmed)
		confirmed = &unused;
	*confirmed = false;
	if (imp_package_is_stdlib(module, NULL)) {
		package = imp_package_stdlib_debian(module);
		return package ? confirm(h, a, package, confirmed) : NULL;
	}
	row = find_row(module);
	if (row && row->debian)
		return confirm(h, a, row->debian, confirmed);
	guess = normalize(a, module, strcspn(module, "."));
	if (guess && !row) {
		guess = imp_arena_printf(a, "python3-%s", guess);
		if (imp_package_debian_exists(h, a, guess) == 1) {
			*confirmed = true;
			return guess;
		}
	}
	*confirmed = imp_distribution_dpkg_package(h, a, module, &package) == 0;
	return package;
}

const char *imp_package_debian_name(const struct imp_host *h, struct imp_arena *a,
				    const char *module)
{
	return imp_package_debian_find(h, a, module, NULL);
}
