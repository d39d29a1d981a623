/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Evidence for not-installed that lies in the name: another version's, another system's, one that is misspelt. */
#include <string.h>
#include <strings.h>

#include "../python/installer.h"
#include "../python/module_file.h"
#include "../python/package_name.h"
#include "judge.h"
#include "requirement.h"

#define NAME_MAX_LENGTH 60

/* ---- names that no module can have ---------------------------------------------------------------------- */

/* "plug\n" read from a file, "mod:main" of an entry point: what was meant, and what is odd about it. */
static const char *without_oddity(const struct imp_case *c, const char **why)
{
	const char *name = c->module + strspn(c->module, " \t\r\n");
	size_t len = strlen(name);

	while (len && strchr(" \t\r\n", name[len - 1]))
		len--;
	if (name != c->module || name[len]) {
		*why = "it begins or ends with white space, which is a part of the name to Python";
		return imp_arena_strndup(c->a, name, len);
	}
	if (strchr(name, ':')) {
		*why = "\"module:object\" is how entry points are written; what is imported is the part before the ':'";
		return imp_arena_strndup(c->a, name, strcspn(name, ":"));
	}
	return NULL;
}

static bool say_oddity(struct imp_case *c)
{
	const char *why, *meant = without_oddity(c, &why);

	if (strchr(c->module, '/'))
		imp_finding_evidence(
			c->a, c->f, IMP_OBSERVED,
			"\"%s\" is a path and no module's name: parts of a name are joined by dots",
			c->module);
	if (!meant)
		return false;
	imp_finding_evidence(c->a, c->f, IMP_OBSERVED, "the name that was asked for is \"%s\": %s",
			     c->module, why);
	if (*meant)
		imp_finding_fix(c->a, c->f, IMP_LIKELY, NULL,
				"ask for \"%s\": nothing under the other name can be installed",
				meant);
	return true;
}

/* ---- the standard library of another version or system ------------------------------------------------ */

static void say_stdlib(struct imp_case *c)
{
	const char *successor = imp_package_python2_successor(c->module);
	const char *debian = imp_package_stdlib_debian(c->module);
	int since, removed;

	if (successor)
		imp_finding_evidence(c->a, c->f, IMP_DERIVED, "%s is Python 2's name for %s",
				     c->module, successor);
	if (!imp_package_stdlib_range(c->module, &since, &removed))
		return;
	if (removed)
		imp_finding_evidence(c->a, c->f, IMP_DERIVED,
				     "the standard library has no %s since Python 3.%d", c->module,
				     removed);
	else if (since)
		imp_finding_evidence(c->a, c->f, IMP_DERIVED,
				     "the standard library has %s from Python 3.%d on", c->module,
				     since);
	else if (debian)
		imp_finding_evidence(
			c->a, c->f, IMP_DERIVED,
			"Debian ships this part of the standard library in a package of its own, %s",
			debian);
	else
		imp_finding_evidence(
			c->a, c->f, IMP_DERIVED,
			"the standard library has a module of that name, on other systems or in other builds");
}

/* ---- what lies there under a name much like it --------------------------------------------------------- */

static unsigned int least(unsigned int x, unsigned int y)
{
	return x < y ? x : y;
}

/* How many letters were left out, put in, replaced, or exchanged with their neighbour ("utlis")? */
static unsigned int edits(const char *x, size_t nx, const char *y, size_t ny)
{
	unsigned int rows[3][NAME_MAX_LENGTH + 1];

	for (size_t j = 0; j <= ny; j++)
		rows[0][j] = (unsigned int)j;
	for (size_t i = 1; i <= nx; i++) {
		unsigned int *row = rows[i % 3], *before = rows[(i + 2) % 3],
			     *two_before = rows[(i + 1) % 3];

		row[0] = (unsigned int)i;
		for (size_t j = 1; j <= ny; j++) {
			row[j] = least(least(before[j], row[j - 1]) + 1,
				       before[j - 1] + (x[i - 1] != y[j - 1]));
			if (i > 1 && j > 1 && x[i - 1] == y[j - 2] && x[i - 2] == y[j - 1])
				row[j] = least(row[j], two_before[j - 2] + 1);
		}
	}
	return rows[nx % 3][ny];
}

