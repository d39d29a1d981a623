// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * dlopen, dlmopen, dlsym, dlvsym, dlclose, dlerror, dlinfo: recorded, and otherwise as if we were not there.
 *
 * The real functions are entered through call_as_caller.h, so each interposer has two halves: one before
 * the call, one after. The thread's block is held in neither while the real function runs: what constructors
 * and destructors do is recorded as well.
 */
#include <dlfcn.h>
#include <errno.h>
#include <link.h>
#include <string.h>
#include <sys/auxv.h>

#include "call_as_caller.h"
#include "dlsym_cache.h"
#include "file_facts.h"
#include "link_map_diff.h"
#include "loaded_names.h"
#include "real_symbols.h"
#include "recorder.h"
#include "return_gadget.h"
#include "stack.h"
#include "thread_slot.h"
#include "poison.h"

/* Names for struct imp_call's private words. */
enum {
	LOAD_NAME_HASH, /* 0: nothing will be loaded */
	LOAD_NAMESPACE,
	LOAD_IS_NEW, /* its constructors may run */
};

#define NOT_DLMOPEN ((uint64_t)1 << 63) /* LOAD_NAMESPACE of a dlopen() */

/* ---- dlerror's text --------------------------------------------------------------------------------- */

/*
 * The text of a failed call is read at once, for the record, and is given to the program when it asks. It
 * stays where libc has it, which ends the life of both together at the next dl call, as it would bare;
 * and libc knows that it was delivered, so the program's second dlerror() gets libc's own NULL.
 */
static const char *keep_dlerror(struct imp_thread *t)
{
	size_t len;

	errno = 0;
	t->dlerror_real = imp_real.dlerror();
	t->dlerror_errno = errno; /* dlerror() sets it where the text ends in strerror()'s */
	t->dlerror_kept = t->dlerror_real != NULL;
	if (!t->dlerror_kept)
		return NULL;
	len = strnlen(t->dlerror_real, sizeof(t->dlerror_text) - 1);
	memcpy(t->dlerror_text, t->dlerror_real, len);
	t->dlerror_text[len] = '\0';
	return t->dlerror_text;
}

/* libc forgets an undelivered text when it enters any other dl function. */
static void drop_dlerror(void)
{
	struct imp_thread *t = imp_thread_get(false);

	if (t)
		t->dlerror_kept = false;
}

/*
 * An object loaded with RTLD_DEEPBIND reaches libc's functions past us, and libc may have freed the text in
 * such a call. malloc then has written its own into the first bytes. Not by strcmp: a sanitizer's
 * would report what is here only a question.
 */
static bool still_kept(const struct imp_thread *t)
{
	const volatile char *real = t->dlerror_real;
	size_t i;

	for (i = 0; t->dlerror_text[i]; i++) {
		if (real[i] != t->dlerror_text[i])
			return false;
	}
	return true;
}

/* ---- who calls, and how to come back ---------------------------------------------------------------- */

/* ld.so's own idea of what lies at an address, lock-free; since glibc 2.35. */
extern int _dl_find_object(void *address, struct dl_find_object *result) __attribute__((weak));

/*
 * Is the object that we know still the one there? One that was unloaded past us (RTLD_DEEPBIND again) may
 * have left its place to another.
 */
static bool still_mapped(const struct imp_mapped *o, const void *address)
{
	struct dl_find_object found;

	if (!_dl_find_object)
		return true;
	return _dl_find_object((void *)address, &found) == 0 &&
	       (ElfW(Addr))found.dlfo_map_start <= o->start &&
	       (ElfW(Addr))found.dlfo_map_end == o->end;
}

static bool still_returns(const struct imp_return_gadget *g)
{
	return ((const unsigned char *)g->address)[g->ret] == 0xc3;
}

/* The object that holds an address; looks at the link map again where that is not known. */
static bool object_at(const void *address, struct imp_thread *held, struct imp_mapped *o)
{
	struct imp_thread *t;

	if (imp_objects_get(address, o) && o->id && still_mapped(o, address))
		return true;
	t = held ? held : imp_thread_enter();
	if (!t)
		return false;
	imp_objects_update(t);
	if (!held)
		imp_thread_leave(t);
	return imp_objects_get(address, o) && o->id && still_mapped(o, address);
}

