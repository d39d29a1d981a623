/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "safe_point.h"

#include <errno.h>
#include <fnmatch.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "waiting_call.h"

/* Functions of libc (and its libpthread, before 2.34) that hold no lock of libc and leave nothing half done. */
static const char *const harmless[] = {
	"read",
	"pread",
	"pread64",
	"readv",
	"preadv",
	"preadv64",
	"recv",
	"recvfrom",
	"recvmsg",
	"recvmmsg",
	"accept",
	"accept4",
	"poll",
	"ppoll",
	"select",
	"pselect",
	"epoll_wait",
	"epoll_pwait",
	"epoll_pwait2",
	"nanosleep",
	"clock_nanosleep",
	"usleep",
	"sleep",
	"pause",
	"sigsuspend",
	"wait",
	"waitpid",
	"wait3",
	"wait4",
	"waitid",
	"sigwait",
	"sigwaitinfo",
	"sigtimedwait",
	"msgrcv",
	"semop",
	"semtimedop",
	"syscall",
	"sched_yield",
	"pthread_cond_wait",
	"pthread_cond_timedwait",
	"pthread_cond_clockwait",
	"pthread_mutex_lock",
	"pthread_mutex_timedlock",
	"pthread_mutex_clocklock",
	"pthread_mutex_trylock",
	"pthread_mutex_unlock",
	"pthread_rwlock_rdlock",
	"pthread_rwlock_wrlock",
	"pthread_rwlock_unlock",
	"pthread_join",
	"pthread_timedjoin_np",
	"pthread_barrier_wait",
	"sem_wait",
	"sem_timedwait",
	"sem_clockwait",
	"sem_post",
	"pthread_cond_signal",
	"pthread_cond_broadcast",
	"pthread_getspecific",
	"pthread_setspecific",
	"pthread_self",
	"sched_getcpu",
	"getcpu",
	"clock_gettime",
	"gettimeofday",
	"time",
	"getpid",
	"gettid",
	"getppid",
	"open",
	"open64",
	"openat",
	"openat64",
	"close",
	"stat",
	"stat64",
	"fstat",
	"fstat64",
	"lstat",
	"lstat64",
	"fstatat",
	"fstatat64",
	"access",
	"readlink",
	"lseek",
	"lseek64",
	"write",
	"pwrite",
	"pwrite64",
	"writev",
	"send",
	"sendto",
	"sendmsg",
	"fsync",
	"fdatasync",
	"ioctl",
	"fcntl",
	"fcntl64",
	"kill",
	"tgkill",
	"sigaction",
	"pthread_sigmask",
	"sigprocmask",
	"mmap",
	"mmap64",
	"munmap",
	"mprotect",
	"madvise",
	"memcpy",
	"memmove",
	"memset",
	"memcmp",
	"memchr",
	"memrchr",
	"rawmemchr",
	"strlen",
	"strnlen",
	"strcmp",
	"strncmp",
	"strchr",
	"strrchr",
	"strchrnul",
	"strcpy",
	"strncpy",
	"strcat",
	"strspn",
	"strcspn",
	"strstr",
	"strtol",
	"strtoul",
	"strtoll",
	"strtoull",
	"strtod",
	"abs",
	"setjmp",
	"_setjmp",
	"__sigsetjmp",
	"longjmp",
	"_longjmp",
	"rand_r",
	"swapcontext",
	"getcontext",
	"setcontext",
};

/* Of a thread that waits in the kernel: those that it must not be in even so. */
static const char *const harmful[] = {
	"malloc",	"free",		  "calloc",	     "realloc",
	"memalign",	"posix_memalign", "aligned_alloc",   "valloc",
	"pvalloc",	"malloc_trim",	  "mallinfo",	     "mallinfo2",
	"fork",		"vfork",	  "_Fork",	     "posix_spawn",
	"posix_spawnp", "exit",		  "quick_exit",	     "__cxa_finalize",
	"__cxa_atexit", "pthread_create", "pthread_atfork",  "__register_atfork",
	"on_exit",	"dlopen",	  "dlmopen",	     "dlsym",
	"dlvsym",	"dlclose",	  "dlerror",	     "dladdr",
	"dladdr1",	"dlinfo",	  "dl_iterate_phdr", "__libc_dlopen_mode",
	"__libc_dlsym", "_dl_find_object"};

