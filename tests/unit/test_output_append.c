/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "output_dir.h"

static void test_moved(void **state)
{
	(void)state;
	assert_int_equal(create(&out, "trace.zst"), 0);
	assert_int_equal(append(&out, 1, 1), 0);
	assert_int_equal(rename("trace.zst", "trace.zst.old"), 0);
	make_dead_run("trace.zst");
	assert_false(out.moved);
	assert_int_equal(append(&out, 2, 2), 0);
	assert_true(out.moved);
	assert_int_equal(append(&out, 3, 3), 0);
	assert_seqs("trace.zst.old", 3, (const unsigned int[]){1, 2, 3});
	assert_seqs("trace.zst", 1, (const unsigned int[]){1});
	/* And back. */
	assert_int_equal(rename("trace.zst.old", "trace.zst"), 0);
	assert_int_equal(append(&out, 4, 4), 0);
	assert_false(out.moved);
}

static void test_gone(void **state)
{
	(void)state;
	assert_int_equal(create(&out, "trace.zst"), 0);
	assert_int_equal(unlink("trace.zst"), 0);
	assert_int_equal(append(&out, 1, 1), -ENOENT);
	assert_int_equal(access("trace.zst", F_OK),
			 -1); /* not made anew: it may be another place by now */
	make_dead_run("trace.zst");
	assert_int_equal(append(&out, 1, 1), -ESTALE);
	assert_seqs("trace.zst", 1, (const unsigned int[]){1});
	unlink("trace.zst");
	write_file("trace.zst", "text");
	assert_int_equal(append(&out, 1, 1), -ESTALE);
	assert_file_is("trace.zst", "text");
}

/* A copy has the run's id; it is another file all the same. */
static void test_copy(void **state)
{
	(void)state;
	assert_int_equal(create(&out, "trace.zst"), 0);
	shell("cp trace.zst copy && mv copy trace.zst");
	assert_int_equal(append(&out, 1, 1), -ESTALE);
	assert_int_equal(imp_output_overwrite(&out, 0, "no", 2), -ESTALE);
	assert_int_equal(rename("trace.zst", "copy"), 0);
	assert_int_equal(mkfifo("trace.zst", 0600), 0);
	assert_int_equal(imp_output_overwrite(&out, 0, "no", 2), -ESTALE);
	assert_int_equal(unlink("trace.zst"), 0);
	assert_int_equal(symlink("copy", "trace.zst"), 0);
	assert_int_equal(imp_output_overwrite(&out, 0, "no", 2), -ELOOP);
}

/* O_NOATIME is refused to who may write the file and does not own it. */
static void test_foreign(void **state)
{
	const size_t len = make_frame(7, 7);
	uint64_t at;
	pid_t pid;
	int status;

	(void)state;
	if (geteuid() != 0) {
		print_message("only root can make a file somebody else's\n");
		skip();
	}
	assert_int_equal(create(&out, "trace.zst"), 0);
	assert_int_equal(append(&out, 1, 1), 0);
	shell("chmod 0755 . && chmod 0666 trace.zst");
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		if (setresuid(65534, 65534, 65534) < 0 || append(&out, 2, 2) != 0 || !out.foreign)
			_exit(1);
		make_frame(7, 7);
		if (imp_output_append_at(&out, frame, len, &at) != 0)
			_exit(2);
		make_frame(3, 7);
		_exit(imp_output_overwrite(&out, at, frame, len) == 0 ? 0 : 3);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_seqs("trace.zst", 3, (const unsigned int[]){1, 2, 3});
}

static void test_no_descriptor_left(void **state)
{
	int before, after;

	(void)state;
	before = dup(0);
	close(before);
	assert_int_equal(create(&out, "trace.zst"), 0);
	assert_int_equal(append(&out, 1, 1), 0);
	assert_int_equal(rename("trace.zst", "x"), 0);
	append(&out, 1, 1);
	write_file("trace.zst", "text");
	append(&out, 1, 1);
	create(&out, "trace.zst");
	after = dup(0);
	close(after);
	assert_int_equal(after, before);
}

static void test_no_free_descriptor(void **state)
{
	struct rlimit limit, none;

	(void)state;
	assert_int_equal(create(&out, "trace.zst"), 0);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	none = limit;
	none.rlim_cur = 0;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	assert_int_equal(append(&out, 1, 1), -EMFILE);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	assert_int_equal(append(&out, 2, 1), 0);
	assert_seqs("trace.zst", 1, (const unsigned int[]){2});
}

/* SIGXFSZ would end this program. */
static void test_size_limit(void **state)
{
	struct rlimit limit, small;
	int done = 0, ret;

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
	small = limit;
	small.rlim_cur = 10000;
	assert_int_equal(create(&out, "trace.zst"), 0);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	do
		ret = append(&out, 1, 1000);
	while (ret == 0 && ++done < 20);
	small.rlim_cur = 0;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	assert_int_equal(append(&out, 1, 1000), -EFBIG);
	assert_int_equal(create(&other, "another.zst"), -EFBIG);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
	assert_int_equal(ret, -EFBIG);
	assert_in_range(done, 5, 9);
	assert_int_equal(access("another.zst", F_OK), -1);
	assert_int_equal(append(&out, 2, 1), 0);
}

