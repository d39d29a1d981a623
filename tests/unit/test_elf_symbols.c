// SPDX-License-Identifier: GPL-2.0-or-later
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "preload/elf_symbols.h"
#include "preload/real_symbols.h"

struct wanted {
	const char *object; /* part of its path */
	struct imp_elf_symbols symbols;
	int ret;
	bool found;
};

static int find_object(struct dl_phdr_info *info, size_t size, void *arg)
{
	struct wanted *w = arg;

	(void)size;
	if (!strstr(info->dlpi_name, w->object))
		return 0;
	w->ret = imp_elf_symbols_open(&w->symbols, info->dlpi_addr, info->dlpi_phdr,
				      info->dlpi_phnum);
	w->found = true;
	return 1;
}

static struct imp_elf_symbols open_object(const char *name)
{
	struct wanted w = {.object = name};

	dl_iterate_phdr(find_object, &w);
	assert_true(w.found);
	assert_int_equal(w.ret, 0);
	return w.symbols;
}

/* Where an object is asked directly, dlsym() through its handle answers the same. */
static void test_same_as_dlsym(void **state)
{
	static const char *const names[] = {
		"dlopen",
		"dlsym",
		"printf",
		"environ",
		"stdout",
		"qsort",
		"execve",
		"no_such_function",
		"",
		"strlen",
		"memcpy",
		"gettimeofday", /* IFUNCs */
		"_ZNSt6vectorIiE4sizeEv",
	};
	struct imp_elf_symbols libc = open_object("/libc.so.6");
	void *handle = dlopen("libc.so.6", RTLD_NOW | RTLD_NOLOAD);
	size_t i;

	(void)state;
	assert_non_null(handle);
	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		assert_ptr_equal(imp_elf_symbols_find(&libc, names[i], NULL),
				 dlsym(handle, names[i]));
	dlclose(handle);
}

static void test_versions(void **state)
{
	struct imp_elf_symbols libc = open_object("/libc.so.6");
	void *handle = dlopen("libc.so.6", RTLD_NOW | RTLD_NOLOAD), *old, *new;

	(void)state;
	assert_non_null(handle);
	old = imp_elf_symbols_find(&libc, "fmemopen", "GLIBC_2.2.5");
	new = imp_elf_symbols_find(&libc, "fmemopen", "GLIBC_2.22");
	assert_ptr_equal(old, dlvsym(handle, "fmemopen", "GLIBC_2.2.5"));
	assert_ptr_equal(new, dlvsym(handle, "fmemopen", "GLIBC_2.22"));
	assert_ptr_not_equal(old, new);
	assert_ptr_equal(imp_elf_symbols_find(&libc, "fmemopen", NULL), new);
	assert_null(imp_elf_symbols_find(&libc, "fmemopen", "GLIBC_2.23"));
	assert_null(imp_elf_symbols_find(&libc, "fmemopen", "GLIBC_9.9"));
	dlclose(handle);
}

/* errno is thread-local: there is no address to give without a thread. */
static void test_not_found(void **state)
{
	struct imp_elf_symbols libc = open_object("/libc.so.6");

	(void)state;
	assert_null(imp_elf_symbols_find(&libc, "errno", NULL));
	assert_null(imp_elf_symbols_find(&libc, "dlopen ", NULL));
}

/* Both hash tables, and neither: a table of symbols made by hand. */
static void test_sysv_hash(void **state)
{
	static const char strings[] = "\0alpha\0beta\0gamma";
	ElfW(Sym) symbols[4] = {
		{0},
		{.st_name = 1,
		 .st_info = ELF64_ST_INFO(STB_GLOBAL, STT_FUNC),
		 .st_shndx = 1,
		 .st_value = 0x10},
		{.st_name = 7, .st_info = ELF64_ST_INFO(STB_GLOBAL, STT_FUNC), .st_shndx = SHN_UNDEF},
		{.st_name = 12,
		 .st_info = ELF64_ST_INFO(STB_LOCAL, STT_FUNC),
		 .st_shndx = 1,
		 .st_value = 0x20},
	};
	/* One bucket, four symbols, the chain 3 -> 2 -> 1; and one that runs in a circle. */
	uint32_t hash[] = {1, 4, 3, 0, 0, 1, 2}, circle[] = {1, 4, 3, 0, 3, 1, 2};
	struct imp_elf_symbols s = {
		.base = 0x1000, .symtab = symbols, .strtab = strings, .sysv_hash = hash};

	(void)state;
	assert_ptr_equal(imp_elf_symbols_find(&s, "alpha", NULL), (void *)0x1010);
	assert_ptr_equal(imp_elf_symbols_find(&s, "alpha", "ANY_1.0"), (void *)0x1010);
	assert_null(imp_elf_symbols_find(&s, "beta", NULL));
	assert_null(imp_elf_symbols_find(&s, "gamma", NULL));
	assert_null(imp_elf_symbols_find(&s, "delta", NULL));
	s.sysv_hash = circle;
	assert_null(imp_elf_symbols_find(&s, "delta", NULL));
	symbols[1].st_shndx = SHN_ABS;
	assert_ptr_equal(imp_elf_symbols_find(&s, "alpha", NULL), (void *)0x10);
}

static void test_no_tables(void **state)
{
	ElfW(Dyn) dynamic[] = {{.d_tag = DT_NEEDED, .d_un.d_val = 1}, {.d_tag = DT_NULL}};
	ElfW(Phdr) phdr[] = {
		{.p_type = PT_LOAD,
		 .p_vaddr = 0,
		 .p_memsz = sizeof(dynamic),
		 .p_filesz = sizeof(dynamic)},
		{.p_type = PT_DYNAMIC,
		 .p_vaddr = 0,
		 .p_memsz = sizeof(dynamic),
		 .p_filesz = sizeof(dynamic)},
	};
	struct imp_elf_symbols s;

	(void)state;
	assert_int_equal(imp_elf_symbols_open(&s, (ElfW(Addr))dynamic, phdr, 2), -ENOENT);
	assert_int_equal(imp_elf_symbols_open(&s, (ElfW(Addr))dynamic, phdr, 1), -ENOENT);
	assert_int_equal(imp_elf_symbols_open(&s, 0, NULL, 0), -ENOENT);
}

/* libc's own, and the next after this program, which are the same where nobody else interposes. */
static void test_real_symbols(void **state)
{
	void *handle = dlopen("libc.so.6", RTLD_NOW | RTLD_NOLOAD);

	(void)state;
	assert_non_null(handle);
	assert_ptr_equal(imp_real_symbols_find("dlvsym"), dlsym(handle, "dlvsym"));
	assert_ptr_equal(imp_real_symbols_find("_exit"), dlsym(handle, "_exit"));
	assert_null(imp_real_symbols_find("imp_real_symbols_find"));
	/* The first use resolves. */
	assert_int_equal(imp_real.dlclose(imp_real.dlopen("libc.so.6", RTLD_NOW)), 0);
	imp_real_symbols_init();
	assert_ptr_equal(imp_real.execve, dlsym(RTLD_NEXT, "execve"));
	assert_ptr_equal(imp_real.dlopen, dlsym(RTLD_NEXT, "dlopen"));
	dlclose(handle);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_same_as_dlsym), cmocka_unit_test(test_versions),
		cmocka_unit_test(test_not_found),     cmocka_unit_test(test_sysv_hash),
		cmocka_unit_test(test_no_tables),     cmocka_unit_test(test_real_symbols),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
