// SPDX-License-Identifier: GPL-2.0-or-later
#include "abi_tag.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool ends_with(const char *s, const char *end)
{
	size_t n = strlen(s), m = strlen(end);

	return n >= m && strcmp(s + n - m, end) == 0;
}

/* Length of ".so", ".so.1.2", ".pyd" or ".dylib" at the end of a name; 0: none of them. */
static size_t extension_length(const char *file)
{
	size_t len = strlen(file), end = len;

	if (ends_with(file, ".pyd"))
		return 4;
	if (ends_with(file, ".dylib"))
		return 6;
	while (end && is_digit(file[end - 1])) {
		while (end && is_digit(file[end - 1]))
			end--;
		if (!end || file[end - 1] != '.')
			return 0;
		end--;
	}
	return end >= 3 && strncmp(file + end - 3, ".so", 3) == 0 ? len - end + 3 : 0;
}

/*
 * "311" -> 3, 11; "27" -> 2, 7; "3" -> 3, 0. Returns what follows, NULL where no digit is there.
 */
static const char *parse_version(const char *s, int *major, int *minor)
{
	int n;

	if (!is_digit(*s))
		return NULL;
	*major = *s++ - '0';
	for (n = 0, *minor = 0; is_digit(*s) && n < 4; s++, n++)
		*minor = *minor * 10 + (*s - '0');
	return s;
}

/* The part up to the next '-', which is skipped. */
static const char *next_part(struct imp_arena *a, const char **s)
{
	size_t len = strcspn(*s, "-");
	const char *part = imp_arena_strndup(a, *s, len);

	*s += len + ((*s)[len] == '-');
	return part;
}

static bool looks_like_platform(const char *s)
{
	static const char *const words[] = {"linux",  "darwin",	 "win32",      "win_",
					    "cygwin", "mingw",	 "freebsd",    "musl",
					    "gnu",    "android", "emscripten", "wasi"};
	size_t i;

	for (i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (strstr(s, words[i]))
			return true;
	}
	return false;
}

/* "cpython-313td-x86_64-linux-gnu", and "cp313t-win_amd64" of Windows. */
static bool parse_cpython(struct imp_abi_tag *t, struct imp_arena *a, const char *s)
{
	int major, minor;
	size_t flags;

	if (strncmp(s, "cpython-", 8) == 0)
		s += 8;
	else if (strncmp(s, "cp", 2) == 0 && is_digit(s[2]))
		s += 2;
	else
		return false;
	s = parse_version(s, &major, &minor);
	if (!s)
		return false;
	flags = strspn(s, "abcdefghijklmnopqrstuvwxyz");
	if (s[flags] && s[flags] != '-')
		return false;
	t->implementation = "cpython";
	t->major = major;
	t->minor = minor;
	t->flags = imp_arena_strndup(a, s, flags);
	t->platform = s[flags] ? s + flags + 1 : "";
	return true;
}

/* "pypy39-pp73-x86_64-linux-gnu", "pypy3-71-x86_64-linux-gnu", "pypy-41". */
static bool parse_pypy(struct imp_abi_tag *t, struct imp_arena *a, const char *s)
{
	const char *rest;

	if (strncmp(s, "pypy", 4) != 0 || (s[4] && s[4] != '-' && !is_digit(s[4])))
		return false;
	t->implementation = "pypy";
	s += 4;
	rest = parse_version(s, &t->major, &t->minor);
	if (rest)
		s = rest;
	else
		t->major = 2;
	if (*s == '-')
		s++;
	if (strncmp(s, "pp", 2) == 0 || is_digit(*s))
		t->pypy_version = next_part(a, &s);
	t->platform = s;
	return true;
}

/* "graalpy240-311-native-x86_64-linux", "graalpy-38-native-x86_64-linux-gnu", "pyston-23-...". */
static bool parse_other(struct imp_abi_tag *t, struct imp_arena *a, const char *s)
{
	const char *name = strncmp(s, "graalpy", 7) == 0 ? "graalpy" :
			   strncmp(s, "pyston-", 7) == 0 ? "pyston" :
							   NULL;
	const char *rest;

	if (!name)
		return false;
	t->implementation = name;
	next_part(a, &s);
	if (strcmp(name, "graalpy") == 0) {
		rest = parse_version(s, &t->major, &t->minor);
		if (rest && (!*rest || *rest == '-'))
			s = *rest ? rest + 1 : rest;
		if (strncmp(s, "native-", 7) == 0)
			s += 7;
	} else {
		next_part(a, &s); /* Pyston's own version */
	}
	t->platform = s;
	return true;
}

