/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "recorder.h"

#include <link.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>

#include "attach.h"
#include "audit_events.h"
#include "dlsym_cache.h"
#include "link_map_diff.h"
#include "needed_files.h"
#include "output.h"
#include "process_event.h"
#include "raw_syscall.h"
#include "real_symbols.h"
#include "remark.h"

#include "poison.h"

#define ENVIRON_MAX 510 /* variables; more of them are put into a mapping */
#define AUXV_MAX    64	/* entries of the auxiliary vector; the kernel has some 25 */
#define VALUE_SHOWN 64	/* bytes of a bad value that are shown */

extern char **environ;

/* Used once, by the constructor; environ may point here for the process's life. */
static char marker_variable[sizeof(IMP_RUN_VARIABLE "=") + IMP_RUN_MARKER_MAX];
static char *environ_copy[ENVIRON_MAX + 2 + 2 * AUXV_MAX];

/* ---- the environment ----------------------------------------------------------------------------- */

/* Where a variable stands in the environment; NULL: nowhere. */
static char **find_variable(const char *name)
{
	size_t len = strlen(name);

	for (char **at = environ; at && *at; at++)
		if (strncmp(*at, name, len) == 0 && (*at)[len] == '=')
			return at;
	return NULL;
}

static const char *get_variable(const char *name)
{
	char **at = find_variable(name);

	return at ? *at + strlen(name) + 1 : NULL;
}

/* The words of the auxiliary vector, which the kernel puts behind the environment; 0: that is another one. */
static size_t auxv_words(char *const *argv, int argc, size_t count)
{
	const ElfW(auxv_t) *auxv = (const ElfW(auxv_t) *)(environ + count + 1);
	size_t n = 0;

	if (environ != argv + argc + 1)
		return 0;
	while (auxv[n].a_type != AT_NULL)
		n++;
	return n < AUXV_MAX ? 2 * (n + 1) : 0;
}

/*
 * IMPTRACE_RUN for the processes to come. No setenv(): that would use the heap. Programs that know no
 * getauxval() look for the auxiliary vector behind main's third argument, so it follows there as well.
 */
