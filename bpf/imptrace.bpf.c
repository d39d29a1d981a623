// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The kernel side: sees dlopen & co and CPython's imports through uprobes, and what the traced
 * processes ask of the file system meanwhile through the raw system call tracepoint.
 *
 * Only processes in @traced are looked at. System calls are read when they return (the path is in memory
 * then, and the registers still hold the arguments), and only while a thread of the process is inside of an
 * import or a dlopen. No kprobe, and no tracefs: raw tracepoints and perf's uprobes need none.
 */
#include "bpf_str.h"
#include "bpf_syscall.h"
#include "bpf_tell.h"

char LICENSE[] SEC("license") = "GPL";

/* ---- processes ----------------------------------------------------------------------------------- */

SEC("raw_tp/sched_process_fork")
int on_fork(struct bpf_raw_tracepoint_args *ctx)
{
	struct task_struct *parent = (void *)ctx->args[0], *child = (void *)ctx->args[1];
	__u32 from = BPF_CORE_READ(parent, tgid), to = BPF_CORE_READ(child, tgid);
	struct process fresh = {};
	struct imp_bpf_event *e;

	if (from == to || !bpf_map_lookup_elem(&traced, &from))
		return 0;
	if (bpf_map_update_elem(&traced, &to, &fresh, BPF_ANY))
		count_lost();
	e = reserve(IMP_BPF_FORK);
	if (!e)
		return 0;
	e->pid = from;
	e->a = to;
	bpf_ringbuf_submit(e, wake(true));
	return 0;
}

SEC("raw_tp/sched_process_exec")
int on_exec(struct bpf_raw_tracepoint_args *ctx)
{
	struct task_struct *task = (void *)ctx->args[0];
	__u32 tid = (__u32)bpf_get_current_pid_tgid();
	struct process *p = current_process();
	struct long_event *l;
	unsigned long start, end;
	__u64 len;

	if (!p)
		return 0;
	p->inside = 0;
	bpf_map_delete_elem(&threads, &tid);
	l = bpf_ringbuf_reserve(&ring, sizeof(*l), 0);
	if (!l) {
		count_lost();
		return 0;
	}
	fill(&l->e, IMP_BPF_EXEC);
	start = BPF_CORE_READ(task, mm, arg_start);
	end = BPF_CORE_READ(task, mm, arg_end);
	len = end - start;
	if (len > IMP_BPF_TEXT_MAX)
		len = IMP_BPF_TEXT_MAX;
	l->e.b = end - start;
	if (len && !bpf_probe_read_user(l->text, len, (void *)start))
		l->e.len = len;
	bpf_ringbuf_submit(l, wake(true));
	return 0;
}

SEC("raw_tp/sched_process_exit")
int on_exit(struct bpf_raw_tracepoint_args *ctx)
{
	struct task_struct *task = (void *)ctx->args[0];
	__u32 tid = (__u32)bpf_get_current_pid_tgid(), pid = bpf_get_current_pid_tgid() >> 32;
	struct process *p = current_process();
	struct imp_bpf_event *e;
	struct thread *t;
	__u32 lost;
	int code;

	if (!p)
		return 0;
	t = current_thread(false);
	if (t) {
		__sync_fetch_and_add(&p->inside, -t->inside);
		bpf_map_delete_elem(&threads, &tid);
	}
	if (BPF_CORE_READ(task, signal, live.counter) != 0)
		return 0; /* other threads of it live on */
	lost = p->lost;
	e = reserve(IMP_BPF_EXIT);
	bpf_map_delete_elem(&traced, &pid);
	if (!e)
		return 0;
	e->b = lost;
	code = BPF_CORE_READ(task, signal, group_exit_code);
	e->a = code ? code : BPF_CORE_READ(task, exit_code);
	bpf_ringbuf_submit(e, wake(true));
	return 0;
}

/* ---- the file system ----------------------------------------------------------------------------- */

/* Does it begin like a C library's name or a Python's? analyzer/probe/probe_target.c looks closer. */
static __always_inline bool is_target(const char *name)
{
	__u32 begin;

	__builtin_memcpy(&begin, name, sizeof(begin));
	switch (begin) {
	case 0x6362696c: /* libc */
	case 0x6462696c: /* libd */
	case 0x7062696c: /* libp */
	case 0x6d2d646c: /* ld-m */
	case 0x68747970: /* pyth */
	case 0x79707970: /* pypy */ return true;
	default: return false;
	}
}

