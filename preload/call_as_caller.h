/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IMP_PRELOAD_CALL_AS_CALLER_H
#define IMP_PRELOAD_CALL_AS_CALLER_H

/* Offsets into struct imp_call, for the assembly. */
#define IMP_CALL_ARGS	   0
#define IMP_CALL_CALLER	   32
#define IMP_CALL_TARGET	   40
#define IMP_CALL_RESULT	   48
#define IMP_CALL_GADGET	   56
#define IMP_CALL_WORDS	   64
#define IMP_CALL_FRAMED	   66
#define IMP_CALL_NO_DETOUR 68
#define IMP_CALL_OPS	   72
#define IMP_CALL_PRIVATE   80
#define IMP_CALL_SIZE	   136

#ifndef __ASSEMBLER__

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct imp_call;

/* How the real function is entered; what an enter function returns. */
enum imp_call_route {
	IMP_CALL_JUMP,	 /* by a jump: it sees the true caller and returns to it, not to us */
	IMP_CALL_RETURN, /* through @gadget: it sees the caller's object, and returns to us */
	IMP_CALL_ANSWER, /* not at all: @result is the answer */
};

/*
 * What an interposer does around a call. @enter chooses the route and the target; @leave runs where the
 * real function came back to us, and not where an exception or longjmp() went past.
 */
struct imp_interposer {
	enum imp_call_route (*enter)(struct imp_call *c);
	void (*leave)(struct imp_call *c);
};

/* One call of an interposed function, on its stack. */
struct imp_call {
	uintptr_t args[4]; /* as they came in; given to the real function as they are after @enter */
	const void *caller; /* the return address */
	void *target;	    /* the real function */
	uintptr_t result;   /* what it returned; what the program gets */
	const void *gadget; /* IMP_CALL_RETURN: struct imp_return_gadget */
	uint16_t words;
	uint16_t framed;
	uint32_t no_detour; /* this thread has a shadow stack: IMP_CALL_RETURN is not to be had */
	const struct imp_interposer *ops;
	/* What @enter leaves for @leave. */
	uint32_t id;
	uint32_t object;
	uint64_t offset;
	uint64_t private[5];
};

_Static_assert(offsetof(struct imp_call, caller) == IMP_CALL_CALLER, "see call_as_caller_*.S");
_Static_assert(offsetof(struct imp_call, target) == IMP_CALL_TARGET, "see call_as_caller_*.S");
_Static_assert(offsetof(struct imp_call, result) == IMP_CALL_RESULT, "see call_as_caller_*.S");
_Static_assert(offsetof(struct imp_call, gadget) == IMP_CALL_GADGET, "see call_as_caller_*.S");
_Static_assert(offsetof(struct imp_call, words) == IMP_CALL_WORDS, "see call_as_caller_*.S");
_Static_assert(offsetof(struct imp_call, framed) == IMP_CALL_FRAMED, "see call_as_caller_*.S");
_Static_assert(offsetof(struct imp_call, no_detour) == IMP_CALL_NO_DETOUR, "see call_as_caller_*.S");
_Static_assert(offsetof(struct imp_call, ops) == IMP_CALL_OPS, "see call_as_caller_*.S");
_Static_assert(offsetof(struct imp_call, id) == IMP_CALL_PRIVATE, "see call_as_caller_*.S");
_Static_assert(sizeof(struct imp_call) == IMP_CALL_SIZE, "see call_as_caller_*.S");

/* Not called from C: reached from the functions that IMP_INTERPOSE() defines. */
void imp_call_as_caller(void);
void imp_call_as_caller_end(void); /* a place, not a function */

/*
 * IMP_INTERPOSE(name, ops) - define the function @name, of up to four integer arguments
 * @ops: a struct imp_interposer of this file, declared "used"
 *
 * In assembly, since no C compiler promises that a call in tail position becomes a jump, and the
 * dynamic loader looks at the return address.
 */
#if defined __x86_64__
#define IMP_INTERPOSE(name, ops)                           \
	__asm__(".pushsection .text\n"                     \
		".globl " #name "\n"                       \
		".type " #name ", @function\n" #name ":\n" \
		".cfi_startproc\n"                         \
		"endbr64\n"                                \
		"leaq " #ops "(%rip), %rax\n"              \
		"jmp imp_call_as_caller\n"                 \
		".cfi_endproc\n"                           \
		".size " #name ", . - " #name "\n"         \
		".popsection\n")
#elif defined __aarch64__
#define IMP_INTERPOSE(name, ops)                           \
	__asm__(".pushsection .text\n"                     \
		".globl " #name "\n"                       \
		".type " #name ", %function\n" #name ":\n" \
		".cfi_startproc\n"                         \
		"hint #34\n" /* bti c */                   \
		"adrp x16, " #ops "\n"                     \
		"add x16, x16, :lo12:" #ops "\n"           \
		"b imp_call_as_caller\n"                   \
		".cfi_endproc\n"                           \
		".size " #name ", . - " #name "\n"         \
		".popsection\n")
#else
#error "imptrace: this machine has no preload/call_as_caller_*.S"
#endif

#endif /* __ASSEMBLER__ */
#endif
