/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "real_symbols.h"

#include <alloca.h>
#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "dlsym_cache.h"
#include "process_event.h"
#include "raw_syscall.h"
#include "recorder.h"
#include "thread_slot.h"

#include "poison.h"

/*
 * What replaces or ends the image without running its exit handlers: the batch is written first.
 *
 * posix_spawn(), system() and popen() are not here. libc calls its own exec in them, in a vfork child: the
 * parent's image goes on, and the child's begins with its own record. In a vfork child nothing of this
 * does anything (imp_thread_enter_bare() gives NULL), since its memory is the parent's.
 */
#define EXPORT __attribute__((visibility("default")))

#define ARGS_ON_STACK 4096 /* pointers; libc puts any number there */

extern char **environ;

/* ---- exec ---------------------------------------------------------------------------------------- */

/* The file that a descriptor is open on. */
static void put_fd_name(struct imp_cbor *c, struct imp_thread *t, int fd)
{
	char path[32] = "/proc/self/fd/", digits[12], *to = path + strlen(path);
	unsigned int value = (unsigned int)fd;
	long len;
	int n = 0;

	do
		digits[n++] = (char)('0' + value % 10);
	while (value /= 10);
	while (n)
		*to++ = digits[--n];
	len = imp_sys(SYS_readlinkat, AT_FDCWD, (long)path, (long)t->text, sizeof(t->text), 0);
	if (len > 0)
		imp_put_text(c, IMP_KEY_EXE, t->text, (size_t)len);
}

/* @path: NULL where @fd is what is executed */
static void record_exec(int fd, const char *path, char *const *argv)
{
	struct imp_thread *t = imp_thread_enter_bare();
	struct imp_cbor *c;

	if (!t)
		return;
	imp_dlsym_cache_drain(t);
	c = imp_record_begin(t, IMP_EV_EXEC);
	if (path)
		imp_process_put_path(c, t, IMP_KEY_EXE, path);
	else
		put_fd_name(c, t, fd);
	imp_process_put_argv(c, t, argv);
	imp_record_end(t);
	imp_record_flush_last();
	imp_thread_leave(t);
}

/* exec came back; errno says why, and still does so afterwards. */
static int record_exec_failed(int ret)
{
	struct imp_thread *t = imp_thread_enter_bare();
	struct imp_cbor *c;

	if (!t)
		return ret;
	c = imp_record_begin(t, IMP_EV_EXEC_FAILED);
	imp_put_uint(c, IMP_KEY_ERRNO, (uint64_t)t->saved_errno);
	imp_record_end(t);
	imp_thread_leave(t);
	return ret;
}

/* After an attach those names are libc's to us, too: what is shared is called by a name of its own. */
static int exec_path(const char *path, char *const argv[], char *const envp[])
{
	record_exec(-1, path, argv);
	return record_exec_failed(imp_real.execve(path, argv, envp));
}

static int exec_file(const char *file, char *const argv[])
{
	record_exec(-1, file, argv);
	return record_exec_failed(imp_real.execvpe(file, argv, environ));
}

EXPORT int execve(const char *path, char *const argv[], char *const envp[])
{
	return exec_path(path, argv, envp);
}

EXPORT int execv(const char *path, char *const argv[])
{
	return exec_path(path, argv, environ);
}

EXPORT int execvpe(const char *file, char *const argv[], char *const envp[])
{
	record_exec(-1, file, argv);
	return record_exec_failed(imp_real.execvpe(file, argv, envp));
}

EXPORT int execvp(const char *file, char *const argv[])
{
	return exec_file(file, argv);
}

EXPORT int fexecve(int fd, char *const argv[], char *const envp[])
{
	record_exec(fd, NULL, argv);
	return record_exec_failed(imp_real.fexecve(fd, argv, envp));
}

EXPORT int execveat(int fd, const char *path, char *const argv[], char *const envp[], int flags)
{
	record_exec(fd, flags & AT_EMPTY_PATH ? NULL : path, argv);
	return record_exec_failed(imp_real.execveat(fd, path, argv, envp, flags));
}

/* ---- exec with its arguments one by one ---------------------------------------------------------- */

struct arguments {
	size_t count; /* without the NULL at their end */
	char **argv;
	size_t mapped; /* bytes, where they are too many for the stack */
};

/* As libc counts them: @first is one, whatever it is. */
static size_t count_arguments(va_list list)
{
	size_t count = 1;

	while (va_arg(list, char *))
		count++;
	return count;
}

static char **map_arguments(struct arguments *args)
{
	void *memory;

	args->mapped = (args->count + 1) * sizeof(char *);
	memory = mmap(NULL, args->mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
		      0);
	return memory == MAP_FAILED ? NULL : memory;
}

/* A macro, for the sake of alloca(): the list must live in the caller. */
#define COLLECT(args, first)                                                        \
	do {                                                                        \
		va_list list_;                                                      \
                                                                                    \
		va_start(list_, first);                                             \
		(args).count = count_arguments(list_);                              \
		va_end(list_);                                                      \
		(args).mapped = 0;                                                  \
		(args).argv = (args).count < ARGS_ON_STACK ?                        \
				      alloca(((args).count + 1) * sizeof(char *)) : \
				      map_arguments(&(args));                       \
		if (!(args).argv) {                                                 \
			errno = ENOMEM;                                             \
			return -1;                                                  \
		}                                                                   \
	} while (0)

/* Returns what follows the NULL: execle()'s environment. */
static void fill_arguments(struct arguments *args, const char *first, va_list list)
{
	args->argv[0] = (char *)first;
	for (size_t i = 1; i <= args->count; i++) /* the NULL too */
		args->argv[i] = va_arg(list, char *);
}

static int release(struct arguments *args, int ret)
{
	int saved = errno;

	if (args->mapped)
		munmap(args->argv, args->mapped);
	errno = saved;
	return ret;
}

EXPORT int execl(const char *path, const char *arg, ...)
{
	struct arguments args;
	va_list list;

	COLLECT(args, arg);
	va_start(list, arg);
	fill_arguments(&args, arg, list);
	va_end(list);
	return release(&args, exec_path(path, args.argv, environ));
}

EXPORT int execlp(const char *file, const char *arg, ...)
{
	struct arguments args;
	va_list list;

	COLLECT(args, arg);
	va_start(list, arg);
	fill_arguments(&args, arg, list);
	va_end(list);
	return release(&args, exec_file(file, args.argv));
}

EXPORT int execle(const char *path, const char *arg, ...)
{
	struct arguments args;
	char *const *envp;
	va_list list;

	COLLECT(args, arg);
	va_start(list, arg);
	fill_arguments(&args, arg, list);
	envp = va_arg(list, char *const *);
	va_end(list);
	return release(&args, exec_path(path, args.argv, envp));
}

/* ---- the end without exit handlers --------------------------------------------------------------- */

static void record_fast_exit(int status)
{
	struct imp_thread *t = imp_thread_enter_bare();

	if (!t)
		return;
	imp_dlsym_cache_drain(t);
	imp_process_event_end(t, IMP_END_FAST_EXIT, status);
	imp_record_flush_last();
	imp_thread_leave(t);
}

EXPORT void _exit(int status)
{
	record_fast_exit(status);
	imp_real._exit(status);
	__builtin_unreachable();
}

EXPORT void _Exit(int status)
{
	record_fast_exit(status);
	imp_real._Exit(status);
	__builtin_unreachable();
}

EXPORT void quick_exit(int status)
{
	record_fast_exit(status);
	imp_real.quick_exit(status);
	__builtin_unreachable();
}
