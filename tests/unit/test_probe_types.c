/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#if IMP_HAVE_BPF

#include <bpf/btf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "analyzer/probe/probe_types.h"

static const struct btf_type *named(const struct btf *btf, const char *name)
{
	int id = btf__find_by_name_kind(btf, name, BTF_KIND_STRUCT);

	return id > 0 ? btf__type_by_id(btf, (uint32_t)id) : NULL;
}

/* Bit offset of a field; -1: there is none. @type: its type */
static int64_t field(const struct btf *btf, const struct btf_type *t, const char *name,
		     const struct btf_type **type)
{
	for (int i = 0; t && i < btf_vlen(t); i++)
		if (!strcmp(btf__name_by_offset(btf, btf_members(t)[i].name_off), name)) {
			if (type)
				*type = btf__type_by_id(btf, btf_members(t)[i].type);
			return btf_member_bit_offset(t, (uint32_t)i);
		}
	return -1;
}

static void add(struct btf *btf, const char *name, int type, uint32_t bit_offset)
{
	assert_int_equal(btf__add_field(btf, name, type, bit_offset, 0), 0);
}

/* struct task { int pid; struct { unsigned char live; } signal; struct file *file; } and one that the kernel lacks */
static struct btf *program_types(void)
{
	struct btf *btf = btf__new_empty();
	int number, inner, pointer;

	assert_non_null(btf);
	number = btf__add_int(btf, "int", 4, BTF_INT_SIGNED);
	inner = btf__add_struct(btf, "atomic_value", 4);
	add(btf, "live", number, 0);
	pointer = btf__add_ptr(btf, 0);
	btf__add_struct(btf, "task", 24);
	add(btf, "pid", number, 0);
	add(btf, "signal", inner, 32);
	add(btf, "file", pointer, 64);
	add(btf, "flag", number, 128);
	btf__add_struct(btf, "of_our_own", 4);
	add(btf, "pid", number, 0);
	return btf;
}

/* The same in another order, behind typedefs, in nameless parts, and among much else. */
static struct btf *kernel_types(void)
{
	struct btf *btf = btf__new_empty();
	int number, word, inner, name, nameless, pointer, constant, bits;

	assert_non_null(btf);
	number = btf__add_int(btf, "int", 4, BTF_INT_SIGNED);
	word = btf__add_int(btf, "long unsigned int", 8, 0);
	inner = btf__add_struct(btf, "", 8);
	add(btf, "other", number, 0);
	add(btf, "live", number, 32);
	name = btf__add_typedef(btf, "atomic_t", inner);
	pointer = btf__add_ptr(btf, number);
	constant = btf__add_const(btf, pointer);
	nameless = btf__add_union(btf, "", 16);
	add(btf, "file", constant, 0);
	add(btf, "both", word, 0);
	bits = btf__add_struct(btf, "task", 128);
	assert_true(bits > 0);
	add(btf, "state", word, 0);
	add(btf, "", nameless, 256);
	add(btf, "signal", name, 192);
	add(btf, "pid", number, 96);
	assert_int_equal(btf__add_field(btf, "flag", number, 512, 1),
			 0); /* one bit: nothing that an address is of */
	btf__add_struct(btf, "unrelated", 8);
	add(btf, "pid", number, 0);
	return btf;
}

static void test_copy(void **state)
{
	struct btf *program = program_types(), *kernel = kernel_types(), *to = btf__new_empty();
	const struct btf_type *task, *type = NULL;

	(void)state;
	assert_int_equal(imp_probe_types_copy(to, kernel, program), 0);
	task = named(to, "task");
	assert_non_null(task);
	assert_int_equal(task->size, 128);
	assert_int_equal(field(to, task, "pid", &type), 96);
	assert_true(btf_is_int(type) && type->size == 4 && btf_int_encoding(type) == BTF_INT_SIGNED);
	assert_int_equal(field(to, task, "file", &type), 256);
	assert_true(btf_is_ptr(type));
	assert_int_equal(field(to, task, "signal", &type), 192);
	assert_true(btf_is_struct(type));
	assert_int_equal(field(to, type, "live", NULL), 32);
	assert_int_equal(field(to, type, "other", NULL), -1);
	assert_int_equal(field(to, task, "state", NULL), -1);
	assert_int_equal(field(to, task, "both", NULL), -1);
	assert_int_equal(field(to, task, "flag", NULL), -1);
	assert_null(named(to, "unrelated"));
	assert_null(named(to, "of_our_own"));
	btf__free(to);
	btf__free(kernel);
	btf__free(program);
}

/* Of the running kernel: each field is where libbpf finds it by itself. */
static void test_running_kernel(void **state)
{
	struct btf *program = btf__new_empty(), *kernel = btf__load_vmlinux_btf(), *read;
	int number, fd = memfd_create("types", 0);
	char path[64];

	(void)state;
	if (!kernel) {
		print_message("this kernel does not describe its types\n");
		btf__free(program);
		close(fd);
		skip();
	}
	number = btf__add_int(program, "int", 4, BTF_INT_SIGNED);
	btf__add_struct(program, "task_struct", 8);
	add(program, "tgid", number, 0);
	add(program, "exit_code", number, 32);
	assert_int_equal(imp_probe_types_write(program, fd), 0);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	read = btf__parse(path, NULL);
	assert_non_null(read);
	assert_in_range(btf__type_cnt(read), 2, 16);
	assert_true(field(read, named(read, "task_struct"), "tgid", NULL) > 0);
	assert_int_equal(field(read, named(read, "task_struct"), "tgid", NULL),
			 field(kernel, named(kernel, "task_struct"), "tgid", NULL));
	assert_int_equal(field(read, named(read, "task_struct"), "exit_code", NULL),
			 field(kernel, named(kernel, "task_struct"), "exit_code", NULL));
	btf__free(read);
	btf__free(kernel);
	btf__free(program);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_copy),
		cmocka_unit_test(test_running_kernel),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

#else

static void test_built_without_probes(void **state)
{
	(void)state;
	skip();
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_built_without_probes)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

#endif
