/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What mends a failed load: after what the rules themselves have found (a directory, a variable, another copy). */
#include <string.h>
#include <sys/stat.h>

#include "../python/distribution.h"
#include "../python/installer.h"
#include "../python/package_name.h"
#include "judge.h"
#include "remedy.h"
#include "vain_loads.h"

/*
 * Debian's packages of libraries whose name does not follow from the soname (Debian Policy 8.1: libfoo.so.1 is
 * in libfoo1). Source: packages.debian.org.
 */
static const struct {
	const char *soname, *package;
} packages[] = {
	{"libGL.so.1", "libgl1"},
	{"libEGL.so.1", "libegl1"},
	{"libGLX.so.0", "libglx0"},
	{"libOpenGL.so.0", "libopengl0"},
	{"libgthread-2.0.so.0", "libglib2.0-0"},
	{"libgobject-2.0.so.0", "libglib2.0-0"},
	{"libgio-2.0.so.0", "libglib2.0-0"},
	{"libgmodule-2.0.so.0", "libglib2.0-0"},
	{"libcblas.so.3", "libatlas3-base"},
	{"libatlas.so.3", "libatlas3-base"},
	{"liblapack.so.3", "liblapack3"},
	{"libblas.so.3", "libblas3"},
	{"libgdk_pixbuf-2.0.so.0", "libgdk-pixbuf-2.0-0"},
	{"libncursesw.so.6", "libncursesw6"},
	{"libnsl.so.1", "libnsl2"},
	{"libatomic.so.1", "libatomic1"},
	{"libquadmath.so.0", "libquadmath0"},
	{"libodbc.so.2", "libodbc2"},
	{"libmariadb.so.3", "libmariadb3"},
};

static const char *debian_package(const struct imp_case *c, const char *soname)
{
	const char *so = strstr(soname, ".so."), *name;
	char *lower;
	size_t len;

	for (size_t i = 0; i < sizeof(packages) / sizeof(packages[0]); i++)
		if (!strcmp(soname, packages[i].soname))
			return packages[i].package;
	if (!so || so == soname || strncmp(soname, "lib", 3) || strchr(soname, '/'))
		return NULL;
	len = (size_t)(so - soname);
	name = imp_arena_printf(c->a, "%.*s%s%s", (int)len, soname,
				so[-1] >= '0' && so[-1] <= '9' ? "-" : "", so + 4);
	lower = imp_arena_strndup(c->a, name, strlen(name));
	for (char *p = lower; *p; p++)
		*p = *p >= 'A' && *p <= 'Z' ? *p + 'a' - 'A' : *p == '_' ? '-' : *p;
	return lower;
}

static const char *sudo(const struct imp_case *c)
{
	return c->image->ids_known && c->image->euid ? "sudo " : "";
}

static void install_library(struct imp_case *c)
{
	const char *package = c->f->library ? debian_package(c, c->f->library->name) : NULL;

	if (package && imp_package_debian_exists(c->host, c->a, package) == 1)
		imp_finding_fix(c->a, c->f, IMP_LIKELY,
				imp_arena_printf(c->a, "%sapt install %s", sudo(c),
						 imp_shell_quote(c->a, package)),
				"installs the Debian package of that library");
}

/* The distribution that brought the file, put back; false: none is known that did. */
static bool repair(struct imp_case *c, const char *effect)
{
	const struct imp_sys_path *path = imp_case_sys_path(c);
	struct imp_distribution dist;
	size_t before = c->f->fixes.n;

	for (size_t i = 0; path && c->f->path && i < path->path.n && c->f->fixes.n == before; i++)
		if (!imp_distribution_of_file(c->host, c->a, path->path.v[i], c->f->path, &dist))
			imp_remedy_repair(c, &dist, c->f->path, effect);
	return c->f->fixes.n != before;
}

/* The same; else the module's own, installed anew. */
static void reinstall(struct imp_case *c, const char *effect)
{
	if (repair(c, effect) || !c->py || !*c->module)
		return;
	if (!c->f->path && !c->extension)
		return; /* its own code looks for the library: installing that code again changes nothing */
	if (!c->host->enabled && c->f->cause == IMP_CAUSE_MISSING_SHARED_LIBRARY)
		return; /* whose it is cannot be seen: the library is what is wanted */
	/* Somebody's own module: a stranger's distribution of that name is no remedy. */
	if (c->host->enabled && c->f->path && !imp_package_is_translated(c->module) &&
	    !imp_remedy_is_installed(c, c->f->path)) {
		if (c->f->cause == IMP_CAUSE_CORRUPT_FILE ||
		    c->f->cause == IMP_CAUSE_MISSING_SHARED_LIBRARY)
			return; /* the file, or the library, is what is wanted: another build changes nothing */
		imp_finding_fix(c->a, c->f, IMP_POSSIBLE, NULL,
				"build it again from its sources, for %s", imp_case_python(c));
		return;
	}
	imp_remedy_install(c, c->module, true, IMP_LIKELY, NULL, effect);
}

