/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "python_interpreter.h"

#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "link_map_diff.h"
#include "python_text.h"
#include "recorder.h"
#include "poison.h"

#define PATH_ITEMS_MAX	 512
#define HOOKS_MAX	 64
#define CLOCKS_DIFFER_NS 60000000000
#define SEEN_PLACES	 8 /* in imp_interp.seen, for one directory */

static struct imp_interp *take_unused(struct imp_interp *const *first)
{
	struct imp_interp *in = __atomic_load_n(first, __ATOMIC_ACQUIRE);
	unsigned int none;

	for (; in; in = in->next) {
		none = 0;
		if (__atomic_compare_exchange_n(&in->refs, &none, 1, false, __ATOMIC_ACQ_REL,
						__ATOMIC_RELAXED))
			break;
	}
	return in;
}

struct imp_interp *imp_interp_new(struct imp_interp **first, const void *key)
{
	struct imp_interp *in = imp_interp_find(first, key);

	if (in)
		__atomic_store_n(&in->key, NULL, __ATOMIC_RELEASE);
	in = take_unused(first);
	if (in) {
		imp_name_index_forget(in->listings);
		memset(&in->py, 0, sizeof(*in) - offsetof(struct imp_interp, py));
	} else {
		/* Not from CPython: tracemalloc and sys.getallocatedblocks() would show it. */
		in = mmap(NULL, sizeof(*in), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			  -1, 0);
		if (in == MAP_FAILED)
			return NULL;
		in->refs = 1;
		in->next = __atomic_load_n(first, __ATOMIC_ACQUIRE);
		while (!__atomic_compare_exchange_n(first, &in->next, in, false, __ATOMIC_ACQ_REL,
						    __ATOMIC_ACQUIRE))
			;
	}
	__atomic_store_n(&in->key, key, __ATOMIC_RELEASE);
	return in;
}

void imp_interp_keep(struct imp_interp *in)
{
	__atomic_fetch_add(&in->refs, 1, __ATOMIC_ACQ_REL);
}

void imp_interp_release(struct imp_interp *in)
{
	if (__atomic_load_n(&in->refs, __ATOMIC_ACQUIRE) == 1)
		__atomic_store_n(&in->key, NULL, __ATOMIC_RELEASE);
	__atomic_fetch_sub(&in->refs, 1, __ATOMIC_ACQ_REL);
}

const void *imp_interp_key(const struct imp_python_api *py)
{
	if (py->PyInterpreterState_Get)
		return py->PyInterpreterState_Get();
	if (py->_PyInterpreterState_Get)
		return py->_PyInterpreterState_Get();
	/* Another one in code that was given builtins of its own: then nothing is found. */
	return py->PyEval_GetBuiltins();
}

struct imp_interp *imp_interp_find(struct imp_interp *const *first, const void *key)
{
	struct imp_interp *in = __atomic_load_n(first, __ATOMIC_ACQUIRE);

	while (in && (!key || __atomic_load_n(&in->key, __ATOMIC_ACQUIRE) != key))
		in = in->next;
	return in;
}

void imp_interpreter_put(struct imp_cbor *c, const struct imp_interp *in)
{
	if (in->number)
		imp_put_uint(c, IMP_KEY_INTERP, in->number);
}

static uint64_t mix(uint64_t print, uint64_t value)
{
	/* FNV-1a's prime, a word at a time: it only has to notice a change. */
	return (print ^ value) * 0x100000001b3ULL;
}

/* Of a list's length and items: str objects by their hash, which their content decides; others by address. */
static uint64_t fingerprint(const struct imp_python_api *py, PyObject *list)
{
	ssize_t i, size = imp_python_sequence_size(py, list);
	uint64_t print = mix(0xcbf29ce484222325ULL, (uint64_t)size);
	/* With a GIL, nothing runs meanwhile that could take an item away. */
	const bool borrow = !py->PyList_GetItemRef && imp_python_is(py, list, py->types.list);
	PyObject *item;

	for (i = 0; i < size; i++) {
		item = borrow ? py->PyList_GetItem(list, i) : imp_python_sequence_item(py, list, i);
		if (imp_python_is(py, item, py->types.str))
			print = mix(print, (uint64_t)py->PyObject_Hash(item));
		else
			print = mix(print, (uintptr_t)item);
		if (!borrow)
			imp_python_drop(py, item);
	}
	return print ? print : 1;
}

