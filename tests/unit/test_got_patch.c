/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <dlfcn.h>
#include <errno.h>
#include <link.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "got_patch.h"

/*
 * libcmocka calls exit() and free(). Which of its words lead there is found without relocations: they are
 * those that have become ours, in any object, bit by bit.
 */
#define LATE "libz.so.1" /* calls free(), and nothing here needs it */

static int calls;
static void (*real_free)(void *);

static void our_free(void *memory)
{
	calls++;
	real_free(memory);
}

static void our_exit(int status)
{
	_exit(100 + status);
}

static struct imp_got_function functions[] = {
	{"free", our_free, NULL},
	{"exit", our_exit, NULL},
	{"fflush", NULL, NULL},
};
static struct imp_got got;

struct words {
	const char *object; /* part of its name; NULL: all */
	const void *value;
	size_t count;
	void **at[64];
};

static int scan(struct dl_phdr_info *info, size_t size, void *arg)
{
	struct words *w = arg;

	(void)size;
	/* The program itself holds these addresses for other reasons. */
	if (!info->dlpi_name[0] || (w->object && !strstr(info->dlpi_name, w->object)))
		return 0;
	for (int i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *p = &info->dlpi_phdr[i];
		void **at = (void **)((info->dlpi_addr + p->p_vaddr + 7) & ~7ul);
		void **end = (void **)(info->dlpi_addr + p->p_vaddr + p->p_memsz);

		for (; p->p_type == PT_LOAD && p->p_flags & PF_W && at + 1 <= end; at++)
			if (*at == w->value && w->count < 64)
				w->at[w->count++] = at;
	}
	return 0;
}

static struct words find(const char *object, const void *value)
{
	struct words w = {.object = object, .value = value};

	dl_iterate_phdr(scan, &w);
	return w;
}

/* How many pages of the process may be written: RELRO is put back. */
static size_t writable_kilobytes(const char *object)
{
	FILE *maps = fopen("/proc/self/maps", "r");
	char line[4200], *end;
	size_t sum = 0;

	assert_non_null(maps);
	while (fgets(line, sizeof(line), maps)) {
		size_t low = strtoul(line, &end, 16), high = strtoul(end + 1, &end, 16);

		if (strstr(line, object) && end[2] == 'w')
			sum += (high - low) / 1024;
	}
	fclose(maps);
	return sum;
}

static int begin(void **state)
{
	(void)state;
	memset(&got, 0, sizeof(got));
	got.functions = functions;
	got.count = sizeof(functions) / sizeof(functions[0]);
	functions[0].original = dlsym(RTLD_DEFAULT, "free");
	functions[1].original = dlsym(RTLD_DEFAULT, "exit");
	functions[2].original = dlsym(RTLD_DEFAULT, "fflush");
	real_free = (void (*)(void *))functions[0].original;
	return 0;
}

static int end(void **state)
{
	(void)state;
	imp_got_restore(&got, NULL);
	return 0;
}

static int count_objects(struct dl_phdr_info *info, size_t size, void *arg)
{
	(void)info;
	(void)size;
	++*(int *)arg;
	return 0;
}

static void test_leads_to_ours_and_back(void **state)
{
	const size_t writable = writable_kilobytes("libcmocka");
	struct words ours, after;
	void *before[64];
	int objects = 0;

	(void)state;
	assert_int_equal(find(NULL, (void *)our_free).count, 0);
	/* What they hold before is known when they are known: go there and back once. */
	imp_got_update(&got);
	ours = find("libcmocka", (void *)our_free);
	assert_true(ours.count >= 1);
	assert_true(imp_got_restore(&got, NULL) >= 2);
	for (size_t i = 0; i < ours.count; i++) {
		before[i] = *ours.at[i];
		assert_ptr_not_equal(before[i], our_free);
	}

	imp_got_update(&got);
	assert_int_equal(find("libcmocka", (void *)our_free).count, ours.count);
	assert_true(find("libcmocka", (void *)our_exit).count >= 1);
	assert_int_equal(writable_kilobytes("libcmocka"), writable);
	calls = 0;
	test_free(test_malloc(10));
	assert_true(calls >= 1);
	dl_iterate_phdr(count_objects, &objects);
	assert_int_equal(got.objects.count, objects);

	assert_true(imp_got_restore(&got, NULL) >= 2);
	after = find(NULL, (void *)our_free);
	assert_int_equal(after.count, 0);
	assert_int_equal(find(NULL, (void *)our_exit).count, 0);
	for (size_t i = 0; i < ours.count; i++)
		assert_ptr_equal(*ours.at[i], before[i]);
	assert_int_equal(writable_kilobytes("libcmocka"), writable);
	calls = 0;
	test_free(test_malloc(10));
	assert_int_equal(calls, 0);
}