/* Where stacks begin. */
static const char *const beginnings[] = {"__libc_start_main", "clone", "__clone", "clone3",
					 "__clone3"};

/* Functions of CPython that hold the lock which Py_AddPendingCall() wants. */
static const char *const pending[] = {"Py_AddPendingCall",	"Py_MakePendingCalls",
				      "_PyEval_AddPendingCall", "_PyEval_MakePendingCalls",
				      "_Py_HandlePending",	"_PyEval_SignalReceived"};

/* Allocators that a program may carry itself. */
static const char *const allocating[] = {"malloc",	   "free",	    "calloc",	"realloc",
					 "posix_memalign", "aligned_alloc", "memalign", "valloc",
					 "_Znwm",	   "_Znam",	    "_ZdlPv",	"_ZdaPv",
					 "_ZdlPvm",	   "cfree",	    "pvalloc"};

/* Objects that are an allocator, or bring one and take locks in it. */
static const char *const allocators[] = {"libjemalloc*", "libtcmalloc*", "libmimalloc*",
					 "libsnmalloc*", "libasan*",	 "libtsan*",
					 "libhoard*",	 "libhwasan*"};

static const char *const loaders[] = {"ld-linux*", "ld-2.*", "ld64.so*"};

#define STACK_MAX (2u << 20) /* bytes of a stack that are looked through */

#define COUNT(list) (sizeof(list) / sizeof(*(list)))

static bool in_list(const char *name, const char *const *list, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(list[i], name) == 0)
			return true;
	return false;
}

static bool matches(const char *name, const char *const *list, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (fnmatch(list[i], name, 0) == 0)
			return true;
	return false;
}

/* The name of @list that the function at @start has among others; NULL: none. @any: some name it has. */
static const char *name_at(const struct imp_object_image *img, uint64_t start,
			   const char *const *list, size_t n, const char **any)
{
	const struct imp_image_symbol *s = imp_object_image_at(img, start);

	if (any)
		*any = s ? s->name : NULL;
	if (!s)
		return NULL;
	while (s > img->symbols.v && s[-1].address == s->address)
		s--;
	for (const uint64_t address = s->address;
	     s < img->symbols.v + img->symbols.n && s->address == address; s++)
		if (in_list(s->name, list, n))
			return s->name;
	return NULL;
}

/* ---- one run of frames within libc ---------------------------------------------------------------------------- */

/*
 * @frames: @n of them that libc's functions have called one another for, the innermost first
 * @leaf:   nothing was called from there
 * @bottom: the stack begins there
 * @waits:  the thread waits in the kernel
 */
static bool libc_run_is_harmless(const struct imp_safe_points *s, const struct imp_frame *frames,
				 size_t n, bool leaf, bool bottom, bool waits, char *why,
				 size_t size)
{
	const struct imp_frame *entry = &frames[n - 1];
	bool begins = false;

	for (size_t i = 0; i < n; i++) {
		const struct imp_object_image *img =
			frames[i].object == s->libc_at ? &s->libc : &s->pthread;
		const char *any;

		if (name_at(img, frames[i].function, beginnings, COUNT(beginnings), &any)) {
			begins = true;
			continue;
		}
		if (waits ? name_at(img, frames[i].function, harmful, COUNT(harmful), NULL) != NULL :
			    any && !name_at(img, frames[i].function, harmless, COUNT(harmless),
					    NULL)) {
			snprintf(why, size, "it is in %s()", any);
			return false;
		}
		if (!waits && !any && &frames[i] == entry && !bottom) {
			snprintf(why, size, "it is in an inner function of libc");
			return false;
		}
	}
	/* start_thread and clone3, or __libc_start_call_main and __libc_start_main: have called the program. */
	if ((begins || bottom) && !waits && (leaf || n > 2)) {
		snprintf(why, size, "it is starting or ending");
		return false;
	}
	return true;
}

