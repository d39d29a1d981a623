/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "seccomp_filter.h"

#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "poison.h"

#if defined(__x86_64__)
#define OWN_ARCH AUDIT_ARCH_X86_64
#else
#define OWN_ARCH AUDIT_ARCH_AARCH64
#endif

/* ---- the machine --------------------------------------------------------------------------------- */

struct machine {
	uint32_t a, x, mem[BPF_MEMWORDS];
};

static uint32_t operand(const struct sock_filter *in, const struct machine *m)
{
	return BPF_SRC(in->code) == BPF_X ? m->x : in->k;
}

/* False: no such instruction. */
static bool load(struct machine *m, const struct sock_filter *in, const struct seccomp_data *call)
{
	uint32_t *to = BPF_CLASS(in->code) == BPF_LDX ? &m->x : &m->a;

	switch (BPF_MODE(in->code)) {
	case BPF_ABS:
		if (in->k % 4 || in->k > sizeof(*call) - 4 || to == &m->x)
			return false;
		memcpy(to, (const char *)call + in->k, 4);
		return true;
	case BPF_LEN: *to = sizeof(*call); return true;
	case BPF_IMM: *to = in->k; return true;
	case BPF_MEM:
		if (in->k >= BPF_MEMWORDS)
			return false;
		*to = m->mem[in->k];
		return true;
	default: return false;
	}
}

static bool compute(struct machine *m, const struct sock_filter *in)
{
	uint32_t by = operand(in, m);

	switch (BPF_OP(in->code)) {
	case BPF_ADD: m->a += by; return true;
	case BPF_SUB: m->a -= by; return true;
	case BPF_MUL: m->a *= by; return true;
	case BPF_DIV: m->a /= by; return true;
	case BPF_AND: m->a &= by; return true;
	case BPF_OR: m->a |= by; return true;
	case BPF_XOR: m->a ^= by; return true;
	case BPF_LSH: m->a = by < 32 ? m->a << by : 0; return true;
	case BPF_RSH: m->a = by < 32 ? m->a >> by : 0; return true;
	case BPF_NEG: m->a = -m->a; return true;
	default: return false;
	}
}

/* How many instructions are left out, or -1. */
static int64_t jump(const struct machine *m, const struct sock_filter *in)
{
	uint32_t with = operand(in, m);
	bool taken;

	switch (BPF_OP(in->code)) {
	case BPF_JA: return in->k;
	case BPF_JEQ: taken = m->a == with; break;
	case BPF_JGT: taken = m->a > with; break;
	case BPF_JGE: taken = m->a >= with; break;
	case BPF_JSET: taken = m->a & with; break;
	default: return -1;
	}
	return taken ? in->jt : in->jf;
}

uint32_t imp_seccomp_run(const struct sock_filter *filter, size_t count,
			 const struct seccomp_data *call)
{
	struct machine m = {0};
	size_t at = 0;

	while (at < count) {
		const struct sock_filter *in = &filter[at++];
		bool known = true;
		int64_t skipped;

		switch (BPF_CLASS(in->code)) {
		case BPF_LD:
		case BPF_LDX: known = load(&m, in, call); break;
		case BPF_ST:
		case BPF_STX:
			known = in->k < BPF_MEMWORDS;
			if (known)
				m.mem[in->k] = BPF_CLASS(in->code) == BPF_ST ? m.a : m.x;
			break;
		case BPF_ALU:
			/* A division by X = 0 ends the filter. */
			if (BPF_OP(in->code) == BPF_DIV && !operand(in, &m))
				return 0;
			known = compute(&m, in);
			break;
		case BPF_JMP:
			skipped = jump(&m, in);
			known = skipped >= 0;
			at += known ? (size_t)skipped : 0;
			break;
		case BPF_RET: return BPF_RVAL(in->code) == BPF_A ? m.a : in->k;
		default: /* BPF_MISC */
			if (BPF_MISCOP(in->code) == BPF_TXA)
				m.a = m.x;
			else
				m.x = m.a;
			break;
		}
		if (!known)
			break;
	}
	return SECCOMP_RET_KILL_PROCESS;
}

/* ---- what the recorder calls --------------------------------------------------------------------- */

#define SOME_FD	     3
#define SOME_POINTER 0x7f0000001000
#define OPEN_OWN     (O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC | O_NOCTTY | O_NOATIME)