static void put_attr(struct imp_cbor *c, const struct imp_python_api *py, unsigned int key,
		     PyObject *object, const char *name)
{
	PyObject *value = imp_python_attr(py, object, name);

	imp_python_put_text(c, py, key, value);
	imp_python_drop(py, value);
}

static void put_sys(struct imp_cbor *c, const struct imp_interp *in, unsigned int key,
		    const char *name)
{
	PyObject *value = imp_python_dict_get(in->py, in->sys_dict, name);
	struct imp_python_text text;

	if (imp_python_text_get_path(in->py, value, &text))
		imp_put_text(c, key, text.data, text.len);
	imp_python_text_clear(in->py, &text);
	imp_python_drop(in->py, value);
}

static const char *const flag_names[] = {
	"debug",
	"inspect",
	"interactive",
	"optimize",
	"dont_write_bytecode",
	"no_user_site",
	"no_site",
	"ignore_environment",
	"verbose",
	"bytes_warning",
	"quiet",
	"hash_randomization",
	"isolated",
	"dev_mode",
	"utf8_mode",
	"warn_default_encoding",
	"safe_path",
	"int_max_str_digits",
	"gil",
	"thread_inherit_context",
	"context_aware_warnings",
};

static void put_flags(struct imp_cbor *c, struct imp_interp *in)
{
	const struct imp_python_api *py = in->py;
	PyObject *flags = imp_python_dict_get(py, in->sys_dict, "flags");
	PyObject *value;
	long long number;
	int overflow;
	size_t i;

	if (!flags)
		return;
	imp_put_map(c, IMP_KEY_FLAGS);
	for (i = 0; i < sizeof(flag_names) / sizeof(*flag_names); i++) {
		value = imp_python_attr(py, flags, flag_names[i]);
		if (imp_python_is(py, value, py->types.int_) ||
		    imp_python_is(py, value, py->types.bool_)) {
			imp_cbor_bytes(c, flag_names[i], strlen(flag_names[i]));
			number = py->PyLong_AsLongLongAndOverflow(value, &overflow);
			imp_cbor_int(c, number);
			if (!strcmp(flag_names[i], "no_site"))
				in->no_site = number;
		}
		imp_python_drop(py, value);
	}
	imp_cbor_map_end(c);
	py->Py_DecRef(flags);
}

static void put_suffixes(struct imp_cbor *c, const struct imp_interp *in)
{
	const struct imp_python_api *py = in->py;
	PyObject *function = imp_python_dict_get(py, in->imp_dict, "extension_suffixes");
	PyObject *args = NULL, *suffixes = NULL;

	/* CPython's own, not something that the program put there. */
	if (imp_python_is(py, function, py->types.builtin_function))
		args = py->Py_BuildValue("()");
	if (args)
		suffixes = py->PyObject_Call(function, args, NULL);
	if (suffixes)
		imp_python_put_strs(c, py, IMP_KEY_SUFFIXES, suffixes, HOOKS_MAX);
	py->PyErr_Clear();
	imp_python_drop(py, suffixes);
	imp_python_drop(py, args);
	imp_python_drop(py, function);
}

static void write_interpreter(struct imp_thread *t, struct imp_interp *in)
{
	const struct imp_python_api *py = in->py;
	PyObject *implementation = imp_python_dict_get(py, in->sys_dict, "implementation");
	struct imp_cbor *c = imp_record_begin(t, IMP_EV_INTERPRETER);

	/* Always, also 0: here it is what the event is about. */
	imp_put_uint(c, IMP_KEY_INTERP, in->number);
	put_sys(c, in, IMP_KEY_VERSION, "version");
	/* A types.SimpleNamespace of sys's own: its attributes are plain. */
	put_attr(c, py, IMP_KEY_IMPLEMENTATION, implementation, "name");
	put_attr(c, py, IMP_KEY_CACHE_TAG, implementation, "cache_tag");
	put_suffixes(c, in);
	/* With the 't' of a free-threaded build from 3.13 on; before that there were none. */
	put_sys(c, in, IMP_KEY_ABIFLAGS, "abiflags");
	put_sys(c, in, IMP_KEY_EXECUTABLE, "executable");
	put_sys(c, in, IMP_KEY_PREFIX, "prefix");
	put_sys(c, in, IMP_KEY_BASE_PREFIX, "base_prefix");
	put_sys(c, in, IMP_KEY_EXEC_PREFIX, "exec_prefix");
	put_sys(c, in, IMP_KEY_BASE_EXEC_PREFIX, "base_exec_prefix");
	put_sys(c, in, IMP_KEY_STDLIB, "_stdlib_dir");
	put_sys(c, in, IMP_KEY_PLATFORM, "platform");
	put_flags(c, in);
	/* Asked each time: a forked child numbers its objects anew. */
	imp_put_uint(c, IMP_KEY_OBJECT, imp_objects_find((const void *)py->Py_IsInitialized, NULL));
	imp_record_end(t);
	imp_python_drop(py, implementation);
}