static void remedy_denied(struct imp_case *c)
{
	const char *path = c->f->path;

	if (imp_case_has(c->f->summary, "security policy"))
		imp_finding_fix(
			c->a, c->f, IMP_LIKELY, NULL,
			"change the policy, or grant the program the permission to execute %s",
			path ? path : "the library");
	else if (!path)
		imp_finding_fix(
			c->a, c->f, IMP_LIKELY, NULL,
			"grant the program's user permission to read the library and to search its directory");
	else
		imp_remedy_permission(c);
}

/* The topmost directory on the file system of @path; NULL: not known */
static const char *mount_point(const struct imp_case *c, const char *path)
{
	const char *dir, *top = NULL;
	struct stat st, up;

	if (!path || imp_host_realpath(c->host, c->a, path, &dir) ||
	    imp_host_stat(c->host, dir, &st))
		return NULL;
	for (const char *slash = strrchr(dir, '/'); slash; slash = strrchr(dir, '/')) {
		dir = slash > dir ? imp_arena_strndup(c->a, dir, (size_t)(slash - dir)) : "/";
		if (imp_host_stat(c->host, dir, &up) || up.st_dev != st.st_dev)
			break;
		top = dir;
		if (!dir[1])
			break;
	}
	return top;
}

static void remedy_noexec(struct imp_case *c)
{
	const char *mount = mount_point(c, c->f->path);

	if (!mount && c->f->path) /* it is not to be seen from here, or from now */
		imp_finding_fix(
			c->a, c->f, IMP_LIKELY,
			imp_arena_printf(c->a,
					 "%smount -o remount,exec \"$(findmnt -n -o TARGET -T %s)\"",
					 sudo(c), imp_shell_quote(c->a, c->f->path)),
			"mounts the file system again, without noexec, until it is mounted anew: to be typed where the program runs");
	if (mount)
		imp_finding_fix(
			c->a, c->f, IMP_LIKELY,
			imp_arena_printf(c->a, "%smount -o remount,exec %s", sudo(c),
					 imp_shell_quote(c->a, mount)),
			"mounts the file system again, without noexec, until it is mounted anew");
	imp_finding_fix(
		c->a, c->f, IMP_LIKELY, NULL,
		"mount that file system without noexec (mount -o remount,exec), or move the files to a directory of another one");
}

static void remedy_corrupt(struct imp_case *c)
{
	const char *path = c->f->path, *slash = path ? strrchr(path, '/') : NULL;

	if (imp_case_has(c->f->summary, "LFS") && slash)
		imp_finding_fix(
			c->a, c->f, IMP_LIKELY,
			imp_arena_printf(
				c->a, "git -C %s lfs pull",
				imp_shell_quote(c->a, imp_arena_strndup(c->a, path,
									(size_t)(slash - path)))),
			"fetches the file for which git-lfs has only left a pointer");
	reinstall(c, "installs the file again, whole");
	if (imp_case_has(c->f->summary, "linker script"))
		imp_finding_fix(
			c->a, c->f, IMP_LIKELY, NULL,
			"open the library itself, by its soname (\"libNAME.so.6\"): %s is for the link editor (ld, gcc) alone",
			path);
	else if (!imp_case_has(c->f->summary, "is no shared object") &&
		 !imp_case_has(c->f->summary, "is a directory, and no file"))
		imp_finding_fix(c->a, c->f, IMP_POSSIBLE, NULL,
				"copy or download %s again: this copy is no good",
				path ? path : "the file");
}

/* glibc.rtld.optional_static_tls came with glibc 2.32. */
static bool has_tunable(const struct imp_case *c)
{
	return c->image->libc && strverscmp(c->image->libc, "2.32") >= 0;
}