static bool is_libc(const struct imp_safe_points *s, const struct imp_frame *f)
{
	return f->object && (f->object == s->libc_at || f->object == s->pthread_at);
}

static bool object_is_harmless(const struct imp_safe_points *s, const struct imp_frame *f,
			       char *why, size_t size)
{
	const char *name = NULL;

	if (matches(f->object->name, loaders, COUNT(loaders))) {
		snprintf(why, size, "it is in the dynamic loader");
		return false;
	}
	if (strncmp(f->object->path, "/memfd:imptrace", 15) == 0) {
		snprintf(why, size, "it is in the recorder");
		return false;
	}
	if (matches(f->object->name, allocators, COUNT(allocators))) {
		snprintf(why, size, "it is in %s", f->object->name);
		return false;
	}
	if (f->object == s->program_at)
		name = name_at(&s->program, f->function, allocating, COUNT(allocating), NULL);
	if (!name && f->object == s->program_at)
		name = name_at(&s->program, f->function, pending, COUNT(pending), NULL);
	if (!name && f->object == s->python_at)
		name = name_at(&s->python, f->function, pending, COUNT(pending), NULL);
	if (name)
		snprintf(why, size, "it is in %s()", name);
	return !name;
}

/*
 * A system call that would come back with less than the program asked for is left to end by itself.
 * @waits: set where the thread waits for something that no lock of libc has to do with: not in futex(2)
 */
static bool call_is_harmless(const struct imp_tracee *t, bool *waits)
{
#if defined __x86_64__
	const uint64_t args[6] = {t->regs.rdi, t->regs.rsi, t->regs.rdx,
				  t->regs.r10, t->regs.r8,  t->regs.r9};
	const long call = (long)t->regs.orig_rax;

	*waits = call >= 0 && call != SYS_futex && call != SYS_restart_syscall;
	return call < 0 || imp_waiting_call(call, args) != IMP_WAITING_OTHER;
#else
	(void)t;
	*waits = false;
	return false;
#endif
}

/* Is a signal handler on the stack? Looked for from the stack pointer on, to the end of its mapping. */
static bool in_handler(const struct imp_safe_points *s, const struct imp_tracee *t)
{
#if defined __x86_64__
	const struct imp_map *m = imp_maps_find(&s->target->maps, t->regs.rsp);
	uint64_t at = t->regs.rsp & ~(uint64_t)7, words[1024];
	const uint64_t end = m ? m->end : 0;

	if (!s->restore || end < at || end - at > STACK_MAX)
		return true; /* can't be told */
	while (at < end) {
		const size_t len = end - at < sizeof(words) ? (size_t)(end - at) : sizeof(words);

		if (imp_memory_read(&s->target->mem, at, words, len) < 0)
			return true;
		for (size_t i = 0; i < len / sizeof(*words); i++)
			if (words[i] == s->restore)
				return true;
		at += len;
	}
	return false;
#else
	(void)s;
	(void)t;
	return true;
#endif
}