static void note_no_gadget(struct imp_thread *held)
{
	static bool noted;
	struct imp_thread *t;

	if (__atomic_exchange_n(&noted, true, __ATOMIC_RELAXED))
		return;
	t = held ? held : imp_thread_enter();
	if (!t)
		return;
	imp_record_note(t, IMP_NOTE_NO_GADGET, 0, NULL);
	if (!held)
		imp_thread_leave(t);
}

static enum imp_call_route return_through(struct imp_call *c, const struct imp_return_gadget *g)
{
	c->gadget = g->address;
	c->words = g->words;
	c->framed = g->framed;
	return IMP_CALL_RETURN;
}

/*
 * Fills in @c->object and @c->offset, and chooses how the target is entered.
 * @held: this thread's block where it is held; NULL: not
 */
static enum imp_call_route choose_route(struct imp_call *c, struct imp_thread *held)
{
	struct imp_thread *t = imp_thread_get(false);
	uint32_t generation = imp_objects_generation();
	struct imp_mapped o;

	if (t && !c->no_detour && imp_known_caller_get(&t->known, c->caller, generation, &o) &&
	    still_mapped(&o, c->caller) && still_returns(&o.gadget)) {
		c->object = o.id;
		c->offset = (ElfW(Addr))c->caller - o.base;
		return return_through(c, &o.gadget);
	}
	if (object_at(c->caller, held, &o)) {
		c->object = o.id;
		c->offset = (ElfW(Addr))c->caller - o.base;
	} else {
		/*
		 * Code that was made at run time: ld.so takes the main program for the caller, in all but
		 * RTLD_NEXT, which it refuses. A stale table leads here too, and to the same end.
		 */
		c->object = 0;
		c->offset = 0;
		if (c->args[0] == (uintptr_t)RTLD_NEXT ||
		    !object_at((const void *)getauxval(AT_PHDR), held, &o))
			return IMP_CALL_JUMP;
	}
	if (!o.gadget_known) {
		imp_return_gadget_find(&o.gadget, o.base, o.phdr, o.phnum);
		imp_objects_set_gadget(o.id, o.gadget);
	}
	if (c->no_detour || !o.gadget.address || !still_returns(&o.gadget) ||
	    (o.gadget.blind && c->object &&
	     imp_return_gadget_unwinds((ElfW(Addr))c->caller, o.base, o.phdr, o.phnum))) {
		note_no_gadget(held);
		return IMP_CALL_JUMP;
	}
	if (t && c->object && !o.gadget.blind)
		imp_known_caller_keep(&t->known, c->caller, generation, &o);
	return return_through(c, &o.gadget);
}

static void put_caller(struct imp_cbor *c, const struct imp_call *call)
{
	imp_put_uint(c, IMP_KEY_CALLER, call->object);
	imp_put_uint(c, IMP_KEY_OFFSET, call->offset);
}

/* ---- dlopen, dlmopen -------------------------------------------------------------------------------- */

static enum imp_call_route load_enter(struct imp_call *c, const char *name, int flags, uint64_t ns)
{
	enum imp_call_route route;
	struct imp_thread *t;
	struct imp_cbor *e;

	drop_dlerror();
	t = imp_thread_enter();
	if (!t)
		return IMP_CALL_JUMP;
	c->id = imp_record_next_id();
	c->private[LOAD_NAMESPACE] = ns;
	c->private[LOAD_NAME_HASH] =
		name && !(flags & RTLD_NOLOAD) ? imp_loaded_names_hash(name) : 0;
	route = choose_route(c, t);

	e = imp_record_begin(t, IMP_EV_DLOPEN_ENTER);
	imp_put_number(t, IMP_KEY_CALL, c->id);
	if (name)
		imp_put_path(e, IMP_KEY_TEXT, name, strlen(name));
	imp_put_uint(e, IMP_KEY_FLAGS, (unsigned int)flags);
	put_caller(e, c);
	if (ns != NOT_DLMOPEN && (Lmid_t)ns != LM_ID_BASE)
		imp_put_int(e, IMP_KEY_NAMESPACE, (Lmid_t)ns);
	imp_record_end(t);

