/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "process_event.h"

#include <gnu/libc-version.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "raw_syscall.h"
#include "recorder.h"

#include "poison.h"

#define ARGV_BYTES_MAX 16384 /* of an event that may take IMP_ITEM_MAX in all */
#define ENV_BYTES_MAX  32768

extern char **environ;

/* A name, or with the star all names that begin so. */
static const char *const env_allowed[] = {
	"PATH", "PYTHON*", "VIRTUAL_ENV", "CONDA_*", "LD_*", "HOME",
};

static bool is_allowed(const char *variable)
{
	for (size_t i = 0; i < sizeof(env_allowed) / sizeof(env_allowed[0]); i++) {
		const char *name = env_allowed[i];
		size_t len = strcspn(name, "*");

		if (strncmp(variable, name, len) == 0 && (name[len] == '*' || variable[len] == '='))
			return true;
	}
	return false;
}

static void put_string(struct imp_cbor *c, unsigned int key, const char *text)
{
	if (text)
		imp_put_text(c, key, text, strlen(text));
}

/* One text of a list that has taken @start on; false where the list is full, and says so. */
static bool add_text(struct imp_cbor *c, size_t start, size_t max, const char *text, size_t len)
{
	if (c->len - start + (len < IMP_TEXT_MAX ? len : IMP_TEXT_MAX) > max) {
		imp_value_text(c, IMP_TEXT_CUT, sizeof(IMP_TEXT_CUT) - 1);
		return false;
	}
	imp_value_text(c, text, len);
	return true;
}

/* ---- the program's memory ------------------------------------------------------------------------ */

int imp_process_read(void *to, const void *from, size_t len)
{
	struct iovec local = {.iov_base = to, .iov_len = len};
	struct iovec remote = {.iov_base = (void *)(uintptr_t)from, .iov_len = len};
	int saved = errno;
	ssize_t ret = process_vm_readv(imp_recorder_pid(), &local, 1, &remote, 1, 0);

	if (ret < 0 && errno != EFAULT) {
		memcpy(to, from, len);
		ret = (ssize_t)len;
	}
	errno = saved;
	return ret == (ssize_t)len ? 0 : -EFAULT;
}

/* A string, or its beginning, in @t->text. Page by page: the one behind its end may not be there. */
static ssize_t read_text(struct imp_thread *t, const char *from)
{
	const size_t page = getauxval(AT_PAGESZ);
	size_t len = 0;

	while (len < sizeof(t->text)) {
		size_t more = page - (uintptr_t)(from + len) % page;
		const char *end;

		if (more > sizeof(t->text) - len)
			more = sizeof(t->text) - len;
		if (imp_process_read(t->text + len, from + len, more) < 0)
			return -EFAULT;
		end = memchr(t->text + len, '\0', more);
		if (end)
			return end - t->text;
		len += more;
	}
	return (ssize_t)len;
}

void imp_process_put_path(struct imp_cbor *c, struct imp_thread *t, unsigned int key,
			  const char *path)
{
	ssize_t len = path ? read_text(t, path) : -EFAULT;

	if (len >= 0)
		imp_put_text(c, key, t->text, (size_t)len);
}

void imp_process_put_argv(struct imp_cbor *c, struct imp_thread *t, char *const *argv)
{
	size_t start;
	char *arg;

	imp_put_array(c, IMP_KEY_ARGV);
	start = c->len;
	while (argv && imp_process_read(&arg, argv++, sizeof(arg)) == 0 && arg) {
		ssize_t len = read_text(t, arg);

		if (len >= 0 && !add_text(c, start, ARGV_BYTES_MAX, t->text, (size_t)len))
			break;
	}
	imp_cbor_array_end(c);
}

/* ---- IMP_EV_PROCESS ------------------------------------------------------------------------------ */

/* main's, as the kernel put them there. */
static void put_own_argv(struct imp_cbor *c, char *const *argv)
{
	size_t start;

	imp_put_array(c, IMP_KEY_ARGV);
	start = c->len;
	for (; *argv; argv++)
		if (!add_text(c, start, ARGV_BYTES_MAX, *argv, strlen(*argv)))
			break;
	imp_cbor_array_end(c);
}