/* The name of a finder or hook: a function's own, an object's type's. */
static void value_name(struct imp_cbor *c, struct imp_thread *t, const struct imp_python_api *py,
		       PyObject *object)
{
	struct imp_text_buf b = {.data = t->text, .size = sizeof(t->text)};
	struct imp_python_text text;
	PyObject *module, *name;

	if (imp_python_is_class(py, object)) {
		imp_python_type_name(&b, py, object, true);
	} else if (imp_python_is(py, object, py->types.function)) {
		module = imp_python_attr(py, object, "__module__");
		name = imp_python_attr(py, object, "__qualname__");
		if (imp_python_text_get(py, module, &text)) {
			imp_text_add(&b, text.data, text.len);
			imp_text_add_string(&b, ".");
		}
		imp_python_text_clear(py, &text);
		imp_python_text_get(py, name, &text);
		imp_text_add(&b, text.data, text.len);
		imp_python_text_clear(py, &text);
		imp_python_drop(py, module);
		imp_python_drop(py, name);
	} else {
		imp_python_type_name(&b, py, imp_python_type(py, object), true);
	}
	imp_value_shared(c, b.data, b.len);
}

/* A pathlib.Path, say: imports pass over such an item without a word. */
static void put_no_strs(struct imp_cbor *c, struct imp_thread *t, struct imp_interp *in,
			PyObject *path)
{
	ssize_t i, size = imp_python_sequence_size(in->py, path);
	bool any = false;
	PyObject *item;

	for (i = 0; i < size && i < PATH_ITEMS_MAX; i++) {
		item = imp_python_sequence_item(in->py, path, i);
		if (item && !imp_python_is(in->py, item, in->py->types.str)) {
			if (!any)
				imp_put_array(c, IMP_KEY_NO_STRS);
			any = true;
			value_name(c, t, in->py, item);
		}
		imp_python_drop(in->py, item);
	}
	if (any)
		imp_cbor_array_end(c);
}

static void write_path(struct imp_thread *t, struct imp_interp *in, PyObject *path, uint32_t attempt)
{
	struct imp_cbor *c = imp_record_begin(t, IMP_EV_SYS_PATH);

	imp_interpreter_put(c, in);
	imp_python_put_strs(c, in->py, IMP_KEY_PATH, path, PATH_ITEMS_MAX);
	imp_put_uint(c, IMP_KEY_PHASE, in->phase);
	put_sys(c, in, IMP_KEY_PREFIX, "prefix");
	put_sys(c, in, IMP_KEY_EXEC_PREFIX, "exec_prefix");
	if (attempt)
		imp_put_number(t, IMP_KEY_IMPORT, attempt);
	put_no_strs(c, t, in, path);
	imp_record_end(t);
}

static void put_names(struct imp_cbor *c, struct imp_thread *t, struct imp_interp *in,
		      unsigned int key, PyObject *list)
{
	ssize_t i, size = imp_python_sequence_size(in->py, list);
	PyObject *item;

	if (size < 0)
		return;
	imp_put_array(c, key);
	for (i = 0; i < size && i < HOOKS_MAX; i++) {
		item = imp_python_sequence_item(in->py, list, i);
		if (item)
			value_name(c, t, in->py, item);
		imp_python_drop(in->py, item);
	}
	imp_cbor_array_end(c);
}

void imp_interpreter_put_meta_path(struct imp_cbor *c, struct imp_thread *t, struct imp_interp *in)
{
	PyObject *list = imp_python_dict_get(in->py, in->sys_dict, "meta_path");

	put_names(c, t, in, IMP_KEY_META_PATH, list);
	imp_python_drop(in->py, list);
}

