/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#include <cmocka.h>

#include "output_dir.h"

/* ---- creating ------------------------------------------------------------------------------------ */

static void test_header(void **state)
{
	struct trace_file *f;
	const cbor_item_t *h;
	struct timespec now;
	cbor_item_t *value;

	(void)state;
	assert_int_equal(create(&out, "trace.zst"), 0);
	assert_int_equal(out.root_pid, getpid());
	f = trace_load("trace.zst");
	assert_int_equal(f->frames, 1);
	assert_int_equal(f->items, 1);
	h = f->item[0];
	assert_int_equal(trace_kind(h), IMP_EV_HEADER);
	value = trace_get(h, IMP_KEY_MAGIC);
	assert_int_equal(cbor_bytestring_length(value), strlen(IMP_FORMAT_MAGIC));
	assert_memory_equal(cbor_bytestring_handle(value), IMP_FORMAT_MAGIC,
			    strlen(IMP_FORMAT_MAGIC));
	value = trace_get(h, IMP_KEY_VERSION);
	assert_int_equal(cbor_array_size(value), 2);
	assert_int_equal(cbor_get_int(cbor_array_handle(value)[0]), IMP_FORMAT_MAJOR);
	assert_int_equal(cbor_get_int(cbor_array_handle(value)[1]), IMP_FORMAT_MINOR);
	value = trace_get(h, IMP_KEY_RUN_ID);
	assert_int_equal(cbor_bytestring_length(value), IMP_RUN_ID_SIZE);
	assert_memory_equal(cbor_bytestring_handle(value), out.run_id, IMP_RUN_ID_SIZE);
	assert_int_equal(trace_uint(h, IMP_KEY_PID), getpid());
	clock_gettime(CLOCK_REALTIME, &now);
	assert_in_range(trace_uint(h, IMP_KEY_REALTIME_NS) / 1000000000u, now.tv_sec - 5,
			now.tv_sec);
	clock_gettime(CLOCK_MONOTONIC, &now);
	assert_true(trace_uint(h, IMP_KEY_TIME_NS) / 1000000000u <= (uint64_t)now.tv_sec);
	trace_free(f);
}

static void test_mode(void **state)
{
	static const mode_t umasks[] = {0, 022, 077, 0777};

	(void)state;
	for (size_t i = 0; i < sizeof(umasks) / sizeof(umasks[0]); i++) {
		mode_t before = umask(umasks[i]);
		struct stat st;

		unlink("trace.zst");
		assert_int_equal(create(&out, "trace.zst"), 0);
		umask(before);
		assert_int_equal(stat("trace.zst", &st), 0);
		assert_int_equal(st.st_mode, S_IFREG | 0600);
	}
}

static void test_rotation(void **state)
{
	struct stat first, second, moved;

	(void)state;
	make_dead_run("trace.zst");
	assert_int_equal(stat("trace.zst", &first), 0);
	assert_int_equal(create(&out, "trace.zst"), 0);
	assert_int_equal(stat("trace.zst", &second), 0);
	assert_int_equal(stat("trace.zst.old", &moved), 0);
	assert_int_equal(moved.st_ino, first.st_ino);
	assert_int_not_equal(second.st_ino, first.st_ino);
	/* A third run: the second becomes the old one, the first is gone. */
	unlink("trace.zst");
	make_dead_run("trace.zst");
	assert_int_equal(stat("trace.zst", &second), 0);
	assert_int_equal(create(&out, "trace.zst"), 0);
	assert_int_equal(stat("trace.zst.old", &moved), 0);
	assert_int_equal(moved.st_ino, second.st_ino);
}

static void test_empty_file_is_moved(void **state)
{
	(void)state;
	write_file("trace.zst", "");
	assert_int_equal(create(&out, "trace.zst"), 0);
	assert_int_equal(append(&out, 7, 3), 0);
	assert_file_is("trace.zst.old", "");
}

static void test_foreign_file(void **state)
{
	static const char *const texts[] = {
		"x", "a diary, not a trace, and of some length\n",
		"\x28\xb5\x2f\xfd rather like one, though not imptrace's"};

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		write_file("trace.zst", texts[i]);
		assert_int_equal(create(&out, "trace.zst"), -EEXIST);
		assert_non_null(why);
		assert_file_is("trace.zst", texts[i]);
		assert_int_equal(access("trace.zst.old", F_OK), -1);
	}
}

static void test_foreign_old_file(void **state)
{
	(void)state;
	make_dead_run("trace.zst");
	write_file("trace.zst.old", "somebody else's");
	assert_int_equal(create(&out, "trace.zst"), -EEXIST);
	assert_non_null(why);
	assert_file_is("trace.zst.old", "somebody else's");
	assert_seqs("trace.zst", 1, (const unsigned int[]){1});
}

