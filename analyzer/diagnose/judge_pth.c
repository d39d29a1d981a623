/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A line of code in a .pth file that failed: site.py prints the traceback ("Error processing line 1 of x.pth"), ignores the
 * rest of that file, and goes on. What the line was to make importable is missing later.
 */
#include <string.h>

#include "../python/distribution.h"
#include "../python/module_file.h"
#include "judge.h"
#include "judge_elsewhere.h"

#define TEXT_MAX  (1U << 20) /* bytes of a .pth file */
#define LINES_MAX 256
#define SAID_MAX  4
#define START_MAX 5000 /* imports of a process, among which those lines are looked for */

/* One of them, as the files on this machine have it; @path NULL: it was not found. */
struct pth_line {
	const struct imp_attempt *asked;
	const char *path;
	unsigned int number;
	const char *rest; /* what follows it */
};

static bool is_exec(const struct imp_frame *frame)
{
	return !strcmp(imp_case_text(frame->file), "<string>") &&
	       !strcmp(imp_case_text(frame->module), "site");
}

/*
 * addpackage() of site.py, and below it the line. A line may itself have code in a string, "exec('try: import x ...')": what
 * fails there may be caught there.
 */
static bool is_line_itself(const struct imp_frames *stack)
{
	for (size_t i = stack->n; i-- > 1;)
		if (is_exec(&stack->v[i]) &&
		    !strcmp(imp_case_text(stack->v[i - 1].module), "site") &&
		    !strcmp(imp_case_text(stack->v[i - 1].function), "addpackage"))
			return i + 1 == stack->n || !is_exec(&stack->v[i + 1]);
	return false;
}

/* exec() runs such a line with the globals of site.py. */
bool imp_judge_is_pth_line(const struct imp_image *image, const struct imp_attempt *at)
{
	if (!is_exec(at->frame) || at->frame->line != 1 || !at->exception)
		return false;
	if (at->outcome->stack.n)
		return is_line_itself(&at->outcome->stack);
	/* The same exception had ended an import within it: the stack is there. */
	for (size_t i = 0; i < image->attempts.n && i < START_MAX; i++) {
		const struct imp_attempt *in = image->attempts.v[i];

		if (in->thread == at->thread && in->begin_ns > at->begin_ns && in->ended &&
		    in->end_ns <= at->end_ns && in->exception &&
		    in->exception->id == at->exception->id && in->outcome->stack.n)
			return is_line_itself(&in->outcome->stack);
	}
	return false;
}

static bool is_code(const char *line)
{
	return imp_starts_with(line, "import ") || imp_starts_with(line, "import\t");
}

static bool find_in(const struct imp_case *c, const char *path, struct pth_line *out)
{
	unsigned int number = 0;
	size_t size, len;
	char *text;

	if (imp_host_read(c->host, c->a, path, TEXT_MAX, &text, &size))
		return false;
	while (*text && number < LINES_MAX) {
		const char *line;

		len = strcspn(text, "\n");
		line = imp_arena_strndup(c->a, text, len);
		text += len + (text[len] != '\0');
		number++;
		if (!is_code(line) || !imp_case_has_word(line, out->asked->name))
			continue;
		out->path = path;
		out->number = number;
		out->rest = text;
		return true;
	}
	return false;
}

static void find_file(const struct imp_case *c, struct pth_line *out)
{
	/* The last one: site-packages may not have been on it when the line failed. */
	const struct imp_sys_path *now =
		c->py && c->py->paths.n ? &c->py->paths.v[c->py->paths.n - 1] : NULL;

	for (size_t i = 0; now && i < now->path.n; i++) {
		const char *dir = imp_case_directory(c, now->path.v[i]);
		struct imp_strings names = {0};

		if (imp_host_list(c->host, c->a, dir, &names))
			continue;
		for (size_t k = 0; k < names.n; k++)
			if (imp_ends_with(names.v[k], ".pth") &&
			    find_in(c, imp_path_join(c->a, dir, names.v[k]), out))
				return;
	}
}