/* An executable mapping is told always: where probes belong into the object, it is told at once. */
static __always_inline void tell_map(struct pt_regs *r, long ret)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	struct imp_bpf_event *e;
	struct file **fds, *file = NULL;
	struct dentry *dentry;
	struct inode *inode;
	__u32 fd = SYSCALL_ARG5(*r);
	long len;

	if (!(SYSCALL_ARG3(*r) & PROT_EXEC) || (int)fd < 0)
		return;
	e = reserve(IMP_BPF_MAP);
	if (!e)
		return;
	e->result = ret < 0 && ret > -4096 ? ret : (long)SYSCALL_ARG6(*r);
	e->a = ret;
	e->b = SYSCALL_ARG2(*r);
	if (fd < BPF_CORE_READ(task, files, fdt, max_fds)) {
		fds = BPF_CORE_READ(task, files, fdt, fd);
		bpf_probe_read_kernel(&file, sizeof(file), fds + fd);
	}
	inode = BPF_CORE_READ(file, f_inode);
	e->c = (__u64)BPF_CORE_READ(inode, i_sb, s_dev) << 32 | fd;
	e->d = BPF_CORE_READ(inode, i_ino);
	dentry = BPF_CORE_READ(file, f_path.dentry);
	len = bpf_probe_read_kernel_str(e->text, IMP_BPF_TEXT_SHORT,
					BPF_CORE_READ(dentry, d_name.name));
	e->len = len > 0 ? len : 0;
	bpf_ringbuf_submit(e, wake(is_target(e->text)));
}

SEC("raw_tp/sys_exit")
int on_sys_exit(struct bpf_raw_tracepoint_args *ctx)
{
	const struct pt_regs *regs = (void *)ctx->args[0];
	long ret = (long)ctx->args[1];
	long nr = syscall_number(regs);
	struct file_call f = {};
	struct imp_bpf_event *e;
	struct process *p;
	struct pt_regs r;
	__u16 mode = 0;

	/* Most calls, of all processes of the machine, end here: only the number is read. */
	if (!is_wanted(nr, true))
		return 0;
	p = current_process();
	if (!p || !is_wanted(nr, p->inside || all_opens) ||
	    bpf_probe_read_kernel(&r, sizeof(r), regs))
		return 0;
	if (SYSCALL_NR(r) == NR_mmap) {
		tell_map(&r, ret);
		return 0;
	}
	if (!read_call(&r, &f))
		return 0;
	if (f.call == IMP_BPF_STAT && f.flags & AT_EMPTY_PATH) { /* fstat() in other words */
		__u8 first = 0;

		bpf_probe_read_user(&first, 1, (void *)f.path);
		if (!first)
			return 0;
	}
	e = reserve(IMP_BPF_FILE);
	if (!e)
		return 0;
	e->call = f.call;
	e->result = ret;
	e->a = f.flags;
	if (f.width && ret == 0) { /* all of st_mode is in its lower two bytes */
		bpf_probe_read_user(&mode, sizeof(mode), (void *)f.mode_at);
		e->b = mode;
	}
	e = add_text(e, f.path);
	if (e)
		bpf_ringbuf_submit(e, wake(false));
	return 0;
}

/* ---- the dynamic loader -------------------------------------------------------------------------- */

static __always_inline __u64 return_address(struct pt_regs *ctx)
{
	__u64 address = 0;

#if defined(__TARGET_ARCH_x86)
	bpf_probe_read_user(&address, sizeof(address), (void *)PT_REGS_SP(ctx));
#else
	address = PT_REGS_RET(ctx);
#endif
	return address;
}

/*
 * Of the function that is about to return. All are loaded before one is chosen: the compiler would choose an address
 * first, and the verifier lets nobody read the registers through an address that was computed.
 */