	/* Constructors are about to run that may crash: then the trace must name their object. */
	c->private[LOAD_IS_NEW] =
		c->private[LOAD_NAME_HASH] && !imp_loaded_names_has(c->private[LOAD_NAME_HASH]);
	if (c->private[LOAD_IS_NEW]) {
		t->loads++;
		imp_file_facts_before_load(t, c->id, name);
		imp_record_journal();
	}
	imp_thread_leave(t);
	return route;
}

static enum imp_call_route dlopen_enter(struct imp_call *c)
{
	imp_real_symbols_init();
	c->target = (void *)imp_real.dlopen;
	return load_enter(c, (const char *)c->args[0], (int)c->args[1], NOT_DLMOPEN);
}

static enum imp_call_route dlmopen_enter(struct imp_call *c)
{
	imp_real_symbols_init();
	c->target = (void *)imp_real.dlmopen;
	return load_enter(c, (const char *)c->args[1], (int)c->args[2], c->args[0]);
}

static const char *load_name(const struct imp_call *c)
{
	return (const char *)c->args[c->private[LOAD_NAMESPACE] == NOT_DLMOPEN ? 0 : 1];
}

/* A handle is the object's link map. */
static void load_leave(struct imp_call *c)
{
	const struct link_map *map = (const struct link_map *)c->result;
	struct imp_thread *t = imp_thread_enter();
	const char *error = NULL;
	struct imp_cbor *e;
	uint32_t object = 0;
	Lmid_t ns;

	if (!t)
		return;
	if (!map)
		error = keep_dlerror(t);
	imp_objects_update(t);
	/* After a success nothing is pending in libc that dlinfo() could clear. */
	if (map && c->private[LOAD_NAMESPACE] != NOT_DLMOPEN &&
	    imp_real.dlinfo((void *)map, RTLD_DI_LMID, &ns) == 0)
		imp_objects_add_namespace(t, map, ns);
	if (map)
		object = imp_objects_find(map->l_ld, NULL);
	if (map && c->private[LOAD_NAME_HASH])
		imp_loaded_names_add(c->private[LOAD_NAME_HASH]);

	e = imp_record_begin(t, IMP_EV_DLOPEN_LEAVE);
	imp_put_number(t, IMP_KEY_CALL, c->id);
	imp_put_uint(e, IMP_KEY_HANDLE, c->result);
	if (object)
		imp_put_uint(e, IMP_KEY_OBJECT, object);
	if (error)
		imp_put_text(e, IMP_KEY_ERROR, error, strlen(error));
	imp_record_end(t);
	imp_stack_record_load(t, c->id, error != NULL);
	if (error)
		imp_file_facts_load_failed(t, c->id, load_name(c), error);
	/* A crash that comes later is not to be blamed on the constructors. */
	if (!map)
		imp_record_keep();
	else if (c->private[LOAD_IS_NEW])
		imp_record_journal();
	imp_thread_leave(t);
}

/* ---- dlsym, dlvsym ---------------------------------------------------------------------------------- */

static enum imp_call_route lookup_enter(struct imp_call *c)
{
	drop_dlerror();
	if (imp_options.dlsym == IMP_NONE)
		return IMP_CALL_JUMP;
	return choose_route(c, NULL);
}

static enum imp_call_route dlsym_enter(struct imp_call *c)
{
	imp_real_symbols_init();
	c->target = (void *)imp_real.dlsym;
	return lookup_enter(c);
}

static enum imp_call_route dlvsym_enter(struct imp_call *c)
{
	imp_real_symbols_init();
	c->target = (void *)imp_real.dlvsym;
	return lookup_enter(c);
}