void imp_remedy_loader(struct imp_case *c)
{
	static const char bigger[] =
		"export GLIBC_TUNABLES=glibc.rtld.optional_static_tls=131072${GLIBC_TUNABLES:+:$GLIBC_TUNABLES}";
	struct imp_finding *f = c->f;
	struct imp_arena *a = c->a;

	switch (f->cause) {
	case IMP_CAUSE_MISSING_SHARED_LIBRARY:
		install_library(c);
		if (!f->fixes.n)
			reinstall(c, "installs it again, in a build that finds its libraries");
		if (f->library && imp_load_is_foreign_name(f->library->name)) {
			imp_finding_fix(
				a, f, IMP_POSSIBLE, NULL,
				"install the library for Linux, and give the program its name there: %s is what another system calls it",
				f->library->name);
			break;
		}
		imp_finding_fix(
			a, f, IMP_POSSIBLE, NULL,
			f->library && strchr(f->library->name, '/') ?
				"copy the library to %s, or change what asks for it there: no other place is searched" :
				"install the library %s, or put it into a directory that the loader searches",
			f->library ? f->library->name : "that is missing");
		break;
	case IMP_CAUSE_DANGLING_SYMLINK:
		if (imp_host_exists(c->host, f->path) == 1) {
			imp_finding_fix(
				a, f, IMP_LIKELY, NULL,
				"see what is mounted where %s leads, in the program's own file system (container, mount namespace), and install the library %s there; here it is in order",
				f->path, f->library ? f->library->name : "");
			break;
		}
		install_library(c);
		repair(c, "installs the file again to which the link leads");
		imp_finding_fix(
			a, f, IMP_LIKELY, NULL,
			"restore what the link %s leads to, or remove the link and install the library %s again",
			f->path ? f->path : "", f->library ? f->library->name : "");
		break;
	case IMP_CAUSE_UNDEFINED_SYMBOL:
		if (!c->extension && !c->load)
			break; /* a function that Python code asked for: judge_own_library.c */
		reinstall(c, "installs a build of it that fits this interpreter and its libraries");
		imp_finding_fix(a, f, IMP_POSSIBLE, NULL,
				"build %s again with the headers and libraries that it runs with",
				f->path ? f->path : "it");
		break;
	case IMP_CAUSE_SYMBOL_VERSION_MISSING:
		reinstall(c, "installs a build of it for this system");
		imp_finding_fix(
			a, f, IMP_POSSIBLE, NULL,
			"upgrade the system (or the environment that brings %s), or build %s on this one",
			f->library ? f->library->name : "the library", f->path ? f->path : "it");
		break;
	case IMP_CAUSE_WRONG_ELF_MACHINE:
	case IMP_CAUSE_WRONG_LIBC:
		reinstall(c, f->cause == IMP_CAUSE_WRONG_LIBC ?
				     "installs a build of it for glibc" :
				     "installs a build of it for this processor");
		imp_finding_fix(a, f, IMP_POSSIBLE, NULL,
				"build or install %s for this system (%s)", f->path ? f->path : "it",
				f->cause == IMP_CAUSE_WRONG_LIBC ? "glibc" :
				c->image->machine		 ? c->image->machine :
								   "its processor");
		break;
	case IMP_CAUSE_CORRUPT_FILE: remedy_corrupt(c); break;
	case IMP_CAUSE_PAGE_SIZE_MISMATCH:
		reinstall(c, "installs a build of it for this kernel's page size");
		imp_finding_fix(a, f, IMP_POSSIBLE, NULL,
				"build it again with -Wl,-z,max-page-size=%llu or more",
				(unsigned long long)(c->image->page_size ? c->image->page_size :
									   65536));
		break;
	case IMP_CAUSE_STATIC_TLS_EXHAUSTED:
		/* Other libraries may need room as well, and what is preloaded goes into each child: where both help, this is better. */
		if (has_tunable(c))
			imp_finding_fix(a, f, IMP_LIKELY, bigger, "makes the block larger");
		if (f->path)
			imp_finding_fix(
				a, f, IMP_LIKELY,
				imp_arena_printf(a,
						 "export LD_PRELOAD=%s${LD_PRELOAD:+:$LD_PRELOAD}",
						 imp_shell_quote(a, f->path)),
				"loads it at the start, when the block is made, instead of later");
		if (!c->image->libc)
			imp_finding_fix(a, f, IMP_POSSIBLE, bigger,
					"makes the block larger (glibc 2.32 or later)");
		imp_finding_fix(a, f, IMP_POSSIBLE, NULL,
				"import it earlier, before other libraries have used the block up");
		break;
	case IMP_CAUSE_EXECUTABLE_STACK:
		if (f->path)
			imp_finding_fix(
				a, f, IMP_POSSIBLE,
				imp_arena_printf(a, "patchelf --clear-execstack %s",
						 imp_shell_quote(a, f->path)),
				"takes the wish for an executable stack from the file (patchelf 0.18 or later)");
		imp_finding_fix(a, f, IMP_POSSIBLE, NULL, "build it again with -Wl,-z,noexecstack");
		break;
	case IMP_CAUSE_MISSING_INIT_FUNCTION:
		repair(c, "puts the file back that the package brought");
		break;
	case IMP_CAUSE_MEMORY_LIMIT:
		imp_finding_fix(
			a, f, IMP_LIKELY, "ulimit -v unlimited",
			"lifts the limit of the address space, where the hard limit allows it");
		imp_finding_fix(
			a, f, IMP_POSSIBLE, NULL,
			"raise the memory limit of what starts the program (RLIMIT_AS, LimitAS=, the batch system's)");
		break;
	case IMP_CAUSE_NOEXEC_MOUNT: remedy_noexec(c); break;
	case IMP_CAUSE_PERMISSION_DENIED: remedy_denied(c); break;
	default: break;
	}
}