/* The @i-th import that failed in such a line of this process, before @c did; false: no more */
static bool failed_line(const struct imp_case *c, size_t *i, struct pth_line *out)
{
	for (; *i < c->image->attempts.n && *i < START_MAX; (*i)++) {
		const struct imp_attempt *at = c->image->attempts.v[*i];
		bool known = false;

		if (!at->ended || !at->exception || at->end_ns > c->time_ns || at == c->attempt ||
		    !imp_judge_is_pth_line(c->image, at))
			continue;
		for (size_t k = 0; k < *i && !known; k++)
			known = imp_judge_is_pth_line(c->image, c->image->attempts.v[k]) &&
				!strcmp(c->image->attempts.v[k]->name, at->name);
		if (known)
			continue;
		*out = (struct pth_line){.asked = at};
		find_file(c, out);
		(*i)++;
		return true;
	}
	return false;
}

static const char *name_of(const struct imp_case *c, const struct pth_line *line)
{
	return line->path ? imp_arena_printf(c->a, "line %u of %s", line->number, line->path) :
			    "a line of a .pth file";
}

static const char *error_of(const struct imp_case *c, const struct pth_line *line)
{
	return imp_arena_printf(c->a, "%s: %s", imp_case_text(line->asked->exception->type),
				imp_case_text(line->asked->exception->message));
}

void imp_judge_say_pth_lines(struct imp_case *c)
{
	struct pth_line line;
	size_t i = 0;

	for (int said = 0; said < SAID_MAX && failed_line(c, &i, &line); said++)
		imp_finding_evidence(
			c->a, c->f, line.path ? IMP_DERIVED : IMP_OBSERVED,
			"at the start of Python %s, which asks for %s, had failed with %s; Python printed that, passed over the rest of the file, and went on",
			name_of(c, &line), line.asked->name, error_of(c, &line));
}

bool imp_judge_behind_pth_line(struct imp_case *c)
{
	struct pth_line line;

	for (size_t i = 0; !imp_case_parent(c) && failed_line(c, &i, &line);) {
		for (const char *text = line.rest; text && *text;) {
			size_t len = strcspn(text, "\r\n");
			const char *dir = imp_arena_strndup(c->a, text, len), *path;

			text += len + (text[len] != '\0');
			if (!*dir || *dir == '#' || is_code(dir))
				continue;
			dir = imp_path_join(c->a, imp_path_parent(c->a, line.path), dir);
			path = imp_elsewhere_held(c, dir);
			if (!path)
				continue;
			imp_elsewhere_tell(
				c, path, dir,
				imp_arena_printf(
					c->a,
					"%s names it, and Python ignored that, since line %u of the file had failed (%s)",
					line.path, line.number, error_of(c, &line)));
			imp_finding_fix(c->a, c->f, IMP_LIKELY, NULL,
					"mend line %u of %s, or take it out of that file",
					line.number, line.path);
			imp_remedy_run_path(
				c, dir, imp_arena_printf(c->a, "puts %s on the search path", dir));
			return true;
		}
	}
	return false;
}

const struct imp_attempt *imp_judge_pth_line_of(const struct imp_case *c)
{
	const char *finder = imp_arena_printf(c->a, "__editable___%s_", imp_case_top(c));
	struct imp_distribution dist;
	struct pth_line line;

	for (size_t i = 0; failed_line(c, &i, &line);) {
		if (imp_starts_with(line.asked->name, finder))
			return line.asked;
		if (line.path &&
		    !imp_distribution_of_file(c->host, c->a, imp_path_parent(c->a, line.path),
					      line.path, &dist) &&
		    imp_judge_brings(c, &dist))
			return line.asked;
	}
	return NULL;
}

void imp_judge_asked_by_pth(struct imp_case *c, const struct imp_attempt *asked)
{
	struct pth_line line = {.asked = asked};

	find_file(c, &line);
	imp_finding_evidence(
		c->a, c->f, line.path ? IMP_DERIVED : IMP_OBSERVED,
		"%s asked for %s at the start of Python, which printed the error, passed over the rest of the file, and went on",
		name_of(c, &line), asked->name);
	imp_finding_fix(c->a, c->f, IMP_POSSIBLE, NULL,
			"mend %s, or remove it, if what it belongs to is not wanted any more",
			name_of(c, &line));
}
