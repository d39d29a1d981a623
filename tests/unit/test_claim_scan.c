/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "preload/claim_scan.h"

static char dir[64];

static int setup(void **state)
{
	(void)state;
	strcpy(dir, "/tmp/test_claim_scan-XXXXXX");
	return mkdtemp(dir) ? 0 : -1;
}

static int teardown(void **state)
{
	char command[128];

	(void)state;
	snprintf(command, sizeof(command), "rm -rf -- '%s'", dir);
	return system(command);
}

/* A metadata directory with one file; returns its path, static. */
static const char *write_file(const char *dist, const char *name, const char *text)
{
	static char path[256];
	char file[512];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, dist);
	assert_true(mkdir(path, 0777) == 0 || errno == EEXIST);
	snprintf(file, sizeof(file), "%s/%s", path, name);
	f = fopen(file, "w");
	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
	return path;
}

struct space {
	char buf[4096];
	char file[128]; /* small, so that lines cross its end */
};

static void begin(struct imp_claim_scan *scan, struct space *space, const char *module)
{
	imp_claim_scan_init(scan, space->buf, sizeof(space->buf), space->file, sizeof(space->file),
			    1 << 20);
	imp_claim_scan_add_module(scan, module, strlen(module));
}

static const char *text(const struct imp_claim_scan *scan, struct imp_claim_text t)
{
	static char copies[4][512];
	static unsigned int next;
	char *copy = copies[next++ % 4];

	memcpy(copy, imp_claim_text(scan, t), t.len);
	copy[t.len] = '\0';
	return copy;
}

static bool related(const char *dist, const char *module)
{
	return imp_claim_scan_is_related(dist, strlen(dist), module, strlen(module));
}

static void test_related(void **state)
{
	(void)state;
	assert_true(related("cffi-1.15.1.dist-info", "_cffi_backend"));
	assert_true(related("PyYAML-6.0.dist-info", "yaml"));
	assert_true(related("python_dateutil-2.8.egg-info", "dateutil.parser"));
	assert_true(related("Some_Thing-1.dist-info", "some.thing"));
	assert_true(related("attrs-22.dist-info", "attr"));
	assert_true(related("re-1.dist-info", "re"));
	assert_false(related("opencv_python-4.dist-info", "cv2"));
	assert_false(related("requests-2.dist-info", "re"));
	assert_true(related("Pillow-9.dist-info", "PIL.Image"));
}

static void test_record(void **state)
{
	struct imp_claim_scan scan;
	struct space space;
	const char *dist;

	(void)state;
	write_file("a-1.dist-info", "WHEEL", "Wheel-Version: 1.0\nTag: cp311-abi3-linux\nTag: x\n");
	dist = write_file(
		"a-1.dist-info", "RECORD",
		"a/data/something/that/makes/this/line/longer/than/the/buffer/for/files/is/so/that/"
		"it/is/left/out/as/a/whole/and/what/follows/is/still/read/as/the/next/line.txt,x,1\r\n"
		"a/other.py,sha256=1,1\r\n"
		"a/_native.cpython-311-x86_64-linux-gnu.so,sha256=2,2\r\n"
		"a/_native_too.so,sha256=3,3\n"
		"a/_native/__init__.py,,\n"
		"a/_native.pyi,sha256=4,4");
	begin(&scan, &space, "a._native");
	assert_int_equal(imp_claim_scan_run(&scan, dist, strlen(dist)), 2);
	assert_int_equal(scan.hits_count, 3);
	assert_string_equal(text(&scan, scan.hits[0].line),
			    "a/_native.cpython-311-x86_64-linux-gnu.so,sha256=2,2");
	assert_string_equal(text(&scan, scan.hits[1].line), "a/_native/__init__.py,,");
	assert_string_equal(text(&scan, scan.hits[2].line), "a/_native.pyi,sha256=4,4");
	assert_string_equal(text(&scan, scan.hits[0].dist), dist);
	assert_string_equal(text(&scan, scan.hits[2].tag), "Tag: cp311-abi3-linux");
}

static void test_one_line_for_what_lies_below(void **state)
{
	struct imp_claim_scan scan;
	struct space space;
	const char *dist =
		write_file("b-1.dist-info", "RECORD", "b/x/1.txt,,\nb/x/2.txt,,\nb/x/3.txt,,\n");

	(void)state;
	begin(&scan, &space, "b");
	imp_claim_scan_run(&scan, dist, strlen(dist));
	assert_int_equal(scan.hits_count, 1);
	assert_string_equal(text(&scan, scan.hits[0].line), "b/x/1.txt,,");
	assert_int_equal(scan.hits[0].tag.len, 0);
}

