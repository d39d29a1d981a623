// SPDX-License-Identifier: GPL-2.0-or-later
#include "host/kernel_log.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#define SECOND 1000000000ULL

static struct imp_arena arena;

static int teardown(void **state)
{
	(void)state;
	imp_arena_clear(&arena);
	return 0;
}

static int parse(const char *log, pid_t tid, const char *comm, uint64_t after_ns,
		 struct imp_kernel_death *out)
{
	memset(out, 0, sizeof(*out));
	return imp_kernel_death_parse(&arena, log, tid, comm, after_ns, out);
}

static const struct {
	const char *line, *comm;
	int signal; /* 0: it says nothing of thread 17 */
} lines[] = {
	{"<6>[   41.530503] python3[17]: segfault at 0 ip 00007f1363726009 sp 00007ffdb3c3fe20 error 6 in x.so[2009,7f13+26000]",
	 "python3", SIGSEGV},
	{"<4>[   41.530503] traps: python3[17] trap invalid opcode ip:7f13 sp:7ffd error:0 in x.so[7f13+1000]",
	 "python3", SIGILL},
	{"[   41.530503] traps: python3[17] general protection fault ip:7f13 sp:7ffd error:0",
	 "python3", SIGSEGV},
	{"[   41.530503] traps: python3[17] trap divide error ip:7f13 sp:7ffd error:0", "python3",
	 SIGFPE},
	{"[   41.530503] traps: python3[17] trap int3 ip:7f13 sp:7ffd error:0", "python3", SIGTRAP},
	{"<4>[   41.530503][   T17] traps: python3[17] trap invalid opcode ip:7f13 sp:7ffd error:0",
	 "python3", SIGILL},
	{"[   41.530503] a-name-of-more-t[17]: segfault at 0 ip 00", "a-name-of-more-t", 0},
	{"[   41.530503] a-name-of-more-[17]: segfault at 0 ip 00", "a-name-of-more-than-15",
	 SIGSEGV},
	{"[   41.530503] pool [a][17]: segfault at 0 ip 00", NULL, SIGSEGV},
	{"[   41.530503] pool [a][17]: segfault at 0 ip 00", "pool [a]", SIGSEGV},
	{"[   41.530503] python3.11[17]: segfault at 0 ip 00", "python3", 0},
	{"[   41.530503] ython3[17]: segfault at 0 ip 00", "python3", 0},
	{"[   41.530503] python3[170]: segfault at 0 ip 00", "python3", 0},
	{"[   41.530503] python3[117]: segfault at 0 ip 00", NULL, 0},
	{"[   41.530503] python3[17]: loads of segfault at 0", "python3", 0},
	{"[   41.530503] python3[17]", "python3", 0},
	{"[   41.530503] python3[17]:", NULL, 0},
	{"[   41.530503] traps: ", "python3", 0},
	{"python3[17]: segfault at 0 ip 00", "python3", 0}, /* printk.time=0 */
	{"[   41] python3[17]: segfault at 0 ip 00", "python3", 0},
	{"[   41.] python3[17]: segfault at 0 ip 00", "python3", 0},
	{"[-1.-1] python3[17]: segfault at 0 ip 00", "python3", 0},
	{"[99999999999999999999999.5] python3[17]: segfault at 0 ip 00", "python3", 0},
	{"[18446744073709.0] python3[17]: segfault at 0 ip 00", "python3", 0},
	{"[   41.99999999999999999999999] python3[17]: segfault at 0 ip 00", "python3", 0},
	{"<4", NULL, 0},
	{"<4>[", NULL, 0},
	{"<4>[ 41.5", NULL, 0},
	{"<4>[ 41.5] ", NULL, 0},
	{"<4>[ 41.5] [", NULL, 0},
	{"", NULL, 0},
};

static void test_lines(void **state)
{
	struct imp_kernel_death death;

	(void)state;
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		int ret = parse(lines[i].line, 17, lines[i].comm, 41 * SECOND, &death);

		if (ret != (lines[i].signal ? 0 : -ENOENT) || death.signal != lines[i].signal)
			fail_msg("%s: %d, signal %d", lines[i].line, ret, death.signal);
		if (!ret && !strstr(lines[i].line, death.line))
			fail_msg("%s: told as %s", lines[i].line, death.line);
	}
}

/* Another process may have had the number before; a line is not read beyond its end. */
static void test_which_line(void **state)
{
	static const char log[] = "<6>[   11.000000] python3[17]: segfault at 11 ip 00\n"
				  "<6>[   23.000000] [17] audit\n"
				  "<6>[   29.000000] python3\n"
				  "[17]: segfault at 29 ip 00\n"
				  "<6>[   31.000000] python3[19]: segfault at 31 ip 00\n"
				  "<6>[   37.000000] python3[17]: segfault at 37 ip 00\n"
				  "<6>[   41.000000] python3[17]: segfault at 41 ip 00";
	struct imp_kernel_death death;

	(void)state;
	assert_int_equal(parse(log, 17, "python3", 0, &death), 0);
	assert_string_equal(death.line, "python3[17]: segfault at 11 ip 00");
	assert_int_equal(parse(log, 17, "python3", 23 * SECOND, &death), 0);
	assert_string_equal(death.line, "python3[17]: segfault at 37 ip 00");
	assert_int_equal(parse(log, 17, "python3", 43 * SECOND, &death), 0);
	assert_string_equal(death.line, "python3[17]: segfault at 41 ip 00");
	assert_int_equal(parse(log, 17, "python3", 61 * SECOND, &death), -ENOENT);
	assert_int_equal(parse(log, 13, "python3", 0, &death), -ENOENT);
}

/* Cut off at every byte: the copy has nothing behind it, so a sanitizer sees each read too far. */
static void test_cut_off(void **state)
{
	static const char log[] =
		"<6>[   11.000000][  T17] traps: python3[17] trap invalid opcode ip:0\n"
		"<6>[   13.000000] python3[17]: segfault at 11 ip 00\n";
	size_t signals[2] = {0};

	(void)state;
	for (size_t n = 0; n < sizeof(log); n++) {
		char *copy = test_malloc(n + 1);
		struct imp_kernel_death death;

		memcpy(copy, log, n);
		copy[n] = '\0';
		if (!parse(copy, 17, "python3", 0, &death))
			signals[death.signal == SIGILL]++;
		test_free(copy);
	}
	assert_int_equal(signals[0], 0);
	assert_in_range(signals[1], 20, sizeof(log) - 20);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lines),
		cmocka_unit_test(test_which_line),
		cmocka_unit_test(test_cut_off),
	};

	return cmocka_run_group_tests(tests, NULL, teardown);
}
