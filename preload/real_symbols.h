/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IMP_PRELOAD_REAL_SYMBOLS_H
#define IMP_PRELOAD_REAL_SYMBOLS_H

#include <dlfcn.h>
#include <stddef.h>
#include <sys/types.h>
#include <sys/wait.h>

/*
 * The functions that we interpose: return type, name, parameters, arguments, and what is returned
 * where no object defines it.
 */
#define IMP_REAL_FUNCTIONS(X)                                                                   \
	/* the first: interpose_syscall_*.S */                                                  \
	X(long, syscall, (long number, long a, long b, long c, long d, long e, long f),         \
	  (number, a, b, c, d, e, f), imp_real_absent())                                        \
	X(int, prctl,                                                                           \
	  (int option, unsigned long a, unsigned long b, unsigned long c, unsigned long d),     \
	  (option, a, b, c, d), imp_real_absent())                                              \
	X(void *, dlopen, (const char *name, int flags), (name, flags), NULL)                   \
	X(void *, dlmopen, (Lmid_t ns, const char *name, int flags), (ns, name, flags), NULL)   \
	X(void *, dlsym, (void *handle, const char *name), (handle, name), NULL)                \
	X(void *, dlvsym, (void *handle, const char *name, const char *version),                \
	  (handle, name, version), NULL)                                                        \
	X(int, dlclose, (void *handle), (handle), -1)                                           \
	X(char *, dlerror, (void), (), NULL)                                                    \
	X(int, dlinfo, (void *handle, int request, void *info), (handle, request, info), -1)    \
	X(int, execve, (const char *path, char *const argv[], char *const envp[]),              \
	  (path, argv, envp), imp_real_absent())                                                \
	X(int, execvpe, (const char *file, char *const argv[], char *const envp[]),             \
	  (file, argv, envp), imp_real_absent())                                                \
	X(int, fexecve, (int fd, char *const argv[], char *const envp[]), (fd, argv, envp),     \
	  imp_real_absent())                                                                    \
	X(int, execveat,                                                                        \
	  (int fd, const char *path, char *const argv[], char *const envp[], int flags),        \
	  (fd, path, argv, envp, flags), imp_real_absent())                                     \
	X(int, setuid, (uid_t uid), (uid), imp_real_absent())                                   \
	X(int, seteuid, (uid_t uid), (uid), imp_real_absent())                                  \
	X(int, setreuid, (uid_t real, uid_t effective), (real, effective), imp_real_absent())   \
	X(int, setresuid, (uid_t real, uid_t effective, uid_t saved), (real, effective, saved), \
	  imp_real_absent())                                                                    \
	X(int, chroot, (const char *path), (path), imp_real_absent())                           \
	X(int, unshare, (int flags), (flags), imp_real_absent())                                \
	X(int, setns, (int fd, int type), (fd, type), imp_real_absent())                        \
	X(pid_t, wait, (int *status), (status), imp_real_absent())                              \
	X(pid_t, waitpid, (pid_t pid, int *status, int options), (pid, status, options),        \
	  imp_real_absent())                                                                    \
	X(pid_t, wait3, (int *status, int options, struct rusage *usage),                       \
	  (status, options, usage), imp_real_absent())                                          \
	X(pid_t, wait4, (pid_t pid, int *status, int options, struct rusage *usage),            \
	  (pid, status, options, usage), imp_real_absent())                                     \
	X(int, waitid, (idtype_t type, id_t id, siginfo_t * info, int options),                 \
	  (type, id, info, options), imp_real_absent())                                         \
	X(void, _exit, (int status), (status), imp_real_absent_exit(status))                    \
	X(void, _Exit, (int status), (status), imp_real_absent_exit(status))                    \
	X(void, quick_exit, (int status), (status), imp_real_absent_exit(status))

/*
 * The next definition of each: that of the first object after ours in search order, so that a
 * second interposer (libasan) stays in the chain; libc's where we were loaded last (attach). Each
 * pointer starts at a function that resolves all of them and goes on there: never NULL.
 */
struct imp_real_symbols {
#define X(type, name, params, args, absent) type(*name) params;
	IMP_REAL_FUNCTIONS(X)
#undef X
};

extern struct imp_real_symbols imp_real;

/*
 * imp_real_symbols_init - resolve what is not resolved yet
 *
 * Called by the constructor, and by the resolvers where something came before it. Uses
 * dl_iterate_phdr() and reads symbol tables: dlsym is ours, and it would change what dlerror() owes
 * to the program. Cheap once all is resolved; may run in several threads at once.
 */
void imp_real_symbols_init(void);

/*
 * imp_real_symbols_find - libc's own definition of a function, whoever interposes it
 * @name: e.g. "__register_atfork"
 * Returns NULL where libc does not export it.
 */
void *imp_real_symbols_find(const char *name);

#endif