static void test_one_function_stays(void **state)
{
	(void)state;
	imp_got_update(&got);
	assert_true(imp_got_restore(&got, "free") >= 1);
	assert_int_equal(find(NULL, (void *)our_exit).count, 0);
	assert_true(find("libcmocka", (void *)our_free).count >= 1);
	assert_true(imp_got_restore(&got, NULL) >= 1);
	assert_int_equal(find(NULL, (void *)our_free).count, 0);
	assert_int_equal(imp_got_restore(&got, NULL), 0);
}

static void set_word(void **at, void *value)
{
	const size_t page = (size_t)sysconf(_SC_PAGESIZE);
	char *start = (char *)((uintptr_t)at & ~(page - 1));

	/* It may be read-only; and then it is so for a moment longer than it should. */
	mprotect(start, page, PROT_READ | PROT_WRITE);
	*at = value;
}

/* Somebody else's function is not taken for libc's, and what he puts in our place stays. */
static void test_others_are_left_alone(void **state)
{
	static int other;
	struct words ours;
	void *before;

	(void)state;
	imp_got_update(&got);
	ours = find("libcmocka", (void *)our_exit);
	assert_true(ours.count >= 1);
	imp_got_restore(&got, NULL);
	before = *ours.at[0];
	/* Outside libc, and outside libcmocka. */
	set_word(ours.at[0], &other);
	imp_got_update(&got);
	assert_ptr_equal(*ours.at[0], &other);
	imp_got_restore(&got, NULL);
	set_word(ours.at[0], before);

	imp_got_update(&got);
	assert_ptr_equal(*ours.at[0], our_exit);
	set_word(ours.at[0], &other);
	imp_got_restore(&got, NULL);
	assert_ptr_equal(*ours.at[0], &other);
	set_word(ours.at[0], before);
}

static void test_objects_come_and_go(void **state)
{
	uint32_t words;
	void *handle;

	(void)state;
	handle = dlopen(LATE, RTLD_LAZY);
	if (!handle)
		skip();
	dlclose(handle);
	if (dlopen(LATE, RTLD_LAZY | RTLD_NOLOAD)) /* something else needs it */
		skip();
	imp_got_update(&got);
	words = got.words.count;
	assert_int_equal(find(LATE, (void *)our_free).count, 0);
	for (int i = 0; i < 7; i++) {
		handle = dlopen(LATE, i % 2 ? RTLD_NOW : RTLD_LAZY);
		imp_got_update(&got);
		assert_true(find(LATE, (void *)our_free).count >= 1);
		assert_true(got.words.count > words);
		dlclose(handle);
		/* Not seen every time: the next may lie in the same place. */
		if (i % 3)
			imp_got_update(&got);
	}
	imp_got_update(&got);
	assert_int_equal(got.words.count, words);
	handle = dlopen(LATE, RTLD_LAZY);
	imp_got_update(&got);
	dlclose(handle);
	/* Gone, and nobody has told: its words are not touched. */
	assert_int_equal(imp_got_restore(&got, NULL), words);
}

static void test_without_news_nothing_is_done(void **state)
{
	uint32_t pass;

	(void)state;
	imp_got_update(&got);
	pass = got.pass;
	for (int i = 0; i < 11; i++)
		imp_got_update(&got);
	assert_int_equal(got.pass, pass);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_leads_to_ours_and_back, begin, end),
		cmocka_unit_test_setup_teardown(test_one_function_stays, begin, end),
		cmocka_unit_test_setup_teardown(test_others_are_left_alone, begin, end),
		cmocka_unit_test_setup_teardown(test_objects_come_and_go, begin, end),
		cmocka_unit_test_setup_teardown(test_without_news_nothing_is_done, begin, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