/* Directly or through libc, whose fstat() is one of two. */
static const struct own_call {
	int number;
	bool writes; /* without it nothing is recorded */
	uint64_t args[6];
} own_calls[] = {
	{SYS_getpid, true, {0}},
	{SYS_gettid, true, {0}},
	{SYS_openat, true, {(uint64_t)AT_FDCWD, SOME_POINTER, OPEN_OWN | O_APPEND}},
	{SYS_openat, true, {(uint64_t)AT_FDCWD, SOME_POINTER, OPEN_OWN}},
	{SYS_newfstatat, true, {SOME_FD, SOME_POINTER, SOME_POINTER, AT_EMPTY_PATH}},
	{SYS_fstat, true, {SOME_FD, SOME_POINTER}},
	{SYS_statx,
	 false,
	 {SOME_FD, SOME_POINTER, AT_EMPTY_PATH, STATX_TYPE | STATX_INO | STATX_SIZE, SOME_POINTER}},
	{SYS_pread64, true, {SOME_FD, SOME_POINTER, 128, 0}},
	{SYS_write, true, {SOME_FD, SOME_POINTER, 4096}},
	{SYS_writev, false, {SOME_FD, SOME_POINTER, 5}},
	{SYS_close, true, {SOME_FD}},
	{SYS_prlimit64, false, {0, 1 /* RLIMIT_FSIZE */, 0, SOME_POINTER}},
	{SYS_sigaltstack, false, {0, SOME_POINTER}},
	{SYS_rt_sigprocmask, false, {0, SOME_POINTER, SOME_POINTER, 8}},
	{SYS_pread64, false, {SOME_FD, SOME_POINTER, 8, 8192}},
	{SYS_pwrite64, false, {SOME_FD, SOME_POINTER, 4096, 8192}},
	{SYS_lseek, false, {SOME_FD, 0, 1}},
	{SYS_ftruncate, false, {SOME_FD, 8192}},
	{SYS_fcntl, false, {SOME_FD, F_SETFL, O_NONBLOCK}},
	{SYS_fcntl, false, {SOME_FD, F_SETFL, O_APPEND | O_NONBLOCK}},
	{SYS_mmap,
	 false,
	 {0, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, (uint64_t)-1, 0}},
	{SYS_munmap, false, {SOME_POINTER, 4096}},
	{SYS_madvise, false, {SOME_POINTER, 4096, MADV_DONTNEED}},
	{SYS_clock_gettime, false, {1, SOME_POINTER}},
	{SYS_nanosleep, false, {SOME_POINTER, 0}},
	{SYS_tgkill, false, {100, 100, 0}},
	/* what is looked at after a failure, and in a new process */
	{SYS_openat, false, {(uint64_t)AT_FDCWD, SOME_POINTER, O_RDONLY | O_CLOEXEC | O_NOCTTY}},
	{SYS_openat,
	 false,
	 {(uint64_t)AT_FDCWD, SOME_POINTER, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOCTTY}},
	{SYS_newfstatat, false, {(uint64_t)AT_FDCWD, SOME_POINTER, SOME_POINTER, 0}},
	{SYS_newfstatat,
	 false,
	 {(uint64_t)AT_FDCWD, SOME_POINTER, SOME_POINTER, AT_SYMLINK_NOFOLLOW}},
	{SYS_read, false, {SOME_FD, SOME_POINTER, 4096}},
	{SYS_getdents64, false, {SOME_FD, SOME_POINTER, 32768}},
	{SYS_readlinkat, false, {(uint64_t)AT_FDCWD, SOME_POINTER, SOME_POINTER, 4096}},
	{SYS_faccessat, false, {(uint64_t)AT_FDCWD, SOME_POINTER, 4, 0}},
	{SYS_statfs, false, {SOME_POINTER, SOME_POINTER}},
	{SYS_getcwd, false, {SOME_POINTER, 4096}},
	{SYS_uname, false, {SOME_POINTER}},
	{SYS_getppid, false, {0}},
	{SYS_getuid, false, {0}},
	{SYS_geteuid, false, {0}},
	{SYS_getgid, false, {0}},
	{SYS_getegid, false, {0}},
	{SYS_process_vm_readv, false, {100, SOME_POINTER, 1, SOME_POINTER, 1, 0}},
};

static bool bearable(uint32_t answer, bool writes)
{
	switch (answer & SECCOMP_RET_ACTION_FULL) {
	case SECCOMP_RET_ALLOW:
	case SECCOMP_RET_LOG: return true;
	case SECCOMP_RET_ERRNO: return !writes;
	default: return false;
	}
}

bool imp_seccomp_lets_record(const struct sock_filter *filter, size_t count)
{
	for (size_t i = 0; i < sizeof(own_calls) / sizeof(*own_calls); i++) {
		struct seccomp_data call = {
			.nr = own_calls[i].number,
			.arch = OWN_ARCH,
			.instruction_pointer = (uintptr_t)imp_seccomp_run,
		};

		memcpy(call.args, own_calls[i].args, sizeof(call.args));
		if (!bearable(imp_seccomp_run(filter, count, &call), own_calls[i].writes))
			return false;
	}
	return true;
}