/* The first bytes of /proc/self/cmdline, for an image that did not come out of exec. */
static void put_cmdline(struct imp_cbor *c, struct imp_thread *t)
{
	ssize_t len = imp_sys_read_file("/proc/self/cmdline", t->text, sizeof(t->text));
	const char *at = t->text, *end = t->text + (len > 0 ? len : 0);
	size_t start;

	imp_put_array(c, IMP_KEY_ARGV);
	start = c->len;
	while (at < end) {
		size_t n = strnlen(at, (size_t)(end - at));

		if (!add_text(c, start, ARGV_BYTES_MAX, at, n))
			break;
		at += n + 1;
	}
	if (len == (ssize_t)sizeof(t->text) - 1)
		imp_value_text(c, IMP_TEXT_CUT, sizeof(IMP_TEXT_CUT) - 1);
	imp_cbor_array_end(c);
}

static void put_exe(struct imp_cbor *c, struct imp_thread *t)
{
	long len = imp_sys(SYS_readlinkat, AT_FDCWD, (long)"/proc/self/exe", (long)t->text,
			   sizeof(t->text), 0);

	if (len > 0)
		imp_put_text(c, IMP_KEY_EXE, t->text, (size_t)len);
	else /* no /proc: what the kernel was given */
		put_string(c, IMP_KEY_EXE, (const char *)getauxval(AT_EXECFN));
}

static void put_cwd(struct imp_cbor *c, struct imp_thread *t)
{
	/* Not libc's getcwd(): that walks the directories where the system call fails. */
	long len = imp_sys(SYS_getcwd, (long)t->text, sizeof(t->text), 0, 0, 0);

	if (len > 1)
		imp_put_text(c, IMP_KEY_CWD, t->text, (size_t)len - 1);
}

static void put_ids(struct imp_cbor *c)
{
	imp_put_array(c, IMP_KEY_IDS);
	imp_cbor_uint(c, getuid());
	imp_cbor_uint(c, geteuid());
	imp_cbor_uint(c, getgid());
	imp_cbor_uint(c, getegid());
	imp_cbor_array_end(c);
}

static void put_env(struct imp_cbor *c)
{
	size_t start;

	imp_put_array(c, IMP_KEY_ENV);
	start = c->len;
	for (char **variable = environ; variable && *variable; variable++)
		if (is_allowed(*variable) &&
		    !add_text(c, start, ENV_BYTES_MAX, *variable, strlen(*variable)))
			break;
	imp_cbor_array_end(c);
}

static void put_machine(struct imp_cbor *c)
{
	struct utsname name;

	if (uname(&name) < 0)
		return;
	imp_put_array(c, IMP_KEY_MACHINE);
	imp_value_text(c, name.machine, strlen(name.machine));
	imp_value_text(c, name.release, strlen(name.release));
	imp_cbor_array_end(c);
}

static void put_host(struct imp_cbor *c)
{
	char boot_id[40]; /* 36 characters and a newline */
	ssize_t len = imp_sys_read_file("/proc/sys/kernel/random/boot_id", boot_id, sizeof(boot_id));
	struct stat root = {0};
	int saved = errno;

	if (stat("/", &root) < 0)
		errno = saved;
	imp_put_array(c, IMP_KEY_HOST);
	imp_value_text(c, boot_id, len > 0 ? strcspn(boot_id, "\n") : 0);
	imp_cbor_uint(c, root.st_dev);
	imp_cbor_uint(c, root.st_ino);
	imp_cbor_array_end(c);
}

void imp_process_event_write(struct imp_thread *t, enum imp_start how, char *const *argv)
{
	struct imp_cbor *c = imp_record_begin(t, IMP_EV_PROCESS);

	imp_put_uint(c, IMP_KEY_HOW, how);
	imp_put_uint(c, IMP_KEY_PPID, (uint64_t)getppid());
	if (imp_recorder_parent_image_ns())
		imp_put_uint(c, IMP_KEY_PARENT_IMAGE_NS, imp_recorder_parent_image_ns());
	put_exe(c, t);
	if (argv)
		put_own_argv(c, argv);
	else
		put_cmdline(c, t);
	put_cwd(c, t);
	put_ids(c);
	put_env(c);
	put_string(c, IMP_KEY_LIBC, gnu_get_libc_version());
	imp_put_uint(c, IMP_KEY_PAGE_SIZE, getauxval(AT_PAGESZ));
	put_machine(c);
	put_host(c);
	imp_record_end(t);
}

void imp_process_event_end(struct imp_thread *t, enum imp_end how, int code)
{
	struct imp_cbor *c = imp_record_begin(t, IMP_EV_PROCESS_END);

	imp_put_uint(c, IMP_KEY_HOW, how);
	if (how != IMP_END_DETACHED)
		imp_put_int(c, IMP_KEY_CODE, code & 0xff); /* all that a parent can see: wait(2) */
	imp_record_end(t);
}