static void set_marker(const struct imp_output *out, int argc, char *const *argv)
{
	const size_t prefix = sizeof(IMP_RUN_VARIABLE "=") - 1;
	char **at = find_variable(IMP_RUN_VARIABLE), **copy = environ_copy;
	size_t count = 0, auxv;

	memcpy(marker_variable, IMP_RUN_VARIABLE "=", prefix);
	if (!out || !imp_output_marker(out, marker_variable + prefix, IMP_RUN_MARKER_MAX))
		memcpy(marker_variable + prefix, IMP_RUN_OFF, sizeof(IMP_RUN_OFF));
	if (at) {
		*at = marker_variable;
		return;
	}
	while (environ && environ[count])
		count++;
	if (count > ENVIRON_MAX) {
		copy = mmap(NULL, (count + 2 + 2 * AUXV_MAX) * sizeof(*copy),
			    PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (copy == MAP_FAILED)
			return;
	}
	if (count)
		memcpy(copy, environ, count * sizeof(*copy));
	copy[count] = marker_variable;
	copy[count + 1] = NULL;
	auxv = auxv_words(argv, argc, count);
	if (auxv)
		memcpy(copy + count + 2, environ + count + 1, auxv * sizeof(*copy));
	environ = copy;
}

/* ---- options ------------------------------------------------------------------------------------- */

static void complain(struct imp_remark *remark, const char *name, const char *value,
		     const char *what)
{
	char shown[VALUE_SHOWN + 1];
	size_t len = strnlen(value, VALUE_SHOWN);

	if (remark->len)
		imp_remark_add(remark, "; ");
	else
		imp_remark_begin(remark);
	memcpy(shown, value, len);
	shown[len] = '\0';
	imp_remark_add(remark, name);
	imp_remark_add(remark, "=");
	imp_remark_add(remark, shown);
	if (value[len])
		imp_remark_add(remark, IMP_TEXT_CUT);
	imp_remark_add(remark, ": ");
	imp_remark_add(remark, what);
}

/* An empty value is none: that is how a shell script unsets one for a command. */
static void read_which(struct imp_remark *remark, const char *name, enum imp_which *which)
{
	static const char *const words[] = {"none", "failures", "all"};
	const char *value = get_variable(name);

	if (!value || !*value)
		return;
	for (unsigned int i = 0; i < 3; i++) {
		if (strcmp(value, words[i]) == 0) {
			*which = (enum imp_which)i;
			return;
		}
	}
	complain(remark, name, value,
		 *which == IMP_ALL ? "not none, failures or all; using all" :
				     "not none, failures or all; using failures");
}

static void read_follow(struct imp_remark *remark)
{
	const char *value = get_variable("IMPTRACE_FOLLOW");

	if (!value || !*value || strcmp(value, "1") == 0)
		return;
	if (strcmp(value, "0") == 0)
		imp_options.follow = false;
	else
		complain(remark, "IMPTRACE_FOLLOW", value, "not 0 or 1; using 1");
}

static void read_level(struct imp_remark *remark)
{
	const char *value = get_variable("IMPTRACE_LEVEL"), *digit = value;
	int level = 0;

	if (!value || !*value)
		return;
	while (*digit >= '0' && *digit <= '9' && level < 100)
		level = level * 10 + *digit++ - '0';
	if (!*digit && level >= 1 && level <= 19)
		imp_options.level = level;
	else
		complain(remark, "IMPTRACE_LEVEL", value, "not 1 to 19; using 3");
}

static void read_options(struct imp_remark *remark)
{
	read_which(remark, "IMPTRACE_STACKS", &imp_options.stacks);
	read_which(remark, "IMPTRACE_DLSYM", &imp_options.dlsym);
	read_follow(remark);
	read_level(remark);
}

/* ---- the run ------------------------------------------------------------------------------------- */

/* Returns 0 where the process begins a run, 1 where it takes part in one, or a negative errno. */
static int find_run(struct imp_output *out, struct imp_remark *remark)
{
	const char *marker = get_variable(IMP_RUN_VARIABLE), *path = get_variable("IMPTRACE_OUTPUT");
	const char *why = NULL, *name;
	int ret;

	if (marker && strcmp(marker, IMP_RUN_OFF) == 0)
		return -ECANCELED;
	if (marker && imp_output_join(out, marker) == 0)
		return 1;
	if (!path || !*path)
		path = IMP_OUTPUT_DEFAULT;
	ret = imp_output_set_path(out, path);
	if (ret == 0)
		ret = imp_output_create(out, &why);
	if (ret < 0) {
		if (remark->len)
			imp_remark_add(remark, "; ");
		else
			imp_remark_begin(remark);
		name = ret == -ENAMETOOLONG ? NULL : imp_output_name(out);
		imp_remark_add(remark, name && *name ? name : path);
		imp_remark_add(remark, ": ");
		if (why)
			imp_remark_add(remark, why);
		else
			imp_remark_add_error(remark, ret);
		imp_remark_add(remark, "; nothing is recorded");
	}
	return ret;
}

/* ---- the image ----------------------------------------------------------------------------------- */

static void write_forked(struct imp_thread *t)
{
	imp_process_event_write(t, IMP_START_FORK, NULL);
}

static void after_fork_in_child(void)
{
	imp_recorder_fork_child();
	imp_recorder_stay_quiet();
	imp_objects_forget();
	imp_dlsym_cache_forget();
}

/*
 * Registered before anything else of the process could be, so it runs last: after its exit handlers and
 * all destructors.
 */
static void at_exit(int status, void *unused)
{
	struct imp_thread *t = imp_thread_enter_bare();

	(void)unused;
	if (!t)
		return;
	imp_dlsym_cache_drain(t);
	imp_process_event_end(t, IMP_END_EXIT, status);
	imp_recorder_stop();
	imp_thread_leave(t);
}

static void start_image(enum imp_start how, char *const *argv)
{
	struct imp_thread *t = imp_thread_enter();

	if (!t)
		return;
	imp_process_event_write(t, how, argv);
	imp_needed_files_init(environ);
	imp_audit_events_start(t);
	imp_objects_update(t);
	imp_thread_leave(t);
}

static void start(int argc, char **argv)
{
	static const struct imp_recorder_hooks hooks = {
		.process = write_forked,
		.objects = imp_objects_update,
	};
	static struct imp_output out; /* too large for a stack */
	uint64_t image_ns = imp_now_ns();
	struct imp_remark remark = {.len = 0};
	int joined;

	read_options(&remark);
	joined = find_run(&out, &remark);
	if (joined > 0 || joined == -ECANCELED) /* the run's first process has complained already */
		remark.len = 0;
	if (joined < 0) {
		if (joined != -ECANCELED)
			set_marker(NULL, argc, argv);
	} else if (joined && !imp_options.follow && out.root_pid != imp_sys_getpid()) {
		joined = -ECANCELED;
	} else {
		set_marker(&out, argc, argv);
		imp_recorder_start(&out, image_ns, &hooks);
		imp_attach_set_recording(true);
		if (remark.len || joined)
			imp_recorder_stay_quiet();
	}
	if (remark.len)
		imp_remark_write(&remark);
	if (joined < 0)
		return;
	pthread_atfork(imp_recorder_fork_prepare, imp_recorder_fork_parent, after_fork_in_child);
	on_exit(at_exit, NULL);
	start_image(joined ? IMP_START_EXEC : IMP_START_FIRST, argv);
}

/*
 * A program with more rights than its caller is left alone: its output would be written, by its rights, to
 * where the caller wants it.
 */
__attribute__((constructor)) static void construct(int argc, char **argv)
{
	int saved = errno;

	if (imp_attach_is_copy()) /* recording begins with imptrace_attach() */
		return;
	imp_real_symbols_init();
	if (!getauxval(AT_SECURE))
		start(argc, argv);
	if (!imp_recorder_on())
		imp_audit_events_refuse();
	errno = saved;
}