static void write_meta_path(struct imp_thread *t, struct imp_interp *in, PyObject *meta_path,
			    PyObject *hooks, uint32_t attempt)
{
	struct imp_cbor *c = imp_record_begin(t, IMP_EV_META_PATH);

	imp_interpreter_put(c, in);
	put_names(c, t, in, IMP_KEY_META_PATH, meta_path);
	put_names(c, t, in, IMP_KEY_PATH_HOOKS, hooks);
	if (attempt)
		imp_put_number(t, IMP_KEY_IMPORT, attempt);
	imp_record_end(t);
}

static int64_t realtime_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

bool imp_interpreter_is_old(const struct imp_interp *in, int64_t ctime_ns)
{
	/* A file server's clock may go otherwise. */
	return in->listed_ns && ctime_ns < in->listed_ns - CLOCKS_DIFFER_NS;
}

void imp_interpreter_look(struct imp_thread *t, struct imp_interp *in, uint32_t attempt)
{
	const struct imp_python_api *py = in->py;
	PyObject *path = imp_python_dict_get(py, in->sys_dict, "path");
	PyObject *hooks = imp_python_dict_get(py, in->sys_dict, "path_hooks");
	PyObject *meta_path = imp_python_dict_get(py, in->sys_dict, "meta_path");
	uint64_t print;
	size_t i;

	if (imp_python_sequence_size(py, hooks) <= 0 && !in->image_ns) {
		in->listed_ns = realtime_ns();
		goto out;
	}
	if (in->image_ns != imp_recorder_image_ns()) {
		/* A new interpreter, or a forked child: its events stand for themselves. */
		in->image_ns = imp_recorder_image_ns();
		in->path_print = 0;
		in->meta_path_print = 0;
		for (i = 0; i < IMP_SEEN_DIRECTORIES; i++)
			in->seen[i] = 0;
		write_interpreter(t, in);
	}
	print = fingerprint(py, path);
	if (print != in->path_print) {
		/* Without site (-S), only the first value was not the program's doing. */
		if (in->phase == IMP_PHASE_START && in->path_known && in->no_site)
			in->phase = IMP_PHASE_RUN;
		if (in->phase == IMP_PHASE_ATTACH && in->path_known)
			in->phase = IMP_PHASE_RUN;
		write_path(t, in, path, attempt);
		in->path_print = print;
		in->path_known = true;
	}
	print = mix(fingerprint(py, meta_path), fingerprint(py, hooks));
	if (print != in->meta_path_print) {
		write_meta_path(t, in, meta_path, hooks, attempt);
		in->meta_path_print = print;
	}
out:
	imp_python_drop(py, meta_path);
	imp_python_drop(py, hooks);
	imp_python_drop(py, path);
}

void imp_interpreter_site_began(struct imp_interp *in, uint32_t attempt)
{
	if (in->phase != IMP_PHASE_START)
		return;
	in->phase = IMP_PHASE_SITE;
	in->site_attempt = attempt;
}

void imp_interpreter_site_ended(struct imp_thread *t, struct imp_interp *in)
{
	imp_interpreter_look(t, in, in->site_attempt);
	in->phase = IMP_PHASE_RUN;
	in->site_attempt = 0;
}

bool imp_interpreter_first_look(struct imp_interp *in, const char *path, size_t len,
				int64_t mtime_ns)
{
	uint64_t print = mix(0xcbf29ce484222325ULL, (uint64_t)mtime_ns);
	size_t home, i;

	for (i = 0; i < len; i++)
		print = mix(print, (unsigned char)path[i]);
	/* A few places for each, or else two directories of one place would take turns in it. */
	home = (print ^ print >> 32) % IMP_SEEN_DIRECTORIES;
	for (i = 0; i < SEEN_PLACES; i++) {
		uint64_t *place = &in->seen[(home + i) % IMP_SEEN_DIRECTORIES];

		if (*place == print)
			return false;
		if (*place)
			continue;
		*place = print;
		return true;
	}
	in->seen[home] = print;
	return true;
}

uint32_t imp_interpreter_failed_before(struct imp_interp *in, PyObject *name)
{
	uint64_t print = mix(in->path_print, (uint64_t)in->py->PyObject_Hash(name));
	size_t i = (print ^ print >> 32) % IMP_REPEATED_NAMES;

	if (in->repeated[i].print != print) {
		in->repeated[i].print = print;
		in->repeated[i].count = 0;
	}
	return in->repeated[i].count++;
}
