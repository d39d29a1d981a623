/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IMP_BPF_BPF_EVENT_H
#define IMP_BPF_BPF_EVENT_H

/*
 * What the kernel side tells the user side: a head of fixed size, then a string. Included by both; the
 * includer has the fixed-width types already.
 */
enum imp_bpf_kind {
	IMP_BPF_FORK = 1, /* a: the child's process id */
	IMP_BPF_EXEC, /* text: argv, as it lies in memory: NUL between its words; b: its length */
	IMP_BPF_EXIT, /* the whole process; a: exit code as wait(2) has it */
	IMP_BPF_FILE, /* a system call with a path: nr, result, a: flags, b: st_mode; text: path */
	IMP_BPF_MAP, /* a: address, b: length, c: device << 32 | fd, d: inode; result: page offset or -errno; text: its last name */
	IMP_BPF_DLOPEN_ENTER, /* a: flags, b: return address, c: namespace, d: 1 where name is NULL; text: name */
	IMP_BPF_DLOPEN_LEAVE, /* a: handle */
	IMP_BPF_DLSYM,	      /* a: handle, b: address, c: return address; text: symbol */
	IMP_BPF_DLERROR,      /* text */
	IMP_BPF_IMPORT_BEGIN, /* a: bytes of a character (0: none was read), c: how many; text: those of the full name */
	IMP_BPF_IMPORT_END, /* a: 1 found */
	IMP_BPF_EXT_END, /* _PyImport_LoadDynamicModuleWithSpec came back; a: 1 it gave a module */
	IMP_BPF_UNCAUGHT, /* PyErr_Display(): a: address, b: bytes of a character, c: how many; text: type name, message */
};

/* IMP_BPF_FILE: which call it was, whatever its number on this machine */
enum imp_bpf_call {
	IMP_BPF_OPEN = 1,
	IMP_BPF_STAT,
	IMP_BPF_ACCESS,
	IMP_BPF_READLINK,
};

/* Where a function's result is when its end is seen: a probe's cookie (analyzer/probe/probe_return.h). */
enum imp_bpf_result {
	IMP_BPF_IN_RETURN = 0, /* the register that it is returned in */
	IMP_BPF_IN_BX,	       /* x86-64, as all that follow */
	IMP_BPF_IN_BP,
	IMP_BPF_IN_R12,
	IMP_BPF_IN_R13,
	IMP_BPF_IN_R14,
	IMP_BPF_IN_R15,
};

#define IMP_BPF_TEXT_SHORT 208 /* bytes of text in most records */
#define IMP_BPF_TEXT_MAX   4096
#define IMP_BPF_TYPE_MAX   128 /* in IMP_BPF_UNCAUGHT the message begins there */

struct imp_bpf_event {
	uint64_t time_ns; /* CLOCK_MONOTONIC */
	uint32_t pid, tid;
	uint16_t kind;	/* enum imp_bpf_kind */
	uint16_t call;	/* enum imp_bpf_call */
	uint32_t len;	/* bytes of @text, the NUL at its end counted; 0: none */
	int64_t result; /* of the system call */
	uint64_t a, b, c, d;
	char text[];
};

#endif
