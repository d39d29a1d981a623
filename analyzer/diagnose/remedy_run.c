/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Remedies that run the same program in another way. */
#include "remedy.h"

#include <ctype.h>
#include <string.h>

#include "../python/command_line.h"
#include "../python/installer.h"
#include "../python/module_file.h"
#include "path_origin.h"

#define COMMAND_MAX 300 /* bytes of a command line that a person would still type */
#define WORKERS_MAX 8	/* generations of multiprocessing's children */

bool imp_remedy_line(const struct imp_case *c, struct imp_command_line *line)
{
	const char *exe = c->image->exe	   ? c->image->exe :
			  c->image->argv.n ? c->image->argv.v[0] :
					     "";
	const char *name = imp_path_name(exe);

	if (!c->image->argv.n ||
	    (!imp_starts_with(name, "python") && !imp_starts_with(name, "pypy")))
		return false;
	imp_command_line_parse(&c->image->argv, line);
	return true;
}

static const char *append(const struct imp_case *c, const char *line, const char *word)
{
	return imp_arena_printf(c->a, "%s %s", line, imp_shell_quote(c->a, word));
}

/* "python -c 'from multiprocessing.spawn import ...' --multiprocessing-fork": numbers of descriptors are in it. */
static bool is_worker(const struct imp_image *image)
{
	for (size_t i = 1; i < image->argv.n; i++)
		if (!strcmp(image->argv.v[i], "--multiprocessing-fork") ||
		    imp_starts_with(image->argv.v[i], "from multiprocessing."))
			return true;
	return false;
}

/* The image that a person started, where this one is a worker of it; NULL: it was not recorded. */
static const struct imp_image *typed(const struct imp_case *c)
{
	const struct imp_image *image = c->image;

	for (int hops = 0; image && is_worker(image); hops++) {
		const struct imp_image *parent = NULL;

		for (size_t i = 0; i < c->record->images.n && hops < WORKERS_MAX; i++) {
			const struct imp_image *p = c->record->images.v[i];

			if (p != image && p->pid == image->ppid && p->image_ns <= image->image_ns &&
			    (!parent || p->image_ns > parent->image_ns))
				parent = p;
		}
		image = parent;
	}
	return image;
}

const char *imp_remedy_run(const struct imp_case *c, const struct imp_run_change *change)
{
	struct imp_case whole = *c;
	const struct imp_strings *argv;
	struct imp_command_line line;
	struct imp_strings options;
	const char *text;

	whole.image = typed(c);
	if (!whole.image || !imp_remedy_line(&whole, &line) || line.how == IMP_RUN_NOTHING)
		return NULL;
	argv = &whole.image->argv;
	for (size_t i = 1; i < argv->n; i++)
		if (strchr(argv->v[i], '\n'))
			return NULL; /* a program given with -c: nobody types that again */
	text = imp_shell_quote(c->a,
			       change->interpreter ? change->interpreter : imp_remedy_python(c));
	if (change->before)
		text = imp_arena_printf(c->a, "%s %s", change->before, text);
	imp_command_line_without(c->a, argv, change->without ? change->without : "", &options);
	for (size_t i = 0; i < options.n; i++)
		text = append(c, text, options.v[i]);
	if (change->module)
		text = append(c, append(c, text, "-m"), change->module);
	else if (line.how == IMP_RUN_SCRIPT)
		text = append(c, text, change->script ? change->script : line.what);
	else
		text = append(c, append(c, text, line.how == IMP_RUN_CODE ? "-c" : "-m"), line.what);
	for (size_t i = line.args; i < argv->n; i++)
		text = append(c, text, argv->v[i]);
	return strlen(text) <= COMMAND_MAX ? text : NULL;
}

const char *imp_remedy_run_with(const struct imp_case *c, const char *interpreter)
{
	struct imp_run_change change = {.interpreter = interpreter};

	return imp_remedy_run(c, &change);
}

void imp_remedy_run_path(struct imp_case *c, const char *dirs, const char *effect)
{
	const char *now = imp_record_env(c->image, "PYTHONPATH"), *set, *command;
	struct imp_run_change change = {.without = "EI"}; /* they ignore PYTHONPATH */
	bool ignored = imp_case_flag(c, "ignore_environment") || imp_case_flag(c, "isolated");

	set = imp_arena_printf(
		c->a, "PYTHONPATH=%s",
		imp_shell_quote(c->a,
				now && *now ? imp_arena_printf(c->a, "%s:%s", dirs, now) : dirs));
	change.before = set;
	command = imp_remedy_run(c, &change);
	if (command)
		imp_finding_fix(c->a, c->f, IMP_LIKELY, command, "%s", effect);
	else if (!ignored)
		imp_finding_fix(c->a, c->f, IMP_LIKELY, imp_arena_printf(c->a, "export %s", set),
				"%s; then run it again", effect);
}

