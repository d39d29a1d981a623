/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "finding.h"

#include <stdarg.h>
#include <string.h>

static const char *const codes[IMP_CAUSE_COUNT] = {
#define CAUSE(id, code, phrase) [IMP_CAUSE_##id] = code,
#include "causes.def"
#undef CAUSE
};

static const char *const phrases[IMP_CAUSE_COUNT] = {
#define CAUSE(id, code, phrase) [IMP_CAUSE_##id] = phrase,
#include "causes.def"
#undef CAUSE
};

const char *imp_cause_code(enum imp_cause cause)
{
	return (unsigned int)cause < IMP_CAUSE_COUNT ? codes[cause] : codes[IMP_CAUSE_UNKNOWN];
}

const char *imp_cause_phrase(enum imp_cause cause)
{
	return (unsigned int)cause < IMP_CAUSE_COUNT ? phrases[cause] : phrases[IMP_CAUSE_UNKNOWN];
}

void imp_finding_evidence(struct imp_arena *a, struct imp_finding *f, enum imp_source source,
			  const char *format, ...)
{
	struct imp_evidence *evidence;
	const char *fact;
	va_list args;

	va_start(args, format);
	fact = imp_arena_vprintf(a, format, args);
	va_end(args);
	/* Two rules may come upon the same fact; it is told once. */
	for (size_t i = 0; i < f->evidence.n; i++) {
		if (!strcmp(f->evidence.v[i].fact, fact))
			return;
	}
	evidence = imp_vec_push(a, &f->evidence);
	evidence->fact = fact;
	evidence->source = source;
}

void imp_finding_rule_out(struct imp_arena *a, struct imp_finding *f, enum imp_cause cause,
			  const char *format, ...)
{
	struct imp_ruled_out *out;
	const char *because;
	va_list args;

	va_start(args, format);
	because = imp_arena_vprintf(a, format, args);
	va_end(args);
	for (size_t i = 0; i < f->ruled_out.n; i++) {
		if (f->ruled_out.v[i].cause == cause && !strcmp(f->ruled_out.v[i].because, because))
			return;
	}
	out = imp_vec_push(a, &f->ruled_out);
	out->cause = cause;
	out->because = because;
}

void imp_finding_fix(struct imp_arena *a, struct imp_finding *f, enum imp_confidence confidence,
		     const char *command, const char *format, ...)
{
	struct imp_fix *fix;
	const char *effect;
	va_list args;

	va_start(args, format);
	effect = imp_arena_vprintf(a, format, args);
	va_end(args);
	for (size_t i = 0; i < f->fixes.n; i++) {
		const struct imp_fix *old = &f->fixes.v[i];

		if (command ? old->command && !strcmp(old->command, command) :
			      !old->command && !strcmp(old->effect, effect))
			return;
	}
	fix = imp_vec_push(a, &f->fixes);
	/* The caller's buffer need not live as long as the diagnosis. */
	fix->command = command ? imp_arena_strndup(a, command, strlen(command)) : NULL;
	fix->effect = effect;
	fix->confidence = confidence;
}