static void test_not_a_file(void **state)
{
	(void)state;
	assert_int_equal(mkdir("directory", 0700), 0);
	assert_int_equal(create(&out, "directory"), -EEXIST);
	assert_int_equal(mkfifo("fifo", 0600), 0);
	alarm(5); /* to open it for writing would wait */
	assert_int_equal(create(&out, "fifo"), -EEXIST);
	alarm(0);
	assert_string_equal(why, "it is not a regular file");
	assert_int_equal(create(&out, "/dev/null"), -EEXIST);
	assert_int_equal(create(&out, "absent/trace.zst"), -ENOENT);
	assert_int_equal(create(&out, "fifo/trace.zst"), -ENOTDIR);
}

static void test_symbolic_link(void **state)
{
	(void)state;
	write_file("target", "");
	assert_int_equal(symlink("target", "trace.zst"), 0);
	assert_int_equal(create(&out, "trace.zst"), -ELOOP);
	assert_string_equal(why, "it is a symbolic link");
	assert_file_is("target", "");
	assert_int_equal(unlink("trace.zst"), 0);
	assert_int_equal(symlink("nowhere", "trace.zst"), 0);
	assert_int_equal(create(&out, "trace.zst"), -ELOOP);
	assert_int_equal(access("nowhere", F_OK), -1);
	/* Neither is it followed once it takes the trace's place. */
	unlink("trace.zst");
	assert_int_equal(create(&out, "trace.zst"), 0);
	assert_int_equal(rename("trace.zst", "elsewhere"), 0);
	assert_int_equal(symlink("elsewhere", "trace.zst"), 0);
	assert_int_equal(append(&out, 1, 10), -ELOOP);
	assert_seqs("elsewhere", 0, NULL);
}

static void test_other_owner(void **state)
{
	(void)state;
	if (geteuid() != 0) {
		print_message("needs root, to own a file as another user\n");
		skip();
	}
	make_dead_run("trace.zst");
	assert_int_equal(chown("trace.zst", 12345, 12345), 0);
	assert_int_equal(create(&out, "trace.zst"), -EEXIST);
	assert_string_equal(why, "it belongs to another user");
	assert_int_equal(access("trace.zst.old", F_OK), -1);
}

/* ---- paths --------------------------------------------------------------------------------------- */

static void test_paths(void **state)
{
	char expected[256], marker[IMP_RUN_MARKER_MAX];

	(void)state;
	assert_int_equal(mkdir("50%p off", 0700), 0);
	assert_int_equal(chdir("50%p off"), 0);
	assert_int_equal(create(&out, "a%pb%%c"), 0);
	assert_true(out.per_process);
	snprintf(expected, sizeof(expected), "%s/50%%p off/a%db%%%%c", home, getpid());
	assert_string_equal(imp_output_name(&out), expected);
	assert_int_equal(access(expected, F_OK), 0);
	/* And so after it has gone through the environment. */
	assert_true(imp_output_marker(&out, marker, sizeof(marker)) > 0);
	assert_int_equal(imp_output_join(&other, marker), 0);
	assert_string_equal(imp_output_name(&other), expected);
	assert_int_equal(append(&other, 3, 5), 0);
	assert_seqs(expected, 1, (const unsigned int[]){3});
}

static void test_root_directory(void **state)
{
	(void)state;
	assert_int_equal(chdir("/"), 0);
	assert_int_equal(imp_output_set_path(&out, "x"), 0);
	assert_string_equal(imp_output_name(&out), "/x");
}

static void test_long_path(void **state)
{
	static char path[IMP_OUTPUT_PATH_MAX + 10];

	(void)state;
	for (size_t len = IMP_OUTPUT_PATH_MAX - 40; len < IMP_OUTPUT_PATH_MAX + 5; len++) {
		memset(path, 'x', len);
		path[0] = '/';
		path[len] = '\0';
		if (imp_output_set_path(&out, path) == 0)
			assert_int_equal(imp_output_create(&out, &why), -ENAMETOOLONG);
		else
			assert_true(len + 2 >= IMP_OUTPUT_PATH_MAX);
	}
}

static void test_directory_gone(void **state)
{
	(void)state;
	assert_int_equal(mkdir("gone", 0700), 0);
	assert_int_equal(chdir("gone"), 0);
	assert_int_equal(rmdir("../gone"), 0);
	assert_int_equal(imp_output_set_path(&out, "trace.zst"), -ENOENT);
	assert_int_equal(chdir(".."), 0);
}

/* ---- runs ---------------------------------------------------------------------------------------- */

