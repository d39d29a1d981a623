/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IMP_BPF_BPF_SYSCALL_H
#define IMP_BPF_BPF_SYSCALL_H

#include "bpf_tell.h"

/* The system calls that take a path: their numbers, and where their arguments are. */

#if defined(__TARGET_ARCH_x86)
enum {
	NR_open = 2,
	NR_stat = 4,
	NR_lstat = 6,
	NR_mmap = 9,
	NR_access = 21,
	NR_readlink = 89,
	NR_openat = 257,
	NR_newfstatat = 262,
	NR_readlinkat = 267,
	NR_faccessat = 269,
	NR_statx = 332,
	NR_openat2 = 437,
	NR_faccessat2 = 439,
};
#define ST_MODE		24 /* of st_mode in struct stat */
#define SYSCALL_NR(r)	((long)(r).orig_ax)
#define SYSCALL_ARG1(r) ((r).di)
#define SYSCALL_ARG2(r) ((r).si)
#define SYSCALL_ARG3(r) ((r).dx)
#define SYSCALL_ARG4(r) ((r).r10)
#define SYSCALL_ARG5(r) ((r).r8)
#define SYSCALL_ARG6(r) ((r).r9)
#else
enum {
	NR_mmap = 222,
	NR_openat = 56,
	NR_newfstatat = 79,
	NR_readlinkat = 78,
	NR_faccessat = 48,
	NR_statx = 291,
	NR_openat2 = 437,
	NR_faccessat2 = 439,
	NR_open = -2,
	NR_stat = -3,
	NR_lstat = -4,
	NR_access = -5,
	NR_readlink = -6, /* there are none */
};
#define ST_MODE		16
#define SYSCALL_NR(r)	((long)(r).syscallno)
#define SYSCALL_ARG1(r) ((r).orig_x0)
#define SYSCALL_ARG2(r) ((r).user_regs.regs[1])
#define SYSCALL_ARG3(r) ((r).user_regs.regs[2])
#define SYSCALL_ARG4(r) ((r).user_regs.regs[3])
#define SYSCALL_ARG5(r) ((r).user_regs.regs[4])
#define SYSCALL_ARG6(r) ((r).user_regs.regs[5])
#endif
#define STX_MODE 28

static __always_inline long syscall_number(const struct pt_regs *regs)
{
#if defined(__TARGET_ARCH_x86)
	unsigned long nr = 0;

	bpf_probe_read_kernel(&nr, sizeof(nr), &regs->orig_ax);
#else
	__s32 nr = -1;

	bpf_probe_read_kernel(&nr, sizeof(nr), &regs->syscallno);
#endif
	return (long)nr;
}

/* @files: those that take a path too */
static __always_inline bool is_wanted(long nr, bool files)
{
	switch (nr) {
	case NR_mmap: return true;
	case NR_open:
	case NR_openat:
	case NR_openat2:
	case NR_stat:
	case NR_lstat:
	case NR_newfstatat:
	case NR_statx:
	case NR_access:
	case NR_faccessat:
	case NR_faccessat2:
	case NR_readlink:
	case NR_readlinkat: return files;
	default: return false;
	}
}

/* A system call that takes a path; where st_mode is, and of how many bytes (0: nowhere). */
struct file_call {
	__u64 path, flags, mode_at;
	__u16 call, width;
};

/* Returns false where it is none of those. */
static __always_inline bool read_call(const struct pt_regs *r, struct file_call *f)
{
	switch (SYSCALL_NR(*r)) {
	case NR_open:
		f->call = IMP_BPF_OPEN;
		f->path = SYSCALL_ARG1(*r);
		f->flags = SYSCALL_ARG2(*r);
		return true;
	case NR_openat:
		f->call = IMP_BPF_OPEN;
		f->path = SYSCALL_ARG2(*r);
		f->flags = SYSCALL_ARG3(*r);
		return true;
	case NR_openat2: /* struct open_how begins with the flags */
		f->call = IMP_BPF_OPEN;
		f->path = SYSCALL_ARG2(*r);
		bpf_probe_read_user(&f->flags, sizeof(f->flags), (void *)SYSCALL_ARG3(*r));
		return true;
	case NR_stat:
	case NR_lstat:
		f->call = IMP_BPF_STAT;
		f->path = SYSCALL_ARG1(*r);
		f->mode_at = SYSCALL_ARG2(*r) + ST_MODE;
		f->width = 4;
		return true;
	case NR_newfstatat:
		f->call = IMP_BPF_STAT;
		f->path = SYSCALL_ARG2(*r);
		f->mode_at = SYSCALL_ARG3(*r) + ST_MODE;
		f->flags = SYSCALL_ARG4(*r);
		f->width = 4;
		return true;
	case NR_statx:
		f->call = IMP_BPF_STAT;
		f->path = SYSCALL_ARG2(*r);
		f->flags = SYSCALL_ARG3(*r);
		f->mode_at = SYSCALL_ARG5(*r) + STX_MODE;
		f->width = 2;
		return true;
	case NR_access:
		f->call = IMP_BPF_ACCESS;
		f->path = SYSCALL_ARG1(*r);
		f->flags = SYSCALL_ARG2(*r);
		return true;
	case NR_faccessat:
	case NR_faccessat2:
		f->call = IMP_BPF_ACCESS;
		f->path = SYSCALL_ARG2(*r);
		f->flags = SYSCALL_ARG3(*r);
		return true;
	case NR_readlink:
		f->call = IMP_BPF_READLINK;
		f->path = SYSCALL_ARG1(*r);
		return true;
	case NR_readlinkat:
		f->call = IMP_BPF_READLINK;
		f->path = SYSCALL_ARG2(*r);
		return true;
	}
	return false;
}

#endif
