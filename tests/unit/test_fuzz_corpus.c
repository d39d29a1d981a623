/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The corpora of tests/fuzz, replayed in the ordinary build. Runs in the top directory of the sources. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <dirent.h>
#include <sys/stat.h>

#define LLVMFuzzerTestOneInput fuzz_cbor
#include "../fuzz/fuzz_cbor.c"
#undef LLVMFuzzerTestOneInput
#define LLVMFuzzerTestOneInput fuzz_frames
#include "../fuzz/fuzz_frames.c"
#undef LLVMFuzzerTestOneInput

#define LLVMFuzzerTestOneInput fuzz_elf
#include "../fuzz/fuzz_elf.c"
#undef LLVMFuzzerTestOneInput
#define LLVMFuzzerTestOneInput fuzz_ldcache
#include "../fuzz/fuzz_ldcache.c"
#undef LLVMFuzzerTestOneInput
#define LLVMFuzzerTestOneInput fuzz_maps
#include "../fuzz/fuzz_maps.c"
#undef LLVMFuzzerTestOneInput
#define LLVMFuzzerTestOneInput fuzz_texts
#include "../fuzz/fuzz_texts.c"
#undef LLVMFuzzerTestOneInput
#define LLVMFuzzerTestOneInput fuzz_metadata
#include "../fuzz/fuzz_metadata.c"
#undef LLVMFuzzerTestOneInput

#define LLVMFuzzerTestOneInput fuzz_symbols
#include "../fuzz/fuzz_symbols.c"
#undef LLVMFuzzerTestOneInput

#define CORPUS "tests/fuzz/corpus/"

static size_t replay(const char *directory, int (*target)(const uint8_t *data, size_t size))
{
	struct dirent *entry;
	DIR *dir = opendir(directory);
	size_t files = 0;

	assert_non_null(dir);
	while ((entry = readdir(dir))) {
		char path[512];
		struct stat st;
		uint8_t *data;
		FILE *file;

		if (entry->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "%s/%s", directory, entry->d_name);
		print_message("%s\n", path);
		file = fopen(path, "rb");
		assert_non_null(file);
		assert_int_equal(fstat(fileno(file), &st), 0);
		data = malloc((size_t)st.st_size + !st.st_size);
		assert_non_null(data);
		assert_int_equal(fread(data, 1, (size_t)st.st_size, file), (size_t)st.st_size);
		fclose(file);
		assert_int_equal(target(data, (size_t)st.st_size), 0);
		free(data);
		files++;
	}
	closedir(dir);
	return files;
}

static void test_cbor(void **state)
{
	(void)state;
	assert_true(replay(CORPUS "cbor", fuzz_cbor) > 0);
}

static void test_frames(void **state)
{
	(void)state;
	assert_true(replay(CORPUS "frames", fuzz_frames) > 0);
}

static void test_elf(void **state)
{
	(void)state;
	assert_true(replay(CORPUS "elf", fuzz_elf) > 0);
}

static void test_ldcache(void **state)
{
	(void)state;
	assert_true(replay(CORPUS "ldcache", fuzz_ldcache) > 0);
}

static void test_maps(void **state)
{
	(void)state;
	assert_true(replay(CORPUS "maps", fuzz_maps) > 0);
}

static void test_texts(void **state)
{
	(void)state;
	assert_true(replay(CORPUS "texts", fuzz_texts) > 0);
}

static void test_metadata(void **state)
{
	(void)state;
	assert_true(replay(CORPUS "metadata", fuzz_metadata) > 0);
}

static void test_symbols(void **state)
{
	(void)state;
	assert_true(replay(CORPUS "symbols", fuzz_symbols) > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cbor),	 cmocka_unit_test(test_frames),
		cmocka_unit_test(test_elf),	 cmocka_unit_test(test_ldcache),
		cmocka_unit_test(test_maps),	 cmocka_unit_test(test_texts),
		cmocka_unit_test(test_metadata), cmocka_unit_test(test_symbols),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