static __always_inline __u64 result(struct pt_regs *ctx)
{
	__u64 value = PT_REGS_RC(ctx);

#if defined(__TARGET_ARCH_x86)
	__u64 bx = ctx->bx, bp = ctx->bp, r12 = ctx->r12, r13 = ctx->r13, r14 = ctx->r14,
	      r15 = ctx->r15;

	asm volatile("" : "+r"(value), "+r"(bx), "+r"(bp));
	asm volatile("" : "+r"(r12), "+r"(r13), "+r"(r14), "+r"(r15));
	switch (has_cookies ? bpf_get_attach_cookie(ctx) : IMP_BPF_IN_RETURN) {
	case IMP_BPF_IN_BX: return bx;
	case IMP_BPF_IN_BP: return bp;
	case IMP_BPF_IN_R12: return r12;
	case IMP_BPF_IN_R13: return r13;
	case IMP_BPF_IN_R14: return r14;
	case IMP_BPF_IN_R15: return r15;
	}
#endif
	return value;
}

static __always_inline int enter_dlopen(struct pt_regs *ctx, __u64 name, __u64 flags,
					__s64 name_space)
{
	struct process *p = current_process();
	struct imp_bpf_event *e;
	struct thread *t;

	if (!p)
		return 0;
	t = current_thread(true);
	if (!t) {
		count_lost();
		return 0;
	}
	t->dlopens++;
	t->failed = 0;
	go_in(p, t);
	e = reserve(IMP_BPF_DLOPEN_ENTER);
	if (!e)
		return 0;
	e->a = (__u32)flags;
	e->b = return_address(ctx);
	e->c = name_space;
	e->d = !name;
	if (name)
		e = add_text(e, name);
	if (e)
		bpf_ringbuf_submit(e, wake(false));
	return 0;
}

SEC("uprobe")
int enter_dlopen_2(struct pt_regs *ctx)
{
	return enter_dlopen(ctx, PT_REGS_PARM1(ctx), PT_REGS_PARM2(ctx), 0);
}

SEC("uprobe")
int enter_dlmopen(struct pt_regs *ctx)
{
	return enter_dlopen(ctx, PT_REGS_PARM2(ctx), PT_REGS_PARM3(ctx), PT_REGS_PARM1(ctx));
}

/* Those that leave sit where the functions themselves return: analyzer/probe/probe_return.h says why. */
SEC("uprobe")
int leave_dlopen(struct pt_regs *ctx)
{
	struct process *p = current_process();
	struct imp_bpf_event *e;
	struct thread *t = p ? current_thread(false) : NULL;
	__u64 handle = result(ctx);

	if (!t || !t->dlopens)
		return 0;
	t->dlopens--;
	t->failed = !handle;
	come_out(p, t);
	e = reserve(IMP_BPF_DLOPEN_LEAVE);
	if (!e)
		return 0;
	e->a = handle;
	bpf_ringbuf_submit(e, wake(false));
	return 0;
}

SEC("uprobe")
int enter_dlsym(struct pt_regs *ctx)
{
	struct process *p = current_process();
	struct thread *t = p ? current_thread(true) : NULL;

	if (!t)
		return 0;
	t->handle = PT_REGS_PARM1(ctx);
	t->symbol = PT_REGS_PARM2(ctx);
	t->caller = return_address(ctx);
	return 0;
}

SEC("uprobe")
int leave_dlsym(struct pt_regs *ctx)
{
	struct process *p = current_process();
	struct thread *t = p ? current_thread(false) : NULL;
	struct imp_bpf_event *e;

	if (!t || !t->symbol)
		return 0;
	e = reserve(IMP_BPF_DLSYM);
	if (!e)
		return 0;
	e->a = t->handle;
	e->b = result(ctx);
	e->c = t->caller;
	t->failed = !e->b;
	e = add_text(e, t->symbol);
	t->symbol = 0;
	if (e)
		bpf_ringbuf_submit(e, wake(false));
	return 0;
}

SEC("uprobe")
int leave_dlerror(struct pt_regs *ctx)
{
	struct process *p = current_process();
	struct thread *t = p ? current_thread(false) : NULL;
	struct imp_bpf_event *e;
	__u64 text;

	/* CPython asks after each call; only what follows a failure says something. */
	if (!t || !t->failed)
		return 0;
	text = result(ctx);
	if (!text)
		return 0;
	t->failed = 0;
	e = reserve(IMP_BPF_DLERROR);
	if (!e)
		return 0;
	e = add_text(e, text);
	if (e)
		bpf_ringbuf_submit(e, wake(false));
	return 0;
}