/* "abi3", "abi3t", and with the platform behind it (CPython 3.15). */
static bool parse_abi3(struct imp_abi_tag *t, const char *s)
{
	if (strncmp(s, "abi3", 4) != 0)
		return false;
	s += 4;
	if (*s == 't') {
		t->abi3t = true;
		s++;
	}
	if (*s && *s != '-') {
		t->abi3t = false;
		return false;
	}
	t->abi3 = !t->abi3t;
	t->implementation = "abi3";
	t->major = 3;
	t->platform = *s ? s + 1 : "";
	return true;
}

int imp_abi_tag_parse(struct imp_abi_tag *t, struct imp_arena *a, const char *file)
{
	size_t len = strlen(file), ext = extension_length(file), dot = strcspn(file, ".");
	const char *s;

	memset(t, 0, sizeof(*t));
	t->module = t->tag = t->implementation = t->flags = t->pypy_version = t->platform = "";
	t->suffix = "";
	if (!ext || !dot || memchr(file, '/', len))
		return -EINVAL;
	t->module = imp_arena_strndup(a, file, dot);
	t->suffix = imp_arena_strndup(a, file + dot, len - dot);
	t->windows = ends_with(file, ".pyd");
	t->darwin = ends_with(file, ".dylib");
	if (dot + ext < len)
		t->tag = imp_arena_strndup(a, file + dot + 1, len - ext - dot - 1);
	s = t->tag;
	/* Python 2.7 of Debian has the platform alone: "foo.x86_64-linux-gnu.so". */
	if (!parse_abi3(t, s) && !parse_cpython(t, a, s) && !parse_pypy(t, a, s) &&
	    !parse_other(t, a, s) && looks_like_platform(s))
		t->platform = s;
	if (strstr(t->platform, "darwin"))
		t->darwin = true;
	if (strncmp(t->platform, "win", 3) == 0)
		t->windows = true;
	return 0;
}

const char *imp_abi_tag_suffix(const struct imp_abi_tag *t, struct imp_arena *a)
{
	(void)a;
	return t->suffix ? t->suffix : "";
}

bool imp_abi_tag_accepted(const char *file, const char *module_tail,
			  const struct imp_strings *suffixes)
{
	size_t i, len = strlen(module_tail);

	if (strncmp(file, module_tail, len) != 0)
		return false;
	for (i = 0; i < suffixes->n; i++) {
		if (strcmp(file + len, suffixes->v[i]) == 0)
			return true;
	}
	return false;
}

static const char *implementation_name(const char *implementation)
{
	static const char *const names[][2] = {{"cpython", "CPython"},
					       {"pypy", "PyPy"},
					       {"graalpy", "GraalPy"},
					       {"pyston", "Pyston"}};
	size_t i;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (strcmp(implementation, names[i][0]) == 0)
			return names[i][1];
	}
	return implementation;
}

/* "free-threaded CPython 3.13"; the identity without the platform. */
static const char *identity(const struct imp_abi_tag *t, struct imp_arena *a)
{
	const char *name = implementation_name(t->implementation), *own = "";
	bool debug = strchr(t->flags, 'd') != NULL, threaded = strchr(t->flags, 't') != NULL;

	if (t->abi3t)
		return "any free-threaded CPython 3 (stable ABI)";
	if (t->abi3)
		return "any CPython 3 (stable ABI)";
	if (strncmp(t->pypy_version, "pp", 2) == 0 && is_digit(t->pypy_version[2]))
		own = imp_arena_printf(a, " (%c.%s)", t->pypy_version[2], t->pypy_version + 3);
	return imp_arena_printf(a, "%s%s%s%s%s%s", debug ? "a debug build of " : "",
				threaded ? "free-threaded " : "", name,
				t->major ? imp_arena_printf(a, " %d", t->major) : "",
				t->minor ? imp_arena_printf(a, ".%d", t->minor) : "", own);
}

const char *imp_abi_tag_describe(const struct imp_abi_tag *t, struct imp_arena *a)
{
	const char *who;

	if (t->implementation[0])
		who = identity(t, a);
	else if (!t->tag[0])
		who = "any Python (its name has no ABI tag)";
	else if (t->platform[0])
		who = "any Python (no version in its name)";
	else
		return imp_arena_printf(a, "something unknown (\"%s\" is no ABI tag)", t->tag);
	if (t->windows)
		return imp_arena_printf(a, "%s on Windows", who);
	if (t->darwin)
		return imp_arena_printf(a, "%s on macOS", who);
	return t->platform[0] ? imp_arena_printf(a, "%s on %s", who, t->platform) : who;
}