bool imp_safe_point(struct imp_safe_points *s, const struct imp_tracee *t, char *why, size_t size,
		    bool *unknown)
{
	struct imp_frame frames[IMP_FRAMES_MAX];
	size_t n, i, run;
	bool whole, waits;

	*unknown = false;
	if (!call_is_harmless(t, &waits)) {
		snprintf(why, size, "it is in a system call that must not be cut short");
		return false;
	}
	n = imp_unwind(s->unwinder, &t->regs, frames, IMP_FRAMES_MAX, &whole);
	for (i = 0; i < n; i++) {
		if (frames[i].signal) {
			snprintf(why, size, "it is in a signal handler");
			return false;
		}
		/* Code that was made at run time has no unwind table; what is nowhere is where the stack got lost. */
		if (!frames[i].object) {
			*unknown = i == 0 && !imp_maps_find(&s->target->maps, frames[i].pc);
			whole = false;
			n = i;
			break;
		}
		if (!is_libc(s, &frames[i]) && !object_is_harmless(s, &frames[i], why, size))
			return false;
	}
	if (*unknown) {
		snprintf(why, size, "it is in an object that was just loaded");
		return false;
	}
	if ((!whole || n == IMP_FRAMES_MAX) && in_handler(s, t)) {
		snprintf(why, size, "it is in a signal handler, or its stack cannot be read");
		return false;
	}
	for (i = 0; i < n; i += run) {
		for (run = 0; i + run < n && is_libc(s, &frames[i + run]); run++)
			;
		if (run && !libc_run_is_harmless(s, &frames[i], run, i == 0,
						 whole && i + run == n && n < IMP_FRAMES_MAX, waits,
						 why, size))
			return false;
		run += !run;
	}
	return true;
}

/* ---- beforehand --------------------------------------------------------------------------------------------- */

static void read_image(struct imp_safe_points *s, struct imp_object_image *img,
		       const struct imp_mapped_object *o)
{
	if (o)
		imp_object_image_read(img, &s->arena, &s->target->mem, o->start, true);
}

/* The program file, as /proc/PID/maps names it too. */
static const char *program_path(pid_t pid, char *path, size_t size)
{
	char link[40], *deleted;
	ssize_t n;

	snprintf(link, sizeof(link), "/proc/%d/exe", (int)pid);
	n = readlink(link, path, size - 1);
	path[n < 0 ? 0 : n] = '\0';
	deleted = strstr(path, " (deleted)");
	if (deleted)
		*deleted = '\0';
	return path;
}

int imp_safe_points_open(struct imp_safe_points *s, const struct imp_target *t,
			 struct imp_error *err)
{
	static const uint8_t restore[] = {0x48, 0xc7, 0xc0, 0x0f, 0, 0, 0, 0x0f, 0x05};
	char path[PATH_MAX];
	const char *program;

	imp_arena_clear(&s->arena);
	s->target = t;
	if (!s->unwinder)
		s->unwinder = imp_unwinder_new(&t->mem, &t->maps);
	if (!s->unwinder)
		return imp_error_set(err, -ENOMEM, "no memory to look at stacks");
	imp_unwinder_forget(s->unwinder);
	s->libc_at = t->libc;
	s->pthread_at = s->python_at = NULL;
	s->program_at = NULL;
	program = program_path(t->pid, path, sizeof(path));
	for (size_t i = 0; i < t->maps.objects.n; i++) {
		const struct imp_mapped_object *o = &t->maps.objects.v[i];

		if (!o->exec)
			continue;
		if (!s->program_at && strcmp(o->path, program) == 0)
			s->program_at = o;
		if (strncmp(o->name, "libpthread", 10) == 0)
			s->pthread_at = o;
		else if (strncmp(o->name, "libpython", 9) == 0)
			s->python_at = o;
		/* Frames are looked up in what is known: to read it now takes nothing of the stop's time. */
		imp_unwinder_image(s->unwinder, o);
	}
	read_image(s, &s->libc, s->libc_at);
	read_image(s, &s->pthread, s->pthread_at);
	read_image(s, &s->python, s->python_at);
	read_image(s, &s->program, s->program_at);
	s->restore = imp_object_image_bytes(&s->libc, &t->mem, restore, sizeof(restore));
	if (!s->libc.symbols.n)
		return imp_error_set(err, -EBADMSG,
				     "the functions of %s cannot be read in process %d",
				     t->libc->path, (int)t->pid);
	return 0;
}

void imp_safe_points_close(struct imp_safe_points *s)
{
	imp_unwinder_free(s->unwinder);
	imp_arena_clear(&s->arena);
	memset(s, 0, sizeof(*s));
}