static void test_egg_info(void **state)
{
	struct imp_claim_scan scan;
	struct space space;
	const char *dist = write_file("c-1.egg-info", "installed-files.txt",
				      "../c/__init__.py\n../c/_x.so\ntop_level.txt\n");

	(void)state;
	begin(&scan, &space, "c._x");
	imp_claim_scan_run(&scan, dist, strlen(dist));
	assert_int_equal(scan.hits_count, 1);
	assert_string_equal(text(&scan, scan.hits[0].line), "c/_x.so");

	dist = write_file("d-1.egg-info", "top_level.txt", "_cffi_backend\nd\n");
	begin(&scan, &space, "d.e.f");
	imp_claim_scan_add_module(&scan, "_cffi_backend", 13);
	imp_claim_scan_add_module(&scan, "d_but_longer", 12);
	imp_claim_scan_run(&scan, dist, strlen(dist));
	assert_int_equal(scan.hits_count, 2);
	assert_int_equal(scan.hits[0].module, 1);
	assert_int_equal(scan.hits[1].module, 0);
}

static void test_nothing_there(void **state)
{
	struct imp_claim_scan scan;
	struct space space;

	(void)state;
	begin(&scan, &space, "x");
	assert_int_equal(imp_claim_scan_run(&scan, "/no/such.dist-info", 18), 0);
	assert_int_equal(scan.hits_count, 0);
	assert_int_equal(scan.used, 1); /* the module's name alone is kept */
}

static void test_consider(void **state)
{
	struct imp_claim_scan scan;
	struct space space;

	(void)state;
	begin(&scan, &space, "yaml");
	imp_claim_scan_consider(&scan, "/s/", 3, "yaml", 4);
	imp_claim_scan_consider(&scan, "/s/", 3, "numpy-1.dist-info", 17);
	imp_claim_scan_consider(&scan, "/s/", 3, "PyYAML-6.dist-info", 18);
	imp_claim_scan_consider(&scan, "/s/", 3, "PyYAML-6.dist-info", 18);
	assert_int_equal(scan.dists_count, 1);
	assert_string_equal(text(&scan, scan.dists[0]), "/s/PyYAML-6.dist-info");
	for (char c = 'a'; c < 'n'; c++) {
		char name[] = "yaml?-1.dist-info";

		name[4] = c;
		imp_claim_scan_consider(&scan, "/s/", 3, name, 17);
	}
	assert_int_equal(scan.dists_count, IMP_CLAIM_DISTS_MAX);
}

static void test_bounds(void **state)
{
	struct imp_claim_scan scan;
	char tiny[24], file[64], name[8];
	const char *dist = write_file("e-1.dist-info", "RECORD", "e/__init__.py,,\n");

	(void)state;
	imp_claim_scan_init(&scan, tiny, sizeof(tiny), file, sizeof(file), 1 << 20);
	imp_claim_scan_add_module(&scan, "e", 1);
	imp_claim_scan_add_module(&scan, "e", 1);
	assert_int_equal(scan.modules_count, 1);
	imp_claim_scan_add_module(&scan, "a.name.that.does.not.fit.any.more", 33);
	assert_int_equal(scan.modules_count, 1);
	/* No room for the directory's own path: nothing is found, nothing is overrun. */
	assert_int_equal(imp_claim_scan_run(&scan, dist, strlen(dist)), 0);
	assert_int_equal(scan.hits_count, 0);
	for (int i = 0; i < 29; i++) {
		snprintf(name, sizeof(name), "%d", i);
		imp_claim_scan_add_module(&scan, name, strlen(name));
	}
	assert_true(scan.modules_count <= IMP_CLAIM_MODULES_MAX);
	assert_true(scan.used <= sizeof(tiny));
}

static void test_budget(void **state)
{
	struct imp_claim_scan scan;
	struct space space;
	const char *dist =
		write_file("f-1.dist-info", "RECORD", "g/0123456789.py,,\nf/__init__.py,,\n");

	(void)state;
	begin(&scan, &space, "f");
	scan.budget = 0;
	imp_claim_scan_run(&scan, dist, strlen(dist));
	assert_int_equal(scan.hits_count, 0);
	scan.budget = 100;
	imp_claim_scan_run(&scan, dist, strlen(dist));
	assert_int_equal(scan.hits_count, 1);
	assert_int_equal(scan.budget, 100 - strlen("g/0123456789.py,,\nf/__init__.py,,\n"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_related),
		cmocka_unit_test(test_record),
		cmocka_unit_test(test_one_line_for_what_lies_below),
		cmocka_unit_test(test_egg_info),
		cmocka_unit_test(test_nothing_there),
		cmocka_unit_test(test_consider),
		cmocka_unit_test(test_bounds),
		cmocka_unit_test(test_budget),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