/* ---- CPython ------------------------------------------------------------------------------------- */

/*
 * PyImport_ImportModuleLevelObject() has not found the module in sys.modules, and calls
 *
 *   PyObject_CallMethodObjArgs(importlib, "_find_and_load", name, import_func, NULL)
 *
 * One probe sits on that call, one behind it; other calls of that function are told apart by the method's name: a
 * str, or before 3.11 a struct _Py_Identifier, which holds or begins with a char *.
 */
static __always_inline bool is_find_and_load(__u64 text)
{
	static const char wanted[] = "_find_and_load";
	char name[sizeof(wanted)];

	if (bpf_probe_read_user(name, sizeof(name), (void *)text))
		return false;
	for (__u32 i = 0; i < sizeof(wanted); i++)
		if (name[i] != wanted[i])
			return false;
	return true;
}

static __always_inline int begin_import(struct pt_regs *ctx, __u64 method, __u64 layout)
{
	struct process *p = current_process();
	struct characters name;
	struct imp_bpf_event *e;
	struct thread *t;

	if (!p || !is_find_and_load(method))
		return 0;
	t = current_thread(true);
	if (!t) {
		count_lost();
		return 0;
	}
	t->import[t->imports & (NEST_MAX - 1)] = PT_REGS_SP(ctx);
	t->imports++;
	go_in(p, t);
	e = reserve(IMP_BPF_IMPORT_BEGIN);
	if (!e)
		return 0;
	find_characters(PT_REGS_PARM3(ctx), layout, &name);
	e = add_characters(e, &name);
	if (e)
		bpf_ringbuf_submit(e, wake(false));
	return 0;
}

#define IMPORT_PROBE(suffix, layout)                                               \
	SEC("uprobe")                                                              \
	int enter_import_##suffix(struct pt_regs *ctx)                             \
	{                                                                          \
		return begin_import(ctx, PT_REGS_PARM2(ctx) + (layout), (layout)); \
	}

#define OLD_IMPORT_PROBE(suffix, place)                                                           \
	SEC("uprobe")                                                                             \
	int enter_import_##suffix(struct pt_regs *ctx)                                            \
	{                                                                                         \
		__u64 text = 0;                                                                   \
                                                                                                  \
		bpf_probe_read_user(&text, sizeof(text), (void *)(PT_REGS_PARM2(ctx) + (place))); \
		return begin_import(ctx, text, LAYOUT_WSTR);                                      \
	}

OLD_IMPORT_PROBE(linked, 8)	/* up to 3.9: struct _Py_Identifier is next, string, object */
OLD_IMPORT_PROBE(identifier, 0) /* 3.10: string, index */
IMPORT_PROBE(wstr, LAYOUT_WSTR)
IMPORT_PROBE(plain, LAYOUT_PLAIN)
IMPORT_PROBE(free, LAYOUT_FREE)

/* The stack pointer says whose return it is: of another call in a function that imports, it is none. */
SEC("uprobe")
int leave_import(struct pt_regs *ctx)
{
	struct process *p = current_process();
	struct thread *t = p ? current_thread(false) : NULL;
	struct imp_bpf_event *e;
	__u32 i, ended = 0;

	if (!t)
		return 0;
	/* Those within it whose end was not seen have ended too. */
	for (i = 1; i <= END_LOOK && i <= t->imports; i++)
		if (t->import[(t->imports - i) & (NEST_MAX - 1)] == PT_REGS_SP(ctx)) {
			ended = i;
			break;
		}
	if (!ended)
		return 0;
	for (i = 0; i < END_LOOK && i < ended; i++)
		come_out(p, t);
	t->imports -= ended;
	e = reserve(IMP_BPF_IMPORT_END);
	if (!e)
		return 0;
	e->a = PT_REGS_RC(ctx) != 0;
	e->b = t->imports; /* those that are still open */
	bpf_ringbuf_submit(e, wake(!e->a));
	return 0;
}

