/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "preload/directory_listing.h"

#define FILES 211

static char dir[64];

static int setup(void **state)
{
	char path[128];

	(void)state;
	strcpy(dir, "/tmp/test_directory-XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	for (int i = 0; i < FILES; i++) {
		snprintf(path, sizeof(path), "%s/file-%03d", dir, i);
		close(open(path, O_CREAT | O_WRONLY, 0600));
	}
	return 0;
}

static int teardown(void **state)
{
	char command[128];

	(void)state;
	snprintf(command, sizeof(command), "rm -rf -- '%s'", dir);
	return system(command);
}

static size_t list(size_t max, bool seen[FILES])
{
	_Alignas(8) char buf[1024]; /* several reads */
	struct imp_directory d;
	const char *name;
	size_t len, count = 0;

	assert_int_equal(imp_directory_open(&d, dir, buf, sizeof(buf), max), 0);
	while ((name = imp_directory_next(&d, &len))) {
		int number = atoi(name + 5);

		assert_int_equal(len, strlen(name));
		assert_int_equal(strncmp(name, "file-", 5), 0);
		assert_in_range(number, 0, FILES - 1);
		assert_false(seen[number]);
		seen[number] = true;
		count++;
	}
	imp_directory_close(&d);
	imp_directory_close(&d);
	return count;
}

static void test_all(void **state)
{
	bool seen[FILES] = {false};

	(void)state;
	assert_int_equal(list(10000, seen), FILES);
	for (int i = 0; i < FILES; i++)
		assert_true(seen[i]);
}

static void test_bounded(void **state)
{
	bool seen[FILES] = {false};

	(void)state;
	assert_int_equal(list(17, seen), 17);
}

static void test_not_there(void **state)
{
	_Alignas(8) char buf[1024];
	struct imp_directory d;

	(void)state;
	assert_int_equal(imp_directory_open(&d, "/no/such/directory", buf, sizeof(buf), 1), -ENOENT);
	assert_int_equal(imp_directory_open(&d, "/etc/passwd", buf, sizeof(buf), 1), -ENOTDIR);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all),
		cmocka_unit_test(test_bounded),
		cmocka_unit_test(test_not_there),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
