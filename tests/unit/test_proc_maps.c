/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "attach/memory.h"
#include "attach/object_image.h"
#include "attach/proc_maps.h"

static struct imp_maps maps;

static int clear(void **state)
{
	(void)state;
	imp_maps_clear(&maps);
	return 0;
}

static void parse(const char *text)
{
	imp_maps_parse(&maps, text, strlen(text));
}

static void test_objects(void **state)
{
	(void)state;
	parse("00400000-00452000 r--p 00000000 08:02 173521      /usr/bin/a program\n"
	      "00452000-00460000 r-xp 00052000 08:02 173521      /usr/bin/a program\n"
	      "00e03000-00e24000 rw-p 00000000 00:00 0           [heap]\n"
	      "7f0000000000-7f0000001000 r--p 00000000 08:02 135522   /lib/libc.so.6 (deleted)\n"
	      "7f0000001000-7f0000005000 r-xp 00001000 08:02 135522   /lib/libc.so.6 (deleted)\n"
	      "7f0000005000-7f0000006000 rw-p 00000000 00:00 0 \n"
	      "7f0000006000-7f0000007000 rw-p 00004000 08:02 135522   /lib/libc.so.6 (deleted)\n"
	      "7f0000010000-7f0000012000 r--s 00000000 00:0f 9   /memfd:imptrace-area (deleted)\n"
	      "7ffd00000000-7ffd00021000 rw-p 00000000 00:00 0   [stack]\n"
	      "7ffd00030000-7ffd00032000 r-xp 00000000 00:00 0   [vdso]\n"
	      "ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0 [vsyscall]\n");
	assert_int_equal(maps.maps.n, 11);
	assert_int_equal(maps.objects.n, 4);
	assert_string_equal(maps.objects.v[0].path, "/usr/bin/a program");
	assert_string_equal(maps.objects.v[0].name, "a program");
	assert_true(maps.objects.v[0].exec);
	assert_int_equal(maps.objects.v[0].end, 0x460000);
	assert_string_equal(maps.objects.v[1].path, "/lib/libc.so.6");
	assert_string_equal(maps.objects.v[1].name, "libc.so.6");
	assert_int_equal(maps.objects.v[1].end, 0x7f0000005000);
	assert_string_equal(maps.objects.v[2].path, "/memfd:imptrace-area");
	assert_false(maps.objects.v[2].exec);
	assert_string_equal(maps.objects.v[3].name, "[vdso]");

	assert_ptr_equal(imp_maps_object(&maps, 0x451fff), &maps.objects.v[0]);
	assert_null(imp_maps_object(&maps, 0x460000));
	assert_null(imp_maps_object(&maps, 0xe03000));
	assert_true(imp_maps_find(&maps, 0xe03000)->write);
	assert_true(imp_maps_find(&maps, 0x7f0000010000)->shared);
	assert_null(imp_maps_find(&maps, 0));
	assert_null(imp_maps_find(&maps, UINT64_MAX));
}

/* Each line is cut at every byte: whatever is left must not be read beyond its end. */
static void test_cut(void **state)
{
	static const char line[] = "00400000-00452000 r-xp 00000000 08:02 173521   /usr/bin/x\n";
	char copy[sizeof(line)];
	size_t seen = 0;

	(void)state;
	for (size_t len = 0; len < sizeof(line); len++) {
		memset(copy, '0', sizeof(copy));
		memcpy(copy, line, len);
		imp_maps_parse(&maps, copy, len);
		assert_true(maps.maps.n <= 1);
		seen += maps.maps.n;
	}
	assert_int_equal(seen, sizeof(line) - 1 - strcspn(line, "/") + 3);
}

static void test_nonsense(void **state)
{
	(void)state;
	parse("");
	assert_int_equal(maps.maps.n, 0);
	parse("\n\n-\nzz-yy r-xp 0 0:0 0\n20-10 r-xp 00000000 00:00 0\n10-20\n10-20 r-xp\n");
	assert_int_equal(maps.maps.n, 0);
}

static void test_own(void **state)
{
	struct imp_object_image img;
	struct imp_memory mem = IMP_MEMORY_INIT;
	struct imp_error err = {0};
	const struct imp_image_symbol *symbol;
	const struct imp_mapped_object *o;
	char text[16];
	struct imp_arena arena = {0};

	(void)state;
	assert_int_equal(imp_maps_read(&maps, getpid(), &err), 0);
	o = imp_maps_object(&maps, (uint64_t)(uintptr_t)&memfd_create);
	assert_non_null(o);
	assert_int_equal(imp_memory_open(&mem, getpid()), 0);
	assert_int_equal(imp_object_image_read(&img, &arena, &mem, o->start, true), 0);
	assert_int_equal(imp_object_image_find(&img, "memfd_create"),
			 (uint64_t)(uintptr_t)&memfd_create);
	assert_int_equal(imp_object_image_find(&img, "no_such_function_17"), 0);
	symbol = imp_object_image_at(&img, (uint64_t)(uintptr_t)&memfd_create + 1);
	assert_non_null(symbol);
	assert_int_equal(symbol->address, (uint64_t)(uintptr_t)&memfd_create);
	assert_null(imp_object_image_at(&img, 1));
	assert_true(img.build_id_len >= 8);
	assert_true(img.eh_frame_hdr > img.start);
	/* What is no object. */
	assert_int_equal(imp_object_image_read(&img, &arena, &mem,
					       (uint64_t)(uintptr_t)text & ~4095ull, true),
			 -EBADMSG);
	assert_int_equal(imp_object_image_read(&img, &arena, &mem, 0, true), -EFAULT);
	assert_int_equal(imp_memory_read_text(&mem, (uint64_t)(uintptr_t) "seventeen", text, 6), 0);
	assert_string_equal(text, "seven");
	assert_int_equal(imp_memory_read_text(&mem, 16, text, 6), -EFAULT);
	assert_int_equal(imp_memory_read(&mem, UINT64_MAX - 3, text, 4), -EFAULT);
	imp_memory_close(&mem);
	imp_arena_clear(&arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(test_objects, clear),
		cmocka_unit_test_teardown(test_cut, clear),
		cmocka_unit_test_teardown(test_nonsense, clear),
		cmocka_unit_test_teardown(test_own, clear),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
