/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "probe_target.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../elf/elf_image.h"
#include "../elf/elf_symbol.h"
#include "../host/host.h"

#define FILE_MAX   (256u << 20) /* of a file that is looked through for texts */
#define CODE_MAX   65536	/* of a function */
#define LARGE_PAGE (2u << 20)

static const struct {
	enum imp_probe_point point;
	const char *name;
} symbols[] = {
	{IMP_PROBE_DLOPEN, "dlopen"},
	{IMP_PROBE_DLMOPEN, "dlmopen"},
	{IMP_PROBE_DLSYM, "dlsym"},
	{IMP_PROBE_DLERROR, "dlerror"},
	{IMP_PROBE_EXTENSION, "_PyImport_LoadDynamicModuleWithSpec"},
	{IMP_PROBE_DISPLAY, "PyErr_Display"},
};

bool imp_probe_target_wanted(const char *name)
{
	static const char *const begins[] = {"libc.so",	 "libc-",      "libdl.so",  "libdl-",
					     "ld-musl-", "libc.musl-", "libpython", "python",
					     "libpypy",	 "pypy"};

	for (size_t i = 0; i < sizeof(begins) / sizeof(begins[0]); i++)
		if (!strncmp(name, begins[i], strlen(begins[i])))
			return true;
	return false;
}

static bool find_offset(struct imp_elf_image *img, const char *name, uint64_t *offset)
{
	struct imp_elf_symbol symbol;
	uint64_t limit;

	return imp_elf_symbol_find(img, name, NULL, &symbol) == 1 && symbol.value &&
	       imp_elf_image_offset(img, symbol.value, offset, &limit);
}

/* A function, and where it returns. */
static bool find_function(struct imp_probe_target *t, enum imp_probe_point point,
			  struct imp_elf_image *img, const char *name)
{
	struct imp_elf_symbol symbol;
	const uint8_t *code;
	uint64_t limit;

	if (imp_elf_symbol_find(img, name, NULL, &symbol) != 1 || !symbol.value ||
	    !imp_elf_image_offset(img, symbol.value, &t->offset[point], &limit))
		return false;
	code = symbol.size && symbol.size < CODE_MAX ?
		       imp_elf_bytes_at(&img->bytes, t->offset[point], symbol.size) :
		       NULL;
	if (code)
		t->n_returns[point] =
			imp_probe_returns(code, symbol.size, t->offset[point], t->returns[point]);
	return true;
}

/* ---- texts in the file --------------------------------------------------------------------------- */

/* The text at @at up to its NUL, where it ends in ".so" and is a suffix of extension modules. */
static const char *suffix_at(struct imp_arena *arena, const char *at, size_t left)
{
	size_t len = strnlen(at, left < 96 ? left : 96);

	if (len < 4 || len == 96 || len == left || memcmp(at + len - 3, ".so", 3))
		return NULL;
	return imp_arena_strndup(arena, at, len);
}

static void find_texts(struct imp_probe_target *t, struct imp_arena *arena, const char *data,
		       size_t len)
{
	static const char tag[] = ".cpython-", abi3[] = ".abi3.so";
	const char *at = data, *end = data + len;

	while (!t->suffix && (at = memmem(at, (size_t)(end - at), tag, sizeof(tag) - 1))) {
		t->suffix = suffix_at(arena, at, (size_t)(end - at));
		at++;
	}
	t->abi3 = memmem(data, len, abi3, sizeof(abi3)) != NULL;
}

/* ---- which Python -------------------------------------------------------------------------------- */

/* Py_Version, since 3.11: 0x030b02f0 */
static void read_version_symbol(struct imp_probe_target *t, struct imp_elf_image *img)
{
	const uint8_t *b;
	uint64_t offset;

	if (!find_offset(img, "Py_Version", &offset))
		return;
	b = imp_elf_bytes_at(&img->bytes, offset, 4);
	if (!b || img->big_endian)
		return;
	t->major = b[3];
	t->minor = b[2];
	t->micro = b[1];
	t->micro_known = true;
}

/* "libpython3.13t.so.1.0", "python3.8", "python2.7" */
static void read_version_name(struct imp_probe_target *t, const char *name)
{
	const char *at = strstr(name, "python");
	unsigned int major, minor;
	int used = 0;

	if (!at || sscanf(at + 6, "%u.%u%n", &major, &minor, &used) < 2 || major > 9 || minor > 99)
		return;
	if (!t->major) {
		t->major = major;
		t->minor = minor;
	}
	for (at += 6 + used; *at == 't' || *at == 'd' || *at == 'm'; at++) {
		t->free_threaded |= *at == 't';
		t->debug |= *at == 'd';
	}
}

/* ".cpython-311-x86_64-linux-gnu.so", ".cpython-313t-...": major is one digit */
static void read_version_suffix(struct imp_probe_target *t)
{
	const char *at;
	unsigned int number = 0;

	if (!t->suffix)
		return;
	for (at = t->suffix + strlen(".cpython-"); *at >= '0' && *at <= '9' && number < 1000; at++)
		number = number * 10 + (unsigned int)(*at - '0');
	if (!t->major && number >= 10) {
		t->major = number >= 100 ? number / 100 : number / 10;
		t->minor = number >= 100 ? number % 100 : number % 10;
	}
	t->free_threaded |= *at == 't';
}

