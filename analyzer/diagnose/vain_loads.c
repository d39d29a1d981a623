/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Libraries that the failing code itself opened in vain: it may have raised an error of its own in their stead. */
#include "vain_loads.h"

#include <ctype.h>
#include <string.h>

#define SAID_MAX 6 /* of them in the evidence */

bool imp_load_is_foreign_name(const char *name)
{
	size_t len = strlen(name);

	return (len > 6 && !strcasecmp(name + len - 6, ".dylib")) ||
	       (len > 4 && !strcasecmp(name + len - 4, ".dll"));
}

const char *imp_load_stem(struct imp_arena *a, const char *name)
{
	const char *base = strrchr(name, '/') ? strrchr(name, '/') + 1 : name;
	size_t len;

	if (!strncmp(base, "lib", 3))
		base += 3;
	len = strcspn(base, ".");
	while (len && !isalpha((unsigned char)base[len - 1]))
		len--;
	return imp_arena_strndup(a, base, len);
}

/* The import that a thread was in at a time, if it was in any: the last that began before, or one around that. */
static const struct imp_attempt *innermost(const struct imp_image *image, uint64_t thread,
					   uint64_t time_ns)
{
	const struct imp_attempt *at = NULL;
	size_t low = 0, high = image->attempts.n;

	while (low < high) { /* they are in the order in which they began */
		size_t mid = (low + high) / 2;

		if (image->attempts.v[mid]->begin_ns <= time_ns)
			low = mid + 1;
		else
			high = mid;
	}
	while (low > 0 && image->attempts.v[low - 1]->thread != thread)
		low--;
	if (low > 0)
		at = image->attempts.v[low - 1];
	while (at && at->ended && at->end_ns < time_ns)
		at = at->parent;
	return at;
}

static bool is_extension(const struct imp_image *image, const struct imp_dlopen *d)
{
	for (size_t i = 0; i < image->extensions.n; i++)
		if (!strcmp(imp_case_text(image->extensions.v[i]->path), d->name))
			return true;
	return false;
}

static bool made_up_for(const struct imp_case *c, const struct imp_dlopen *d)
{
	const char *stem = imp_load_stem(c->a, d->name);

	for (size_t i = 0; i < c->image->dlopens.n; i++) {
		const struct imp_dlopen *later = c->image->dlopens.v[i];

		if (later->thread == d->thread && later->begin_ns >= d->end_ns && later->name &&
		    later->ended && !later->error && later->end_ns <= c->time_ns &&
		    !strcmp(imp_load_stem(c->a, later->name), stem))
			return true;
	}
	return false;
}

void imp_vain_loads(const struct imp_case *c, struct imp_loads *out)
{
	const struct imp_extension_call *ext = c->extension;

	*out = (struct imp_loads){0};
	for (size_t i = 0; i < c->image->dlopens.n; i++) {
		const struct imp_dlopen *d = c->image->dlopens.v[i];

		if (d == c->load || !d->error || !d->ended || !d->name || d->thread != c->thread ||
		    d->end_ns > c->time_ns || (ext && d->begin_ns < ext->begin_ns) ||
		    (c->attempt && d->begin_ns < c->attempt->begin_ns) ||
		    is_extension(c->image, d) ||
		    innermost(c->image, d->thread, d->begin_ns) != c->attempt || made_up_for(c, d))
			continue;
		*imp_vec_push(c->a, out) = d;
	}
}

const char *imp_load_opener(const struct imp_image *image, const struct imp_dlopen *d)
{
	/* They open what other code tells them to. */
	static const char *const carriers[] = {"_ctypes", "_cffi_backend", "libpython", "libpypy",
					       "libffi",  "libc.so",	   "libdl.so",	"ld-linux"};
	const struct imp_object *o = d->caller ? imp_record_object(image, d->caller) : NULL;
	const char *base;

	if (!o || !o->path || !strchr(o->path, '/') || !d->name || is_extension(image, d) ||
	    !strcmp(imp_case_text(image->exe), o->path))
		return NULL;
	base = strrchr(o->path, '/') + 1;
	if (!strstr(base, ".so"))
		return NULL; /* a program, by another of its names */
	for (size_t i = 0; i < sizeof(carriers) / sizeof(carriers[0]); i++)
		if (!strncmp(base, carriers[i], strlen(carriers[i])))
			return NULL;
	return o->path;
}

void imp_vain_loads_say(struct imp_case *c)
{
	struct imp_loads vain;

	imp_vain_loads(c, &vain);
	for (size_t i = 0; i < vain.n && i < SAID_MAX; i++) {
		const char *opener = imp_load_opener(c->image, vain.v[i]);

		imp_finding_evidence(c->a, c->f, IMP_OBSERVED,
				     "before that, dlopen(\"%s\")%s%s had failed, and it went on: %s",
				     vain.v[i]->name, opener ? ", called by " : "",
				     opener ? opener : "", vain.v[i]->error);
	}
	if (vain.n > SAID_MAX)
		imp_finding_evidence(c->a, c->f, IMP_OBSERVED, "so had %zu more loads",
				     vain.n - SAID_MAX);
}