static void test_bad_markers(void **state)
{
	static const char *const markers[] = {
		"",
		"off",
		"0123456789abcdef0123456789abcde:1:/x",
		"0123456789abcdef0123456789abcdeg:1:/x",
		"0123456789abcdef0123456789abcdef",
		"0123456789abcdef0123456789abcdef:",
		"0123456789abcdef0123456789abcdef::/x",
		"0123456789abcdef0123456789abcdef:0:/x",
		"0123456789abcdef0123456789abcdef:-1:/x",
		"0123456789abcdef0123456789abcdef:99999999999:/x",
		"0123456789abcdef0123456789abcdef:1:relative",
		"0123456789abcdef0123456789abcdef:1",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(markers) / sizeof(markers[0]); i++)
		assert_int_equal(imp_output_join(&out, markers[i]), -EINVAL);
	assert_int_equal(imp_output_join(&out, "0123456789abcdef0123456789abcdef:123:/x"), 0);
	assert_int_equal(out.root_pid, 123);
	assert_int_equal(out.run_id[0], 0x01);
	assert_int_equal(out.run_id[15], 0xef);
}

static void test_marker(void **state)
{
	char marker[IMP_RUN_MARKER_MAX], small[60];
	size_t len;

	(void)state;
	assert_int_equal(create(&out, "trace.zst"), 0);
	len = imp_output_marker(&out, marker, sizeof(marker));
	assert_int_equal(len, strlen(marker));
	assert_int_equal(imp_output_marker(&out, small, sizeof(small)), 0);
	assert_int_equal(imp_output_join(&other, marker), 0);
	assert_memory_equal(other.run_id, out.run_id, IMP_RUN_ID_SIZE);
	assert_int_equal(other.root_pid, getpid());
	assert_int_equal(append(&out, 1, 11), 0);
	assert_int_equal(append(&other, 2, 5003), 0);
	assert_int_equal(append(&out, 3, 0), 0);
	assert_seqs("trace.zst", 3, (const unsigned int[]){1, 2, 3});
}

/* env -i LD_PRELOAD=... in a traced program: the variable is lost, the run goes on. */
static void test_lost_marker(void **state)
{
	pid_t pid;
	int status;

	(void)state;
	assert_int_equal(create(&out, "trace.zst"), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		if (create(&other, "trace.zst") != 1 || other.root_pid != getppid() ||
		    memcmp(other.run_id, out.run_id, IMP_RUN_ID_SIZE) != 0)
			_exit(1);
		_exit(append(&other, 5, 7) == 0 ? 0 : 2);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_int_equal(access("trace.zst.old", F_OK), -1);
	assert_seqs("trace.zst", 1, (const unsigned int[]){5});
	/* The first process itself, after exec: the same. */
	assert_int_equal(create(&other, "trace.zst"), 1);
}

/* The number of the run's first process may be somebody else's by now. */
static void test_reused_pid(void **state)
{
	struct header_patch {
		size_t at;
	} patch = {0};
	uint8_t *bytes;
	size_t len;
	FILE *file;

	(void)state;
	assert_int_equal(create(&out, "trace.zst"), 0);
	bytes = trace_slurp("trace.zst", &len);
	/* TIME_NS, the last value but the checksum: long before this process. */
	patch.at = len - 4 - 8;
	assert_int_equal(bytes[patch.at - 1], 0x1b);
	memset(bytes + patch.at, 0, 8);
	bytes[patch.at + 7] = 1;
	file = fopen("trace.zst", "w");
	assert_non_null(file);
	assert_int_equal(fwrite(bytes, 1, len, file), len);
	fclose(file);
	free(bytes);
	if (getppid() == 1) {
		print_message("this process may be as old as the machine\n");
		skip();
	}
	assert_int_equal(create(&other, "trace.zst"), 0);
	assert_int_equal(access("trace.zst.old", F_OK), 0);
}

static void test_file_per_process(void **state)
{
	char name[64];
	pid_t pid;
	int status;

	(void)state;
	assert_int_equal(create(&out, "t.%p"), 0);
	assert_int_equal(append(&out, 1, 1), 0);
	/* A child of an earlier run had the number that our child will have: not told beforehand; any file. */
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		imp_output_after_fork(&out);
		if (append(&out, 2, 2) != 0 || append(&out, 3, 3) != 0)
			_exit(1);
		/* After an exec, by the variable: the file is there, and ours. */
		char marker[IMP_RUN_MARKER_MAX];

		imp_output_marker(&out, marker, sizeof(marker));
		_exit(imp_output_join(&other, marker) == 0 && append(&other, 4, 4) == 0 ? 0 : 2);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	snprintf(name, sizeof(name), "t.%d", pid);
	assert_seqs(name, 3, (const unsigned int[]){2, 3, 4});
	snprintf(name, sizeof(name), "t.%d", getpid());
	assert_seqs(name, 1, (const unsigned int[]){1});
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_header),	   TEST(test_mode),
		TEST(test_rotation),	   TEST(test_empty_file_is_moved),
		TEST(test_foreign_file),   TEST(test_foreign_old_file),
		TEST(test_not_a_file),	   TEST(test_symbolic_link),
		TEST(test_other_owner),	   TEST(test_paths),
		TEST(test_root_directory), TEST(test_long_path),
		TEST(test_directory_gone), TEST(test_bad_markers),
		TEST(test_marker),	   TEST(test_lost_marker),
		TEST(test_reused_pid),	   TEST(test_file_per_process),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
