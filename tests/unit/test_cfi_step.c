/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include <errno.h>
#include <execinfo.h>
#include <link.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include "attach.h"
#include "cfi_step.h"
#include "link_map_diff.h"
#include "output.h"
#include "python_hook.h"
#include "recorder.h"

#define DEPTH 40

static struct imp_thread *t;

/* No process that was attached to. */
bool imp_attach_is_copy(void)
{
	return false;
}

void imp_attach_objects_changed(void)
{
}

/* Python is not told of objects here. */
bool imp_python_object_holds(ElfW(Addr) base, const ElfW(Phdr) * phdr, size_t phnum)
{
	(void)base;
	(void)phdr;
	(void)phnum;
	return false;
}

void imp_python_object_added(uint32_t object, ElfW(Addr) base, const ElfW(Phdr) * phdr, size_t phnum)
{
	(void)object;
	(void)base;
	(void)phdr;
	(void)phnum;
}

static int setup(void **state)
{
	static const struct imp_recorder_hooks hooks = {0};
	static struct imp_output out;

	(void)state;
	if (imp_output_set_path(&out, "/nonexistent/trace.zst") != 0 ||
	    imp_recorder_start(&out, imp_now_ns(), &hooks) != 0)
		return -1;
	imp_recorder_stay_quiet();
	t = imp_thread_enter();
	if (!t)
		return -1;
	imp_objects_update(t);
	return 0;
}

struct walk {
	unsigned int n, expected_n;
	uint64_t pc[128];
	void *expected[128];
	int end; /* what the last step returned */
};

/* glibc's own walk (libgcc's unwinder), and ours from the same place. */
static void __attribute__((noinline)) walk_both(struct walk *w)
{
	struct imp_cfi_cursor c;
	struct imp_mapped o;

	w->expected_n = (unsigned int)backtrace(w->expected, 128);
	imp_cfi_here(&c);
	for (w->n = 0; w->n < 128;) {
		w->pc[w->n++] = c.reg[IMP_CFI_PC];
		w->end = imp_objects_get((void *)(c.reg[IMP_CFI_PC] - !c.exact), &o) ?
				 imp_cfi_step(&c, &o) :
				 -ENOENT;
		if (w->end < 0)
			break;
	}
}

/*
 * The first frame is walk_both() itself, where the two begin a little apart. A sanitizer's backtrace() has a frame of
 * its own before it.
 */
static void assert_same(const struct walk *w)
{
	const unsigned int more = w->expected_n - w->n;
	unsigned int i;

#if defined __SANITIZE_ADDRESS__
	assert_int_equal(more, 1);
#else
	assert_int_equal(more, 0);
#endif
	assert_in_range(w->n, 4, 127);
	for (i = 1; i < w->n; i++)
		assert_int_equal(w->pc[i], (uintptr_t)w->expected[i + more]);
}

static void test_plain(void **state)
{
	struct walk w;

	(void)state;
	walk_both(&w);
	assert_same(&w);
	assert_int_equal(w.end, -ENOENT);
}

/* Frames with registers to restore, of several shapes: big, variable, with a realigned stack. */
static unsigned int __attribute__((noinline))
deep(unsigned int left, struct walk *w, volatile unsigned int *sum)
{
	volatile char block[173];
	unsigned int a = left * 3, b = left ^ 5, c = left + 7, r;

	block[left] = (char)left;
	*sum += a;
	if (!left)
		walk_both(w);
	r = left ? deep(left - 1, w, sum) : 0;
	return r + a + b + c + (unsigned int)block[left];
}

static unsigned int __attribute__((noinline))
variable(size_t size, struct walk *w, volatile unsigned int *sum)
{
	char *block = __builtin_alloca(size);

	memset(block, 1, size);
	return deep(DEPTH, w, sum) + (unsigned int)block[size / 2];
}

static unsigned int __attribute__((noinline)) aligned(struct walk *w, volatile unsigned int *sum)
{
	_Alignas(256) volatile char block[512];

	block[0] = 1;
	return variable(*sum + 333, w, sum) + (unsigned int)block[0];
}

static void test_deep(void **state)
{
	volatile unsigned int sum = 0;
	struct walk w;

	(void)state;
	aligned(&w, &sum);
	assert_same(&w);
	assert_in_range(w.n, DEPTH + 5, 127);
}

static void *in_thread(void *arg)
{
	volatile unsigned int sum = 0;

	aligned(arg, &sum);
	return NULL;
}

