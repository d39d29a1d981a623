/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#if IMP_HAVE_BPF && defined __x86_64__

#include <stdbool.h>
#include <string.h>

#include "probe/probe_return.h"

#define OFFSET 0x1000 /* of the function in its file */

/*
 * Functions, as an assembler makes them. NAME_branch is where a probe may be put early, NAME_ret the `ret`;
 * no code here is ever run.
 */
#define FUNCTION(name, code)                                                             \
	__asm__(".pushsection .text\n" #name ":\n" code #name "_end:\n.popsection\n");   \
	extern const uint8_t name[], name##_end[] __attribute__((visibility("hidden"))); \
	extern const uint8_t name##_branch[], name##_ret[] __attribute__((visibility("hidden")))

/* glibc 2.36's dlopen, from the call on; with a tail call in front */
FUNCTION(as_dlopen, "je 1f\n pop %rbx\n jmp *%rax\n"
		    "1: call 1b\n test %eax,%eax\n jne 2f\n mov 0x10(%rsp),%rbx\n"
		    "2: mov 0x28(%rsp),%rax\n sub %fs:0x28,%rax\n"
		    "as_dlopen_branch: jne 3f\n add $0x30,%rsp\n mov %rbx,%rax\n pop %rbx\n"
		    "as_dlopen_ret: ret\n"
		    "3: call 1b\n");
FUNCTION(in_r15, "sub %fs:0x28,%rdx\n"
		 "in_r15_branch: jne 3f\n mov %r15,%rax\n add $8,%rsp\n pop %r15\n"
		 "in_r15_ret: ret\n"
		 "3: call in_r15\n");
/* The result is in its register already. */
FUNCTION(in_rax, "sub %fs:0x28,%rdx\n"
		 "in_rax_branch: jne 3f\n add $8,%rsp\n pop %rbx\n pop %rbp\n"
		 "in_rax_ret: ret\n"
		 "3: call in_rax\n");

/* What follows has no early place, each for a reason of its own. */
FUNCTION(comes_back, "comes_back_branch: jne 3f\n mov %rbx,%rax\n"
		     "comes_back_ret: ret\n"
		     "3: call comes_back\n nop\n");
FUNCTION(no_call, "no_call_branch: jne 3f\n mov %rbx,%rax\n"
		  "no_call_ret: ret\n"
		  "3: ud2\n");
FUNCTION(joined, "je 2f\n call joined\n"
		 "joined_branch: jne 3f\n"
		 "2: mov %rbx,%rax\n"
		 "joined_ret: ret\n"
		 "3: call joined\n");
FUNCTION(joined_at_ret, "je joined_at_ret_ret\n call joined_at_ret\n"
			"joined_at_ret_branch: jne 3f\n mov %rbx,%rax\n"
			"joined_at_ret_ret: ret\n"
			"3: call joined_at_ret\n");
/* "cold": what lies elsewhere may jump to anywhere */
FUNCTION(goes_out, "je goes_out - 64\n call goes_out\n"
		   "goes_out_branch: jne 3f\n mov %rbx,%rax\n"
		   "goes_out_ret: ret\n"
		   "3: call goes_out\n");
FUNCTION(table, "jmp *%rax\n"
		"table_branch: jne 3f\n mov %rbx,%rax\n"
		"table_ret: ret\n"
		"3: call table\n");
FUNCTION(computed, "computed_branch: jne 3f\n xor %eax,%eax\n"
		   "computed_ret: ret\n"
		   "3: call computed\n");
FUNCTION(popped, "popped_branch: jne 3f\n pop %rbx\n mov %rbx,%rax\n"
		 "popped_ret: ret\n"
		 "3: call popped\n");
FUNCTION(narrow, "narrow_branch: jne 3f\n mov %ebx,%eax\n"
		 "narrow_ret: ret\n"
		 "3: call narrow\n");
FUNCTION(not_saved, "not_saved_branch: jne 3f\n mov %rcx,%rax\n"
		    "not_saved_ret: ret\n"
		    "3: call not_saved\n");
FUNCTION(twice, "twice_branch: jne 3f\n mov %rbx,%rax\n mov %rbp,%rax\n"
		"twice_ret: ret\n"
		"3: call twice\n");
FUNCTION(plain, "plain_branch: mov %rbx,%rax\n"
		"plain_ret: ret\n");

#define PLACES(name) #name, name, name##_end, name##_branch, name##_ret

static void test_early(void **state)
{
	static const struct {
		const char *name;
		const uint8_t *begin, *end, *branch, *ret;
		bool early;
		enum imp_bpf_result result;
	} cases[] = {
		{PLACES(as_dlopen), true, IMP_BPF_IN_BX},
		{PLACES(in_r15), true, IMP_BPF_IN_R15},
		{PLACES(in_rax), true, IMP_BPF_IN_RETURN},
		{PLACES(comes_back), false, IMP_BPF_IN_RETURN},
		{PLACES(no_call), false, IMP_BPF_IN_RETURN},
		{PLACES(joined), false, IMP_BPF_IN_RETURN},
		{PLACES(joined_at_ret), false, IMP_BPF_IN_RETURN},
		{PLACES(goes_out), false, IMP_BPF_IN_RETURN},
		{PLACES(table), false, IMP_BPF_IN_RETURN},
		{PLACES(computed), false, IMP_BPF_IN_RETURN},
		{PLACES(popped), false, IMP_BPF_IN_RETURN},
		{PLACES(narrow), false, IMP_BPF_IN_RETURN},
		{PLACES(not_saved), false, IMP_BPF_IN_RETURN},
		{PLACES(twice), false, IMP_BPF_IN_RETURN},
		{PLACES(plain), false, IMP_BPF_IN_RETURN},
	};
	struct imp_probe_return found[IMP_PROBE_RETURNS_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const uint8_t *begin = cases[i].begin;
		size_t n = imp_probe_returns(begin, (size_t)(cases[i].end - begin), OFFSET, found);
		uint64_t ret = OFFSET + (uint64_t)(cases[i].ret - begin),
			 branch = OFFSET + (uint64_t)(cases[i].branch - begin);

		if (n != 1 || found[0].offset != ret)
			fail_msg("%s: %zu returns", cases[i].name, n);
		if (found[0].early != (cases[i].early ? branch : ret))
			fail_msg("%s: early at %#jx", cases[i].name, (uintmax_t)found[0].early);
		if (found[0].result != cases[i].result)
			fail_msg("%s: the result in %d", cases[i].name, found[0].result);
	}
}

/* Each return has a place of its own; a branch that belies one says nothing of another. */
FUNCTION(several, "je 2f\n sub %fs:0x28,%rdx\n"
		  "several_branch: jne 3f\n mov %rbp,%rax\n pop %rbp\n"
		  "several_ret: ret\n"
		  "jne 3f\n"
		  "2: mov %rbx,%rax\n ret\n"
		  "3: call several\n");

static void test_several(void **state)
{
	struct imp_probe_return found[IMP_PROBE_RETURNS_MAX];

	(void)state;
	assert_int_equal(imp_probe_returns(several, (size_t)(several_end - several), OFFSET, found),
			 2);
	assert_int_equal(found[0].offset, OFFSET + (uint64_t)(several_ret - several));
	assert_int_equal(found[0].early, OFFSET + (uint64_t)(several_branch - several));
	assert_int_equal(found[0].result, IMP_BPF_IN_BP);
	assert_true(found[1].offset > found[0].offset);
	assert_int_equal(found[1].early, found[1].offset);
}

/* No guess: what can't be read to its end has no returns, nor has what has too many. */
static void test_refused(void **state)
{
	struct imp_probe_return found[IMP_PROBE_RETURNS_MAX];
	uint8_t code[IMP_PROBE_RETURNS_MAX + 1];

	(void)state;
	for (size_t cut = 1; cut < 5; cut++) /* into the last call */
		assert_int_equal(imp_probe_returns(as_dlopen,
						   (size_t)(as_dlopen_end - as_dlopen) - cut,
						   OFFSET, found),
				 0);
	memset(code, 0xc3, sizeof(code));
	assert_int_equal(imp_probe_returns(code, IMP_PROBE_RETURNS_MAX, OFFSET, found),
			 IMP_PROBE_RETURNS_MAX);
	assert_int_equal(imp_probe_returns(code, sizeof(code), OFFSET, found), 0);
	assert_int_equal(imp_probe_returns(code, 0, OFFSET, found), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_early),
		cmocka_unit_test(test_several),
		cmocka_unit_test(test_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

#else

static void test_not_here(void **state)
{
	(void)state;
	skip(); /* built without probes, or another machine: the probes sit on the returns themselves */
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_not_here)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

#endif
