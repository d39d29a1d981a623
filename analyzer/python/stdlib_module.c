// SPDX-License-Identifier: GPL-2.0-or-later
/* What package_name.h says about modules of the standard library, and of Python 2's. */
#include "package_name.h"

#include <string.h>

struct stdlib_row {
	const char *name;
	int since, removed;
	bool optional;
	const char *build, *debian;
};

static const struct stdlib_row stdlib[] = {
#define STDLIB(name, since, removed, optional, build, debian) \
	{name, since, removed, optional, build, debian},
#include "stdlib_modules.def"
#undef STDLIB
};

static const struct stdlib_row *find_stdlib(const char *module, size_t len)
{
	size_t i;

	for (i = 0; i < sizeof(stdlib) / sizeof(stdlib[0]); i++) {
		if (stdlib[i].name[0] == module[0] && strlen(stdlib[i].name) == len &&
		    strncmp(module, stdlib[i].name, len) == 0)
			return &stdlib[i];
	}
	return NULL;
}

const char *imp_package_stdlib_debian(const char *module)
{
	const struct stdlib_row *row = find_stdlib(module, strcspn(module, "."));

	return row ? row->debian : NULL;
}

bool imp_package_is_stdlib(const char *module, bool *optional)
{
	const struct stdlib_row *row = find_stdlib(module, strcspn(module, "."));

	if (optional)
		*optional = row && row->optional;
	return row != NULL;
}

bool imp_package_stdlib_range(const char *module, int *since, int *removed)
{
	const struct stdlib_row *row = find_stdlib(module, strcspn(module, "."));

	*since = row ? row->since : 0;
	*removed = row ? row->removed : 0;
	return row != NULL;
}

const char *imp_package_build_dependency(const char *module)
{
	const struct stdlib_row *row = find_stdlib(module, strcspn(module, "."));
	char name[64];
	size_t n = strcspn(module, ".");

	/* "sqlite3" stands for its "_sqlite3" */
	if (row && !row->build && n < sizeof(name) - 1 && module[0] != '_') {
		name[0] = '_';
		memcpy(name + 1, module, n);
		row = find_stdlib(name, n + 1);
	}
	return row ? row->build : NULL;
}

const char *imp_package_backport(const char *module, int minor)
{
	/* PEP 594, PEP 632; each of these installs a module of the same name */
	static const struct {
		const char *module, *pypi;
	} backports[] = {
		{"aifc", "standard-aifc"},
		{"asynchat", "pyasynchat"},
		{"asyncore", "pyasyncore"},
		{"audioop", "audioop-lts"},
		{"cgi", "legacy-cgi"},
		{"cgitb", "legacy-cgi"},
		{"chunk", "standard-chunk"},
		{"contextvars", "contextvars"},
		{"dataclasses", "dataclasses"},
		{"distutils", "setuptools"},
		{"imghdr", "standard-imghdr"},
		{"imp", "zombie-imp"},
		{"mailcap", "standard-mailcap"},
		{"nntplib", "standard-nntplib"},
		{"pipes", "standard-pipes"},
		{"smtpd", "standard-smtpd"},
		{"sndhdr", "standard-sndhdr"},
		{"sunau", "standard-sunau"},
		{"telnetlib", "standard-telnetlib"},
		{"uu", "standard-uu"},
		{"xdrlib", "standard-xdrlib"},
	};
	size_t i, len = strcspn(module, ".");
	const struct stdlib_row *row = find_stdlib(module, len);

	if (!row || (minor >= row->since && (!row->removed || minor < row->removed)))
		return NULL;
	for (i = 0; i < sizeof(backports) / sizeof(backports[0]); i++) {
		if (strcmp(backports[i].module, row->name) == 0)
			return backports[i].pypi;
	}
	return NULL;
}

const char *imp_package_python2_successor(const char *module)
{
	static const char *const names[][2] = {
		{"BaseHTTPServer", "http.server"},
		{"CGIHTTPServer", "http.server"},
		{"ConfigParser", "configparser"},
		{"Cookie", "http.cookies"},
		{"FileDialog", "tkinter.filedialog"},
		{"HTMLParser", "html.parser"},
		{"Queue", "queue"},
		{"SimpleHTTPServer", "http.server"},
		{"SimpleXMLRPCServer", "xmlrpc.server"},
		{"SocketServer", "socketserver"},
		{"StringIO", "io"},
		{"Tkinter", "tkinter"},
		{"UserDict", "collections"},
		{"UserList", "collections"},
		{"UserString", "collections"},
		{"__builtin__", "builtins"},
		{"_winreg", "winreg"},
		{"anydbm", "dbm"},
		{"cPickle", "pickle"},
		{"cStringIO", "io"},
		{"commands", "subprocess"},
		{"cookielib", "http.cookiejar"},
		{"copy_reg", "copyreg"},
		{"dummy_thread", "_dummy_thread"},
		{"httplib", "http.client"},
		{"htmlentitydefs", "html.entities"},
		{"robotparser", "urllib.robotparser"},
		{"thread", "_thread"},
		{"tkFileDialog", "tkinter.filedialog"},
		{"tkMessageBox", "tkinter.messagebox"},
		{"ttk", "tkinter.ttk"},
		{"urllib2", "urllib.request"},
		{"urlparse", "urllib.parse"},
		{"xmlrpclib", "xmlrpc.client"},
	};
	size_t i, len = strcspn(module, ".");

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (strlen(names[i][0]) == len && strncmp(module, names[i][0], len) == 0)
			return names[i][1];
	}
	return NULL;
}