/* Short names are all alike ("mock" and "lock"): there, letters may only be exchanged, left out or put in. */
static bool is_alike(const char *asked, const char *name, size_t len)
{
	size_t n = strlen(asked);

	if (n < 4 || n > NAME_MAX_LENGTH || len < 4 || len > NAME_MAX_LENGTH || n > len + 2 ||
	    len > n + 2)
		return false;
	if (n == len && (!strncasecmp(asked, name, n) || (n < 6 && strspn(asked, name) != n)))
		return false;
	return edits(asked, n, name, len) <= (n >= 8 ? 2U : 1U);
}

/* "my-mod.py", where "my_mod" is imported */
static bool is_hyphened(const char *asked, const char *name)
{
	size_t i;

	for (i = 0; asked[i] && (asked[i] == name[i] || (asked[i] == '_' && name[i] == '-')); i++)
		;
	return !asked[i] && strncmp(asked, name, i) && (!name[i] || !strcmp(name + i, ".py"));
}

static bool is_module(const struct imp_case *c, const char *dir, const char *name, size_t len)
{
	if (!name[len])
		return imp_host_exists(c->host, imp_path_join(c->a, imp_path_join(c->a, dir, name),
							      "__init__.py")) == 1;
	return !strcmp(name + len, ".py") || imp_ends_with(name, ".so");
}

static bool tell_hyphened(struct imp_case *c, const char *dir, const char *name)
{
	const char *path = imp_path_join(c->a, dir, name);
	const char *right = imp_path_join(c->a, dir,
					  imp_arena_printf(c->a, "%s%s", imp_case_tail(c),
							   imp_ends_with(name, ".py") ? ".py" : ""));

	if (imp_remedy_is_installed(c, path))
		return false;
	imp_finding_evidence(c->a, c->f, IMP_DERIVED,
			     "%s is there; no import statement can name it, because of the '-'",
			     path);
	imp_finding_fix(c->a, c->f, IMP_LIKELY,
			imp_arena_printf(c->a, "mv %s %s", imp_shell_quote(c->a, path),
					 imp_shell_quote(c->a, right)),
			"gives it the name under which it is imported; nothing has to be installed");
	return true;
}

static bool say_alike_in(struct imp_case *c, const char *dir)
{
	const char *asked = imp_case_tail(c), *parent = imp_case_parent(c), *right;
	struct imp_strings names = {0};

	if (imp_host_list(c->host, c->a, dir, &names))
		return false;
	for (size_t i = 0; i < names.n; i++) {
		size_t len = strcspn(names.v[i], ".");

		if (is_hyphened(asked, names.v[i]) && tell_hyphened(c, dir, names.v[i]))
			return true;
		if (!is_alike(asked, names.v[i], len) || !is_module(c, dir, names.v[i], len))
			continue;
		right = imp_arena_printf(c->a, "%s%s%.*s", imp_case_text(parent), parent ? "." : "",
					 (int)len, names.v[i]);
		imp_finding_evidence(c->a, c->f, IMP_DERIVED,
				     "%s is there, in %s: a name much like %s", right, dir,
				     c->module);
		if (!imp_package_is_translated(c->module) && !imp_package_is_stdlib(c->module, NULL))
			imp_finding_fix(
				c->a, c->f, IMP_POSSIBLE, NULL,
				"write %s, if that is what %s should say; else install what brings it",
				right, c->module);
		return true;
	}
	return false;
}

static void say_required(struct imp_case *c)
{
	const char *who, *line = imp_requirement_of(c, imp_package_pypi_name(c->a, c->module), &who);

	if (!line)
		return;
	imp_finding_evidence(c->a, c->f, IMP_DERIVED,
			     "%s, whose code asked for it, says that it requires \"%s\"", who, line);
	if (imp_case_has(line, "extra =="))
		imp_finding_evidence(
			c->a, c->f, IMP_DERIVED,
			"that is an extra: it is installed only with the distribution's name and [EXTRA]");
}

void imp_judge_say_name(struct imp_case *c)
{
	struct imp_strings dirs = {0};

	if (say_oddity(c))
		return;
	if (!imp_case_parent(c)) {
		say_stdlib(c);
		say_required(c);
	}
	imp_case_path(c, &dirs);
	if (strchr(c->module, '/') || !c->host->enabled)
		return;
	for (size_t i = 0; i < dirs.n; i++)
		if (say_alike_in(c, imp_case_directory(c, dirs.v[i])))
			return;
}