/* The block is entered only where there is something new to say. */
static void lookup_leave(struct imp_call *c, const char *version)
{
	struct imp_lookup l = {
		.handle = c->args[0],
		.name = (const char *)c->args[1],
		.version = version,
		.object = c->object,
		.offset = c->offset,
		.address = c->result,
	};
	struct imp_thread *t;

	if ((imp_options.dlsym == IMP_FAILURES && c->result) || imp_dlsym_cache_hit(&l))
		return;
	t = imp_thread_enter();
	if (!t)
		return;
	if (!c->result)
		l.error = keep_dlerror(t); /* none: the symbol's value is 0 */
	if (imp_options.dlsym == IMP_ALL || l.error)
		imp_dlsym_cache_record(t, &l);
	imp_thread_leave(t);
}

static void dlsym_leave(struct imp_call *c)
{
	lookup_leave(c, NULL);
}

static void dlvsym_leave(struct imp_call *c)
{
	lookup_leave(c, (const char *)c->args[2]);
}

/* ---- dlclose ---------------------------------------------------------------------------------------- */

static enum imp_call_route dlclose_enter(struct imp_call *c)
{
	imp_real_symbols_init();
	c->target = (void *)imp_real.dlclose;
	drop_dlerror();
	return imp_recorder_on() ? choose_route(c, NULL) : IMP_CALL_JUMP;
}

static void dlclose_leave(struct imp_call *c)
{
	struct imp_thread *t = imp_thread_enter();
	const char *error = NULL;
	struct imp_cbor *e;

	if (!t)
		return;
	if ((int)c->result != 0)
		error = keep_dlerror(t);
	imp_objects_update(t);
	e = imp_record_begin(t, IMP_EV_DLCLOSE);
	imp_put_uint(e, IMP_KEY_HANDLE, c->args[0]);
	imp_put_int(e, IMP_KEY_CODE, (int)c->result);
	imp_put_uint(e, IMP_KEY_CALLER, c->object);
	if (error)
		imp_put_text(e, IMP_KEY_ERROR, error, strlen(error));
	imp_record_end(t);
	imp_thread_leave(t);
}

/* ---- dlerror, dlinfo -------------------------------------------------------------------------------- */

static void record_dlerror(const struct imp_call *c)
{
	const char *text = (const char *)c->result;
	struct imp_thread *t = imp_thread_enter();
	struct imp_cbor *e;

	if (!t)
		return;
	e = imp_record_begin(t, IMP_EV_DLERROR);
	imp_put_text(e, IMP_KEY_TEXT, text, strlen(text));
	imp_put_uint(e, IMP_KEY_CALLER, c->object);
	imp_record_end(t);
	imp_thread_leave(t);
}

static enum imp_call_route dlerror_enter(struct imp_call *c)
{
	struct imp_thread *t = imp_thread_get(false);

	imp_real_symbols_init();
	c->target = (void *)imp_real.dlerror;
	c->args[0] = 0; /* it has none */
	if (t && t->dlerror_kept) {
		t->dlerror_kept = false;
		if (still_kept(t)) {
			c->object = imp_objects_find(c->caller, NULL);
			c->result = (uintptr_t)t->dlerror_real;
			record_dlerror(c);
			if (t->dlerror_errno)
				errno = t->dlerror_errno;
			return IMP_CALL_ANSWER;
		}
	}
	return imp_recorder_on() ? choose_route(c, NULL) : IMP_CALL_JUMP;
}

static void dlerror_leave(struct imp_call *c)
{
	if (c->result)
		record_dlerror(c);
}

/* Not recorded: it is here since it makes libc forget the text of an earlier failure. */
static enum imp_call_route dlinfo_enter(struct imp_call *c)
{
	imp_real_symbols_init();
	c->target = (void *)imp_real.dlinfo;
	drop_dlerror();
	return IMP_CALL_JUMP;
}

/* ---- the functions themselves ----------------------------------------------------------------------- */

#define INTERPOSER(name, leave)                                \
	static const struct imp_interposer name##_interposer   \
		__attribute__((used)) = {name##_enter, leave}; \
	IMP_INTERPOSE(name, name##_interposer)

INTERPOSER(dlopen, load_leave);
INTERPOSER(dlmopen, load_leave);
INTERPOSER(dlsym, dlsym_leave);
INTERPOSER(dlvsym, dlvsym_leave);
INTERPOSER(dlclose, dlclose_leave);
INTERPOSER(dlerror, dlerror_leave);
INTERPOSER(dlinfo, NULL);