/* 64 KiB of file system, in a mount namespace of a child's own. */
static int on_small_disk(int (*run)(void))
{
	pid_t pid = fork();
	int status;

	assert_true(pid >= 0);
	if (!pid) {
		if (unshare(CLONE_NEWNS) < 0 ||
		    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
		    mkdir("disk", 0700) < 0 || mount("none", "disk", "tmpfs", 0, "size=64k") < 0 ||
		    chdir("disk") < 0)
			_exit(77);
		_exit(run());
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == 77) {
		print_message("needs the right to mount\n");
		skip();
	}
	return WEXITSTATUS(status);
}

static int fill_disk(void)
{
	struct trace_file *f;
	unsigned int seq = 0;
	struct stat st;

	if (create(&out, "trace.zst") != 0)
		return 1;
	while (append(&out, seq, 10007) == 0)
		if (++seq > 20)
			return 2;
	if (seq < 4 || append(&out, 99, 10007) != -ENOSPC)
		return 3;
	/* What was cut short is there, as something that is passed over. */
	f = trace_load("trace.zst");
	if (f->frames != seq + 1 || f->skippable != 1)
		return 4;
	trace_free(f);
	/* It does not grow by further tries. */
	if (stat("trace.zst", &st) != 0 || st.st_size > 65536)
		return 5;
	/* Where there is room again, it goes on. */
	if (mount("none", ".", "tmpfs", MS_REMOUNT, "size=256k") != 0 || chdir(home) < 0 ||
	    chdir("disk") < 0)
		return 6;
	if (append(&out, 100, 10007) != 0)
		return 7;
	f = trace_load("trace.zst");
	if (f->frames != seq + 2 || trace_uint(f->item[f->items - 1], IMP_KEY_SEQ) != 100)
		return 8;
	trace_free(f);
	return 0;
}

static int full_before(void)
{
	struct stat st;
	FILE *file = fopen("ballast", "w");

	setvbuf(file, NULL, _IONBF, 0);
	while (fputs("0123456789abcdef", file) >= 0)
		;
	fclose(file);
	if (create(&out, "trace.zst") != -ENOSPC)
		return 1;
	return stat("trace.zst", &st) == 0 ? 2 : 0; /* no empty file is left behind */
}

static void test_full_disk(void **state)
{
	(void)state;
	assert_int_equal(on_small_disk(fill_disk), 0);
}

static void test_full_disk_at_start(void **state)
{
	(void)state;
	assert_int_equal(on_small_disk(full_before), 0);
}

static int full_for_many(void)
{
	struct trace_file *f;
	pid_t pids[4];
	int status;

	if (create(&out, "trace.zst") != 0)
		return 1;
	for (int i = 0; i < 4; i++) {
		pids[i] = fork();
		if (!pids[i]) {
			for (unsigned int n = 0; n < 101; n++)
				append(&out, n, 100 + 977 * (n % 7));
			_exit(0);
		}
	}
	for (int i = 0; i < 4; i++)
		if (waitpid(pids[i], &status, 0) != pids[i] || status)
			return 2;
	f = trace_load("trace.zst"); /* all of it is frames */
	status = f->frames > 5 ? 0 : 3;
	trace_free(f);
	return status;
}

static void test_full_disk_for_many(void **state)
{
	(void)state;
	assert_int_equal(on_small_disk(full_for_many), 0);
}

static void test_many_processes(void **state)
{
	static unsigned char seen[13][31];
	struct trace_file *f;

	(void)state;
	assert_int_equal(create(&out, "trace.zst"), 0);
	for (unsigned int i = 0; i < 13; i++) {
		pid_t pid = fork();

		assert_true(pid >= 0);
		if (!pid) {
			for (unsigned int n = 0; n < 31; n++)
				if (append(&out, i * 31 + n, 10 + 137 * n) != 0)
					_exit(1);
			_exit(0);
		}
	}
	for (int i = 0; i < 13; i++) {
		int status;

		assert_true(wait(&status) > 0);
		assert_int_equal(status, 0);
	}
	f = trace_load("trace.zst");
	assert_int_equal(f->frames, 1 + 13 * 31);
	for (size_t i = 1; i < f->items; i++) {
		uint64_t seq = trace_uint(f->item[i], IMP_KEY_SEQ);

		assert_true(seq < 13 * 31);
		assert_int_equal(seen[seq / 31][seq % 31]++, 0);
	}
	trace_free(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_moved),
		TEST(test_gone),
		TEST(test_copy),
		TEST(test_foreign),
		TEST(test_no_descriptor_left),
		TEST(test_no_free_descriptor),
		TEST(test_size_limit),
		TEST(test_full_disk),
		TEST(test_full_disk_at_start),
		TEST(test_full_disk_for_many),
		TEST(test_many_processes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
