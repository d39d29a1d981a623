/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IMP_BPF_CORE_TYPES_H
#define IMP_BPF_CORE_TYPES_H

/*
 * The few kernel types that imptrace.bpf.c reads, instead of a vmlinux.h: offsets are taken from the
 * running kernel's BTF (preserve_access_index), so only the names of the fields have to be right.
 */
#define __VMLINUX_H__ /* bpf_tracing.h: registers have the kernel's names */

typedef signed char __s8;
typedef unsigned char __u8;
typedef short __s16;
typedef unsigned short __u16;
typedef int __s32;
typedef unsigned int __u32;
typedef long long __s64;
typedef unsigned long long __u64;
typedef __u16 __be16;
typedef __u32 __be32;
typedef __u32 __wsum;
typedef __u64 uint64_t;
typedef __s64 int64_t;
typedef __u32 uint32_t;
typedef __s32 int32_t;
typedef __u16 uint16_t;
typedef __u8 uint8_t;
typedef _Bool bool;
#define true 1
#define false 0
#define NULL ((void *)0)

/* <linux/bpf.h>; they are the kernel's interface and stay as they are. */
enum bpf_map_type {
	BPF_MAP_TYPE_HASH = 1,
	BPF_MAP_TYPE_ARRAY = 2,
	BPF_MAP_TYPE_RINGBUF = 27,
};
enum {
	BPF_ANY = 0,
	BPF_NOEXIST = 1,
};
enum {
	BPF_RB_NO_WAKEUP = 1,
	BPF_RB_FORCE_WAKEUP = 2,
	BPF_RB_AVAIL_DATA = 0,
};

/* The registers are no structure of BTF's for uprobes: their layout is each machine's ABI. */
#if defined(__TARGET_ARCH_x86)
struct pt_regs {
	unsigned long r15, r14, r13, r12, bp, bx, r11, r10, r9, r8, ax, cx, dx, si, di, orig_ax, ip,
		cs, flags, sp, ss;
};
#elif defined(__TARGET_ARCH_arm64)
struct user_pt_regs {
	__u64 regs[31], sp, pc, pstate;
};
struct pt_regs {
	struct user_pt_regs user_regs;
	__u64 orig_x0;
	__s32 syscallno;
};
#endif

/* What a raw tracepoint's program is given. */
struct bpf_raw_tracepoint_args {
	__u64 args[0];
};

#define CORE __attribute__((preserve_access_index))

struct atomic_value {
	int counter;
} CORE;

struct signal_struct {
	struct atomic_value live;
	int group_exit_code;
} CORE;

struct mm_struct {
	unsigned long arg_start, arg_end;
} CORE;

struct super_block {
	__u32 s_dev;
} CORE;

struct inode {
	unsigned long i_ino;
	struct super_block *i_sb;
} CORE;

struct qstr {
	const unsigned char *name;
} CORE;

struct dentry {
	struct qstr d_name;
} CORE;

struct path {
	struct dentry *dentry;
} CORE;

struct file {
	struct inode *f_inode;
	struct path f_path;
} CORE;

struct fdtable {
	unsigned int max_fds;
	struct file **fd;
} CORE;

struct files_struct {
	struct fdtable *fdt;
} CORE;

struct linux_binprm {
	const char *filename;
} CORE;

struct task_struct {
	int pid, tgid, exit_code;
	struct task_struct *real_parent;
	struct signal_struct *signal;
	struct mm_struct *mm;
	struct files_struct *files;
} CORE;

#endif