/*
 * What the interpreter itself would be called as a tag: from its first suffix, else from its
 * version.
 */
static void interpreter_tag(struct imp_abi_tag *t, struct imp_arena *a,
			    const struct imp_interpreter *py)
{
	const char *version = py->version ? py->version : "", *flags = py->abiflags;
	char *end;
	size_t i;

	memset(t, 0, sizeof(*t));
	t->tag = t->platform = t->flags = t->pypy_version = t->implementation = "";
	for (i = 0; i < py->suffixes.n; i++) {
		if (imp_abi_tag_parse(t, a, imp_arena_printf(a, "x%s", py->suffixes.v[i])) == 0 &&
		    t->implementation[0] && !t->abi3 && !t->abi3t)
			break;
		/* Debian's 2.7: the platform, and no version */
		t->implementation = "";
	}
	if (py->implementation)
		t->implementation = py->implementation;
	else if (!t->implementation[0])
		t->implementation = "cpython";
	t->abi3 = t->abi3t = false;
	if (is_digit(version[0])) {
		t->major = (int)strtol(version, &end, 10);
		t->minor = *end == '.' ? (int)strtol(end + 1, NULL, 10) : 0;
	}
	if (flags && flags[0])
		t->flags = flags;
}

/* 'm' (pymalloc, up to 3.7) says nothing to a person, and so does the order of letters. */
static bool same_flag(const struct imp_abi_tag *one, const struct imp_abi_tag *two, char flag)
{
	return !strchr(one->flags, flag) == !strchr(two->flags, flag);
}

static const char *different_system(const struct imp_abi_tag *t, const struct imp_abi_tag *mine)
{
	if (t->windows && !mine->windows)
		return "built for Windows";
	return t->darwin && !mine->darwin ? "built for macOS" : NULL;
}

const char *imp_abi_tag_difference(const struct imp_abi_tag *t, const struct imp_interpreter *py,
				   struct imp_arena *a)
{
	bool threaded, other_version, other_platform;
	const char *one, *two, *system;
	struct imp_abi_tag mine;

	interpreter_tag(&mine, a, py);
	threaded = strchr(mine.flags, 't') != NULL;
	two = identity(&mine, a);
	system = different_system(t, &mine);
	if (system)
		return system;
	other_platform = t->platform[0] && mine.platform[0] && strcmp(t->platform, mine.platform);
	if (t->abi3 || t->abi3t) {
		if (mine.major == 2 || strcmp(mine.implementation, "cpython") != 0)
			return imp_arena_printf(
				a, "built for the stable ABI of CPython 3, this is %s", two);
		if (t->abi3 && threaded)
			return imp_arena_printf(a,
						"built for the stable ABI of the build with the GIL, "
						"this is %s",
						two);
		if (t->abi3t && !threaded)
			return imp_arena_printf(a,
						"built for the free-threaded build's stable ABI, "
						"this is %s",
						two);
		if (other_platform)
			return imp_arena_printf(a, "built for %s, this is %s", t->platform,
						mine.platform);
		return imp_arena_printf(a, "its suffix %s is none that %s accepts", t->suffix, two);
	}
	if (!t->implementation[0] && !other_platform)
		return imp_arena_printf(a, "its suffix %s is none that %s accepts", t->suffix, two);
	other_version =
		t->implementation[0] &&
		(strcmp(t->implementation, mine.implementation) != 0 ||
		 (t->major && t->major != mine.major) || (t->minor && t->minor != mine.minor) ||
		 !same_flag(t, &mine, 't') || !same_flag(t, &mine, 'd') ||
		 strcmp(t->pypy_version, mine.pypy_version) != 0);
	one = identity(t, a);
	if (other_version && strcmp(one, two) == 0) /* PyPy's own version, told by neither */
		other_version = false;
	if (other_version && threaded && !strchr(t->flags, 't'))
		one = imp_arena_printf(a, "%s with the GIL", one);
	if (other_version && !threaded && strchr(t->flags, 't'))
		two = imp_arena_printf(a, "%s with the GIL", two);
	if (other_version && other_platform)
		return imp_arena_printf(a, "built for %s on %s, this is %s on %s", one, t->platform,
					two, mine.platform);
	if (other_version)
		return imp_arena_printf(a, "built for %s, this is %s", one, two);
	if (other_platform)
		return imp_arena_printf(a, "built for %s, this is %s", t->platform, mine.platform);
	return imp_arena_printf(a, "its suffix %s is none that %s accepts", t->suffix, two);
}