/* "pkg/sub/run.py" -> "pkg.sub.run"; NULL: no import statement could name it. */
static const char *dotted(const struct imp_case *c, const char *relative)
{
	size_t len = strlen(relative);
	char *name;

	if (len < 4 || strcmp(relative + len - 3, ".py"))
		return NULL;
	len -= 3;
	if (len > 9 && !strncmp(relative + len - 9, "/__main__", 9))
		len -= 9;
	if (!len)
		return NULL;
	name = imp_arena_strndup(c->a, relative, len);
	for (size_t i = 0; i < len; i++) {
		bool first = !i || name[i - 1] == '.';

		if (name[i] == '/' && !first)
			name[i] = '.';
		else if (!isalpha((unsigned char)name[i]) && name[i] != '_' &&
			 (first || !isdigit((unsigned char)name[i])))
			return NULL;
	}
	return name[len - 1] == '.' ? NULL : name;
}

/* A module that lies beside the script was imported by its bare name: with -m it would not be found. */
static bool uses_siblings(const struct imp_case *c, const char *script)
{
	const char *dir = imp_path_parent(c->a, script);

	for (size_t i = 0; i < c->image->attempts.n; i++) {
		const struct imp_attempt *at = c->image->attempts.v[i];
		const char *real;

		if (at->exception || !at->outcome->origin || strchr(at->name, '.') ||
		    imp_host_realpath(c->host, c->a, at->outcome->origin, &real))
			continue;
		if (!strcmp(imp_path_name(real), "__init__.py"))
			real = imp_path_parent(c->a, real);
		if (!strcmp(imp_path_parent(c->a, real), dir))
			return true;
	}
	return false;
}

bool imp_remedy_run_as_module(struct imp_case *c, const char *root, const char *package)
{
	struct imp_run_change change = {0};
	const char *script, *relative, *cwd;
	struct imp_command_line line;
	size_t len;

	if (!imp_remedy_line(c, &line) || line.how != IMP_RUN_SCRIPT || !c->image->cwd ||
	    imp_host_realpath(c->host, c->a, imp_path_join(c->a, c->image->cwd, line.what), &script) ||
	    imp_host_realpath(c->host, c->a, root, &root) ||
	    imp_host_realpath(c->host, c->a, c->image->cwd, &cwd))
		return false;
	len = strlen(root);
	if (strncmp(script, root, len) || script[len] != '/')
		return false;
	relative = script + len + 1;
	if (imp_host_is_directory(c->host, script))
		relative = imp_path_join(c->a, relative, "__main__.py");
	len = strlen(package);
	if (strncmp(relative, package, len) || relative[len] != '/' || uses_siblings(c, script))
		return false;
	change.module = dotted(c, relative);
	if (!change.module || !imp_remedy_run(c, &change))
		return false;
	if (!strcmp(cwd, root) && !imp_case_flag(c, "safe_path") && !imp_case_flag(c, "isolated")) {
		imp_finding_fix(
			c->a, c->f, IMP_LIKELY, imp_remedy_run(c, &change),
			"runs the script as the module %s of its package, from the directory that holds the package",
			change.module);
		return true;
	}
	change.before = imp_arena_printf(c->a, "PYTHONPATH=%s", imp_shell_quote(c->a, root));
	change.without = "EI";
	imp_finding_fix(c->a, c->f, IMP_LIKELY, imp_remedy_run(c, &change),
			"runs the script as the module %s of its package", change.module);
	return true;
}

bool imp_remedy_run_script_as_module(struct imp_case *c)
{
	struct imp_command_line line;
	const char *dir, *package = NULL;

	if (!imp_remedy_line(c, &line) || line.how != IMP_RUN_SCRIPT || !c->image->cwd)
		return false;
	dir = imp_path_normalize(c->a, imp_path_join(c->a, c->image->cwd, line.what));
	/* "python pkg/" runs pkg/__main__.py. */
	if (!imp_host_is_directory(c->host, dir))
		dir = imp_path_parent(c->a, dir);
	for (; imp_host_exists(c->host, imp_path_join(c->a, dir, "__init__.py")) == 1;
	     dir = imp_path_parent(c->a, dir))
		package = imp_path_name(dir);
	return package && imp_remedy_run_as_module(c, dir, package);
}

const char *imp_remedy_drop_entry(const struct imp_case *c, const char *entry)
{
	const char *left = imp_path_env_without(c, entry);

	return *left ? imp_arena_printf(c->a, "export PYTHONPATH=%s", imp_shell_quote(c->a, left)) :
		       "unset PYTHONPATH";
}

void imp_remedy_drop_option(struct imp_case *c, char letter, const char *effect)
{
	const char letters[] = {letter, '\0'};
	struct imp_run_change change = {.without = letters};
	const char *command = NULL;

	if (imp_command_line_has(&c->image->argv, letter))
		command = imp_remedy_run(c, &change);
	imp_finding_fix(c->a, c->f, IMP_LIKELY, command, "%s: start %s without the option -%c",
			effect, imp_remedy_python(c), letter);
}
