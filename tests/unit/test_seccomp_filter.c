/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "seccomp_filter.h"

#define LOAD_NR BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr))
#define LOAD_ARG(n) \
	BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args) + 8 * (n))
#define RETURN(k)    BPF_STMT(BPF_RET | BPF_K, (k))
#define IF(nr)	     BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (nr), 0, 1)
#define COUNT(a)     (sizeof(a) / sizeof(*(a)))
#define RUN(f, call) imp_seccomp_run((f), COUNT(f), (call))

static void test_answers(void **state)
{
	const struct sock_filter by_number[] = {LOAD_NR, IF(SYS_write), RETURN(SECCOMP_RET_TRAP),
						RETURN(SECCOMP_RET_ALLOW)};
	const struct sock_filter memory[] = {
		LOAD_ARG(1),
		BPF_STMT(BPF_ST, 3),
		BPF_STMT(BPF_LDX | BPF_MEM, 3),
		BPF_STMT(BPF_LD | BPF_IMM, 40),
		BPF_STMT(BPF_ALU | BPF_ADD | BPF_X, 0),
		BPF_STMT(BPF_MISC | BPF_TAX, 0),
		BPF_STMT(BPF_LD | BPF_W | BPF_LEN, 0),
		BPF_STMT(BPF_MISC | BPF_TXA, 0),
		BPF_STMT(BPF_RET | BPF_A, 0),
	};
	const struct sock_filter no_end[] = {LOAD_NR};
	const struct sock_filter far[] = {BPF_STMT(BPF_JMP | BPF_JA, 0xffffffff)};
	const struct sock_filter unknown[] = {BPF_STMT(0xfff8, 0),
					      BPF_STMT(BPF_LD | BPF_B | BPF_IND, 0)};
	const struct sock_filter outside[] = {BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
						       sizeof(struct seccomp_data)),
					      RETURN(SECCOMP_RET_ALLOW)};
	const struct sock_filter by_zero[] = {BPF_STMT(BPF_ALU | BPF_DIV | BPF_X, 0),
					      RETURN(SECCOMP_RET_ALLOW)};
	struct seccomp_data call = {.nr = SYS_write, .args = {1, 2, 3}};

	(void)state;
	assert_int_equal(RUN(by_number, &call), SECCOMP_RET_TRAP);
	call.nr = SYS_read;
	assert_int_equal(RUN(by_number, &call), SECCOMP_RET_ALLOW);
	assert_int_equal(RUN(memory, &call), 42);
	assert_int_equal(RUN(no_end, &call), SECCOMP_RET_KILL_PROCESS);
	assert_int_equal(RUN(far, &call), SECCOMP_RET_KILL_PROCESS);
	assert_int_equal(RUN(unknown, &call), SECCOMP_RET_KILL_PROCESS);
	assert_int_equal(RUN(outside, &call), SECCOMP_RET_KILL_PROCESS);
	assert_int_equal(RUN(by_zero, &call), 0);
	assert_int_equal(imp_seccomp_run(NULL, 0, &call), SECCOMP_RET_KILL_PROCESS);
}

static void test_lets_record(void **state)
{
	static const struct {
		uint32_t number, answer;
		bool lets;
	} cases[] = {
		{SYS_getpid, SECCOMP_RET_KILL_PROCESS, false},
		{SYS_openat, SECCOMP_RET_KILL_THREAD, false},
		{SYS_openat, SECCOMP_RET_TRAP | 7, false},
		{SYS_openat, SECCOMP_RET_ERRNO | EACCES, false},
		{SYS_write, SECCOMP_RET_USER_NOTIF, false},
		{SYS_statfs, SECCOMP_RET_TRACE, false},
		{SYS_writev, SECCOMP_RET_KILL_PROCESS, false},
		{SYS_writev, SECCOMP_RET_ERRNO | EPERM, true},
		{SYS_statfs, SECCOMP_RET_ERRNO | EPERM, true},
		{SYS_openat, SECCOMP_RET_LOG, true},
		{SYS_personality, SECCOMP_RET_KILL_PROCESS, true},
		{SYS_execve, SECCOMP_RET_KILL_PROCESS, true},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		const struct sock_filter filter[] = {LOAD_NR, IF(cases[i].number),
						     RETURN(cases[i].answer),
						     RETURN(SECCOMP_RET_ALLOW)};

		if (imp_seccomp_lets_record(filter, COUNT(filter)) != cases[i].lets)
			fail_msg("case %zu", i);
	}
}

/* ---- against the kernel -------------------------------------------------------------------------- */

static uint32_t seed = 17;

static uint32_t random_number(uint32_t below)
{
	seed = seed * 1664525 + 1013904223;
	return (seed >> 8) % below;
}

static uint32_t random_value(void)
{
	static const uint32_t some[] = {0, 1, 2, 31, 0x7fffffff, 0x80000000, 0xffffffff, 1009};

	return random_number(2) ? some[random_number(COUNT(some))] : seed;
}