static void find_version(struct imp_probe_target *t, struct imp_elf_image *img, const char *path,
			 const char *name)
{
	char resolved[4096];
	const char *last;
	ssize_t len;

	read_version_symbol(t, img);
	if (img->soname)
		read_version_name(t, img->soname);
	read_version_name(t, name);
	read_version_suffix(t);
	if (!t->major) { /* "python", a link to python3.8 */
		len = readlink(path, resolved, sizeof(resolved) - 1);
		if (len > 0) {
			resolved[len] = '\0';
			last = strrchr(resolved, '/');
			read_version_name(t, last ? last + 1 : resolved);
		}
	}
	if (t->major == 2)
		t->layout = IMP_LAYOUT_PYTHON2;
	else if (t->free_threaded)
		t->layout = IMP_LAYOUT_FREE;
	else if (t->major == 3 && t->minor >= 12)
		t->layout = IMP_LAYOUT_PLAIN;
	else if (t->major == 3 && t->minor >= 3)
		t->layout = IMP_LAYOUT_WSTR;
	if (t->debug) /* _PyObject_HEAD_EXTRA may lie before everything */
		t->layout = IMP_LAYOUT_UNKNOWN;
}

/* ---- the whole ----------------------------------------------------------------------------------- */

static uint64_t address_of(struct imp_elf_image *img, const char *name)
{
	struct imp_elf_symbol symbol;

	return imp_elf_symbol_find(img, name, NULL, &symbol) == 1 ? symbol.value : 0;
}

/* Since 3.11 the names of methods are constant str objects: where it is known to be another one, it is no import. */
static void drop_others(struct imp_probe_target *t, const char *data, size_t len)
{
	static const char wanted[] = "_find_and_load";
	const uint64_t text = t->layout == IMP_LAYOUT_WSTR  ? 48 :
			      t->layout == IMP_LAYOUT_PLAIN ? 40 :
							      56;
	size_t n = 0, found = 0;

	for (size_t i = 0; i < t->n_imports; i++) {
		const uint64_t at = t->imports[i].argument ? t->imports[i].argument + text : 0;
		const bool same = at && at + sizeof(wanted) <= len &&
				  !memcmp(data + at, wanted, sizeof(wanted));

		found += same;
		if (!at || same)
			t->imports[n++] = t->imports[i];
	}
	if (found) /* else nothing is as it was thought to be */
		t->n_imports = n;
}

/* The calls of a method of importlib: through a function that takes its name as a str, or as an identifier. */
static void find_imports(struct imp_probe_target *t, struct imp_elf_image *img, const char *data,
			 size_t len)
{
	static const char *const callees[] = {"PyObject_CallMethodObjArgs",
					      "_PyObject_CallMethodIdObjArgs"};
	uint64_t caller = address_of(img, "PyImport_ImportModuleLevelObject"), callee;

	for (size_t i = 0; caller && !t->n_imports && i < sizeof(callees) / sizeof(callees[0]); i++) {
		callee = address_of(img, callees[i]);
		if (callee)
			t->n_imports =
				imp_probe_calls(data, len, caller, callee, callees[i], t->imports);
		if (i == 0)
			drop_others(t, data, len);
		if (i == 0)
			t->method = IMP_METHOD_STR;
		else
			t->method = t->minor >= 10 ? IMP_METHOD_IDENTIFIER : IMP_METHOD_LINKED;
	}
}

/* For a whole file; in large pages, since to be given thousands of small ones takes longer than to read it. */
static char *new_buffer(size_t size)
{
	void *data = NULL;

	size = (size + LARGE_PAGE - 1) / LARGE_PAGE * LARGE_PAGE;
	if (posix_memalign(&data, LARGE_PAGE, size) != 0)
		return NULL;
	madvise(data, size, MADV_HUGEPAGE); /* a wish */
	return data;
}

static void look_through(struct imp_probe_target *t, struct imp_elf_image *img,
			 struct imp_arena *arena, const char *path, const char *name)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat st;
	size_t len = 0;
	ssize_t n;
	char *data;

	if (fd < 0)
		return;
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size > 0 && st.st_size < FILE_MAX) {
		data = new_buffer((size_t)st.st_size);
		while (data && len < (size_t)st.st_size &&
		       (n = read(fd, data + len, (size_t)st.st_size - len)) > 0)
			len += (size_t)n;
		if (data) {
			find_texts(t, arena, data, len);
			find_version(t, img, path, name);
			find_imports(t, img, data, len);
		}
		free(data);
	}
	close(fd);
}

int imp_probe_target_read(struct imp_probe_target *t, struct imp_arena *arena, const char *path,
			  const char *name)
{
	const struct imp_host host = {.enabled = true};
	struct imp_elf_image img;
	int ret;

	memset(t, 0, sizeof(*t));
	ret = imp_elf_image_open(&img, arena, &host, path, NULL);
	if (ret < 0)
		return ret;
	if (img.kind != IMP_ELF_OBJECT || !img.dynamic || img.foreign)
		return -ENOEXEC;
	for (size_t i = 0; i < sizeof(symbols) / sizeof(symbols[0]); i++) {
		enum imp_probe_point point = symbols[i].point;

		if (t->offset[point] || !find_function(t, point, &img, symbols[i].name))
			continue;
		if (point <= IMP_PROBE_DLERROR)
			t->has_libc = true;
		else
			t->has_python = true;
	}
	if (t->has_python) {
		look_through(t, &img, arena, path, name);
	}
	return 0;
}
