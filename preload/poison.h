/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Names that no file in preload/ may use. The last include of every source there: what stands before it
 * (headers with inline functions) may still name them.
 *
 * No include guard, on purpose: to poison a name twice does no harm, and a guard would invite somebody
 * to include this from a header.
 */

/* The heap is the program's: it may be replaced, locked, exhausted or broken when we run. */
#pragma GCC poison malloc calloc realloc reallocarray free memalign posix_memalign aligned_alloc valloc
#pragma GCC poison strdup strndup asprintf vasprintf getline getdelim open_memstream
#pragma GCC poison opendir fdopendir readdir closedir scandir realpath canonicalize_file_name \
	get_current_dir_name

/* stdio takes locks, allocates buffers and follows the locale. */
#pragma GCC poison printf fprintf vprintf vfprintf dprintf vdprintf sprintf vsprintf snprintf vsnprintf
#pragma GCC poison puts fputs fputc putc putchar perror fopen fdopen freopen fclose fread fwrite fflush
#pragma GCC poison fgets fgetc getc getchar scanf fscanf sscanf

/* Locale, and what translates messages. */
#pragma GCC poison setlocale uselocale newlocale strerror strerror_r strsignal strcoll strxfrm gettext
#pragma GCC poison strtod strtof strtold atof localtime localtime_r strftime tzset mktime

/* The environment is read once, by init.c, without these. */
#pragma GCC poison getenv secure_getenv setenv putenv unsetenv clearenv

/* The program's signals, threads and end are its own. */
#pragma GCC poison signal sigaction sigprocmask pthread_sigmask raise kill abort exit
#pragma GCC poison pthread_create pthread_key_create pthread_setspecific pthread_getspecific \
	pthread_once
#pragma GCC poison pthread_mutex_lock pthread_mutex_trylock pthread_rwlock_rdlock pthread_rwlock_wrlock
#pragma GCC poison atexit alarm setitimer timer_create

/* Cancellation points: a thread cancelled in one of them would leave our lock held (raw_syscall.h). */
#pragma GCC poison nanosleep usleep sleep clock_nanosleep fsync fdatasync lockf