static void test_thread(void **state)
{
	pthread_t thread;
	struct walk w;

	(void)state;
	assert_int_equal(pthread_create(&thread, NULL, in_thread, &w), 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_same(&w);
}

static struct walk in_handler;

static void handler(int number)
{
	(void)number;
	walk_both(&in_handler);
}

/* Through the frame that the kernel made, whose CFI is made of expressions; on a stack of its own. */
static void test_signal(void **state)
{
	static char other_stack[65536];
	const stack_t stack = {.ss_sp = other_stack, .ss_size = sizeof(other_stack)},
		      none = {.ss_flags = SS_DISABLE};
	struct sigaction act = {.sa_handler = handler};
	int i;

	(void)state;
	for (i = 0; i < 2; i++) {
		act.sa_flags = i ? SA_ONSTACK : 0;
		assert_int_equal(sigaltstack(i ? &stack : &none, NULL), 0);
		assert_int_equal(sigaction(SIGUSR1, &act, NULL), 0);
		assert_int_equal(raise(SIGUSR1), 0);
		assert_same(&in_handler);
	}
	assert_int_equal(sigaltstack(&none, NULL), 0);
	signal(SIGUSR1, SIG_DFL);
}

static int compare(const void *a, const void *b)
{
	static struct walk w;

	if (!w.n)
		walk_both(&w);
	in_handler = w;
	return *(const int *)a - *(const int *)b;
}

/* libc's frames between ours. */
static void test_callback(void **state)
{
	int numbers[] = {3, 1, 2};

	(void)state;
	qsort(numbers, 3, sizeof(numbers[0]), compare);
	assert_same(&in_handler);
}

/* Code that no object holds, or a stack that is none, ends the walk. */
static void test_lost(void **state)
{
	struct imp_cfi_cursor c;
	struct imp_mapped o;
	void *page = mmap(NULL, 8192, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uint64_t bad[] = {
		0, 8, (uintptr_t)page, (uintptr_t)page + 4, UINT64_MAX - 7, (uint64_t)1 << 63};
	size_t i;

	(void)state;
	assert_true(page != MAP_FAILED);
	assert_true(imp_objects_get((void *)walk_both, &o));
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		unsigned int steps = 0;

		imp_cfi_here(&c);
		c.reg[IMP_CFI_SP] = bad[i];
#if defined __x86_64__
		c.reg[6] = bad[i];
#else
		c.reg[29] = bad[i];
#endif
		while (imp_objects_get((void *)(c.reg[IMP_CFI_PC] - !c.exact), &o) &&
		       imp_cfi_step(&c, &o) == 0)
			assert_in_range(++steps, 1, 8);
	}
	munmap(page, 8192);
}

/* An object whose tables are noise. */
static void test_noise(void **state)
{
	static uint8_t copy[65536] __attribute__((aligned(4096)));
	const ElfW(Phdr) *eh = NULL;
	struct imp_cfi_cursor c;
	struct imp_mapped o;
	ElfW(Phdr) phdr[2];
	unsigned int seed = 1, i, j, done = 0;
	const uint8_t *table;
	size_t len;

	(void)state;
	assert_true(imp_objects_get((void *)walk_both, &o));
	for (i = 0; i < o.phnum; i++) {
		if (o.phdr[i].p_type == PT_GNU_EH_FRAME)
			eh = &o.phdr[i];
	}
	assert_non_null(eh);
	len = sizeof(copy);
	for (i = 0; i < o.phnum; i++) {
		const ElfW(Phdr) *p = &o.phdr[i];

		if (p->p_type == PT_LOAD && eh->p_vaddr - p->p_vaddr < p->p_filesz &&
		    p->p_vaddr + p->p_filesz - eh->p_vaddr < len)
			len = p->p_vaddr + p->p_filesz - eh->p_vaddr;
	}
	/* .eh_frame_hdr, and .eh_frame behind it, at an address of ours. */
	table = (const void *)(o.base + eh->p_vaddr);
	phdr[0] = (ElfW(Phdr)){.p_type = PT_LOAD, .p_flags = PF_R, .p_filesz = len, .p_memsz = len};
	phdr[1] = (ElfW(Phdr)){.p_type = PT_GNU_EH_FRAME, .p_filesz = len, .p_memsz = len};
	o = (struct imp_mapped){.base = (ElfW(Addr))copy, .phdr = phdr, .phnum = 2};
	for (i = 0; i < 20011; i++) {
		memcpy(copy, table, len);
		for (j = 0; j < 1 + i % 37; j++) {
			seed = seed * 1103515245 + 12345;
			copy[seed / 3 % len] = (uint8_t)(seed >> 16);
		}
		imp_cfi_here(&c);
		seed = seed * 1103515245 + 12345;
		/* Functions are as far from the copy as from the original. */
		c.reg[IMP_CFI_PC] = (uint64_t)copy + ((uintptr_t)walk_both - (uintptr_t)table) +
				    seed / 5 % 4096;
		done += imp_cfi_step(&c, &o) == 0;
	}
	assert_in_range(done, 1, i);
}

static int by_value(const void *a, const void *b)
{
	const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static void __attribute__((noinline)) timed(unsigned int left, uint64_t *ns, unsigned int *frames)
{
	struct imp_cfi_cursor c;
	struct imp_mapped o;

	if (left) {
		timed(left - 1, ns, frames);
		__asm__ volatile("");
		return;
	}
	*ns = imp_now_ns();
	imp_cfi_here(&c);
	for (*frames = 1; *frames < 64; ++*frames) {
		if (!imp_objects_get((void *)(c.reg[IMP_CFI_PC] - !c.exact), &o) ||
		    imp_cfi_step(&c, &o) < 0)
			break;
	}
	*ns = imp_now_ns() - *ns;
}

static void test_time(void **state)
{
	unsigned int frames, i;
	uint64_t ns[101];

	(void)state;
	for (i = 0; i < 101; i++)
		timed(80, &ns[i], &frames);
	assert_int_equal(frames, 64);
	qsort(ns, i, sizeof(ns[0]), by_value);
	print_message("a stack of %u frames: %.1f us at the median, %.1f at most\n", frames,
		      (double)ns[i / 2] / 1e3, (double)ns[i - 1] / 1e3);
#if !defined __SANITIZE_ADDRESS__ && defined __OPTIMIZE__
	assert_in_range(ns[i / 2], 0, 50000);
#endif
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_plain),	 cmocka_unit_test(test_deep),
		cmocka_unit_test(test_thread),	 cmocka_unit_test(test_signal),
		cmocka_unit_test(test_callback), cmocka_unit_test(test_lost),
		cmocka_unit_test(test_noise),	 cmocka_unit_test(test_time),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