/* Some arithmetic and jumps over the arguments, whose result becomes an errno. */
static size_t make_filter(struct sock_filter *f)
{
	static const uint16_t ops[] = {BPF_ADD, BPF_SUB, BPF_MUL, BPF_DIV, BPF_AND,
				       BPF_OR,	BPF_XOR, BPF_LSH, BPF_RSH, BPF_NEG};
	static const uint16_t jumps[] = {BPF_JEQ, BPF_JGT, BPF_JGE, BPF_JSET};
	size_t n = 0, end;

	f[n++] = (struct sock_filter)LOAD_NR;
	f[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_personality, 1, 0);
	f[n++] = (struct sock_filter)RETURN(SECCOMP_RET_ALLOW);
	/* The kernel refuses to load a cell that may not have been stored. */
	for (uint32_t i = 0; i < 4; i++)
		f[n++] = (struct sock_filter)BPF_STMT(i % 2 ? BPF_STX : BPF_ST, i);
	end = n + 1 + random_number(23);
	while (n < end) {
		uint16_t source = random_number(2) ? BPF_X : BPF_K, op;
		uint32_t k = random_value();

		switch (random_number(6)) {
		case 0: f[n++] = (struct sock_filter)LOAD_ARG(random_number(6)); break;
		case 1:
			f[n++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_MEM, random_number(4));
			break;
		case 2: f[n++] = (struct sock_filter)BPF_STMT(BPF_STX, random_number(4)); break;
		case 3: f[n++] = (struct sock_filter)BPF_STMT(BPF_MISC | BPF_TAX, 0); break;
		case 4:
			op = jumps[random_number(COUNT(jumps))];
			f[n] = (struct sock_filter)BPF_JUMP(
				BPF_JMP | op | source, k,
				(uint8_t)random_number((uint32_t)(end - n) + 1),
				(uint8_t)random_number((uint32_t)(end - n) + 1));
			/* No jump further than the first instruction behind all of these. */
			f[n].jt = (uint8_t)(f[n].jt < end - n - 1 ? f[n].jt : end - n - 1);
			f[n].jf = (uint8_t)(f[n].jf < end - n - 1 ? f[n].jf : end - n - 1);
			n++;
			break;
		default:
			op = ops[random_number(COUNT(ops))];
			if (op == BPF_LSH ||
			    op == BPF_RSH) { /* by 32 or more is refused, or the machine's affair */
				source = BPF_K;
				k %= 32;
			} else if (op == BPF_DIV && !k) {
				k = 3;
			} else if (op == BPF_NEG) {
				source = BPF_K;
				k = 0;
			}
			if (op == BPF_DIV)
				source = BPF_K;
			f[n++] = (struct sock_filter)BPF_STMT(BPF_ALU | op | source, k);
		}
	}
	f[n++] = (struct sock_filter)BPF_STMT(BPF_ALU | BPF_AND | BPF_K, 0x7ff);
	f[n++] = (struct sock_filter)BPF_STMT(BPF_ALU | BPF_OR | BPF_K, SECCOMP_RET_ERRNO | 0x400);
	f[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_A, 0);
	return n;
}

static int ask_kernel(struct sock_filter *filter, size_t count, const __u64 *args)
{
	struct sock_fprog program = {(unsigned short)count, filter};
	int pipes[2], answer = -1;
	pid_t child;

	if (pipe(pipes) < 0)
		return -1;
	child = fork();
	if (child == 0) {
		if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
		    syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) == 0) {
			answer = syscall(SYS_personality, args[0], args[1], args[2], args[3],
					 args[4], args[5]) < 0 ?
					 errno :
					 0;
		} else {
			answer = -errno;
		}
		if (write(pipes[1], &answer, sizeof(answer)) != sizeof(answer))
			_exit(1);
		_exit(0);
	}
	close(pipes[1]);
	if (read(pipes[0], &answer, sizeof(answer)) != sizeof(answer))
		answer = -EPIPE;
	close(pipes[0]);
	waitpid(child, NULL, 0);
	return answer;
}

static void test_as_the_kernel_does(void **state)
{
	struct sock_filter filter[64];
	struct seccomp_data call = {.nr = SYS_personality};
	int i, jumped = 0;

	(void)state;
#if defined(__x86_64__)
	call.arch = AUDIT_ARCH_X86_64;
#else
	call.arch = AUDIT_ARCH_AARCH64;
#endif
	for (i = 0; i < 199; i++) {
		size_t count = make_filter(filter);
		int kernel, want;

		for (size_t k = 0; k < 6; k++)
			call.args[k] = random_value() | (uint64_t)random_value() << 32;
		kernel = ask_kernel(filter, count, call.args);
		if (kernel == -ENOSYS || kernel == -EPERM || kernel == -EACCES)
			skip();
		want = (int)(imp_seccomp_run(filter, count, &call) & SECCOMP_RET_DATA);
		if (kernel != want)
			fail_msg("filter %d: the kernel says %d, we %d", i, kernel, want);
		jumped += want != 0x400;
	}
	assert_true(jumped > 50); /* not all the same */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_answers),
		cmocka_unit_test(test_lets_record),
		cmocka_unit_test(test_as_the_kernel_does),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