static __always_inline int tell_extension(__u16 kind, __u64 value)
{
	struct process *p = current_process();
	struct imp_bpf_event *e;

	if (!p)
		return 0;
	e = reserve(kind);
	if (!e)
		return 0;
	e->a = value;
	bpf_ringbuf_submit(e, wake(false));
	return 0;
}

SEC("uprobe")
int leave_extension(struct pt_regs *ctx)
{
	return tell_extension(IMP_BPF_EXT_END, result(ctx) != 0);
}

/* The name of an object's type. Objects: see bpf_str.h; PyTypeObject: size, name. */
static __always_inline __u64 type_name(__u64 object, __u64 head)
{
	__u64 type = 0, name = 0;

	bpf_probe_read_user(&type, sizeof(type), (void *)(object + head - 8));
	bpf_probe_read_user(&name, sizeof(name), (void *)(type + head + 8));
	return name;
}

static __always_inline bool is_str(__u64 object, __u64 head)
{
	__u32 name = 0;

	return !bpf_probe_read_user(&name, sizeof(name), (void *)type_name(object, head)) &&
	       name == 0x727473; /* "str" */
}

/* The first one of an exception's arguments, where that is a str. PyBaseExceptionObject: dict, args; PyTupleObject: size,
 * hash (since 3.14), items. */
static __always_inline __u64 first_argument(__u64 exception, __u64 head)
{
	__u64 args = 0, size = 0, first[2] = {};

	bpf_probe_read_user(&args, sizeof(args), (void *)(exception + head + 8));
	bpf_probe_read_user(&size, sizeof(size), (void *)(args + head));
	if (!size)
		return 0;
	bpf_probe_read_user(first, sizeof(first), (void *)(args + head + 8));
	if (is_str(first[0], head))
		return first[0];
	/* A hash has no type; of another object's neighbour, as in OSError(2, "..."), nothing is asked. */
	return !type_name(first[0], head) && is_str(first[1], head) ? first[1] : 0;
}

/* PyErr_Display(type, value, traceback): an exception that nobody caught is about to be printed. */
static __always_inline int tell_uncaught(struct pt_regs *ctx, __u64 head, __u64 layout)
{
	__u64 value = PT_REGS_PARM2(ctx), message;
	struct process *p = current_process();
	struct characters c = {};
	struct long_event *l;
	__u64 bytes = 0;

	if (!p || !value)
		return 0;
	l = bpf_ringbuf_reserve(&ring, sizeof(*l), 0);
	if (!l) {
		count_lost();
		return 0;
	}
	fill(&l->e, IMP_BPF_UNCAUGHT);
	l->e.a = value;
	if (bpf_probe_read_user_str(l->text, IMP_BPF_TYPE_MAX, (void *)type_name(value, head)) <= 0)
		l->text[0] = '\0';
	l->e.len = IMP_BPF_TYPE_MAX;
	message = first_argument(value, head);
	if (message)
		find_characters(message, layout, &c);
	if (c.width)
		bytes = c.n < IMP_BPF_TEXT_MAX ? c.n * c.width : IMP_BPF_TEXT_MAX;
	if (!BYTES_WITHIN(bytes, IMP_BPF_TEXT_MAX - IMP_BPF_TYPE_MAX))
		bytes = IMP_BPF_TEXT_MAX - IMP_BPF_TYPE_MAX; /* a whole number of characters */
	if (bytes && !bpf_probe_read_user(l->text + IMP_BPF_TYPE_MAX, bytes, (void *)c.at)) {
		l->e.b = c.width;
		l->e.c = bytes / c.width;
		l->e.len += bytes;
	}
	bpf_ringbuf_submit(l, wake(true));
	return 0;
}

SEC("uprobe")
int uncaught_wstr(struct pt_regs *ctx)
{
	return tell_uncaught(ctx, 16, LAYOUT_WSTR);
}

SEC("uprobe")
int uncaught_plain(struct pt_regs *ctx)
{
	return tell_uncaught(ctx, 16, LAYOUT_PLAIN);
}

SEC("uprobe")
int uncaught_free(struct pt_regs *ctx)
{
	return tell_uncaught(ctx, 32, LAYOUT_FREE);
}
