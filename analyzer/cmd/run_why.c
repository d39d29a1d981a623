/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "run.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#define OWN_CLASS   (sizeof(void *) == 8 ? ELFCLASS64 : ELFCLASS32)
#define HEADERS_MAX 256

/* The file that execvp() took; -1: none can be opened. */
static int open_command(const char *command, char *path, size_t size)
{
	const char *dir = getenv("PATH");
	size_t len;

	if (strchr(command, '/')) {
		snprintf(path, size, "%s", command);
		return open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	}
	if (!dir)
		dir = "/bin:/usr/bin";
	for (;; dir += len + 1) {
		len = strcspn(dir, ":");
		snprintf(path, size, "%.*s%s%s", (int)len, dir, len ? "/" : "", command);
		if (access(path, X_OK) == 0)
			return open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
		if (!dir[len])
			return -1;
	}
}

/* 1: it asks for a dynamic loader; 0: it is static; -1: cannot be told */
static int asks_for_loader(int fd)
{
	Elf64_Ehdr header;
	Elf64_Phdr segment;
	size_t i;

	if (pread(fd, &header, sizeof(header), 0) != sizeof(header) ||
	    memcmp(header.e_ident, ELFMAG, SELFMAG) != 0 ||
	    header.e_ident[EI_CLASS] != ELFCLASS64 || header.e_phentsize != sizeof(segment) ||
	    header.e_phnum > HEADERS_MAX || header.e_phoff > INT64_MAX / 2)
		return -1;
	for (i = 0; i < header.e_phnum; i++) {
		if (pread(fd, &segment, sizeof(segment),
			  (off_t)(header.e_phoff + i * sizeof(segment))) != sizeof(segment))
			return -1;
		if (segment.p_type == PT_INTERP)
			return 1;
	}
	return 0;
}

static bool gains_privileges(int fd, const struct stat *st)
{
	char caps[64];

	return ((st->st_mode & S_ISUID) && st->st_uid != geteuid()) ||
	       ((st->st_mode & S_ISGID) && st->st_gid != getegid()) ||
	       fgetxattr(fd, "security.capability", caps, sizeof(caps)) > 0;
}

/* "#!/bin/sh -e" names the program that is really started. */
static int open_interpreter(int fd, char *path, size_t size)
{
	char line[PATH_MAX];
	ssize_t len = pread(fd, line, sizeof(line) - 1, 0);
	const char *start;

	if (len < 2 || memcmp(line, "#!", 2) != 0)
		return -1;
	line[len] = '\0';
	start = line + 2 + strspn(line + 2, " \t");
	snprintf(path, size, "%.*s", (int)strcspn(start, " \t\r\n"), start);
	return open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
}

int imp_run_why_unrecorded(const char *command, char *buf, size_t size)
{
	unsigned char start[EI_NIDENT] = {0};
	char path[PATH_MAX];
	struct stat st;
	int fd = open_command(command, path, sizeof(path)), script, ret = -ENODATA;

	script = fd < 0 ? -1 : open_interpreter(fd, path, sizeof(path));
	if (script >= 0) {
		close(fd);
		fd = script;
	}
	if (fd < 0)
		return -ENODATA;
	if (fstat(fd, &st) < 0 || pread(fd, start, sizeof(start), 0) != sizeof(start) ||
	    memcmp(start, ELFMAG, SELFMAG) != 0)
		goto out;
	ret = 0;
	if (gains_privileges(fd, &st))
		snprintf(buf, size,
			 "%s is setuid, setgid or has capabilities: ld.so preloads nothing into it",
			 path);
	else if (start[EI_CLASS] != OWN_CLASS)
		snprintf(buf, size, "%s is a %d-bit program, and the recorder has %d bits", path,
			 start[EI_CLASS] == ELFCLASS32 ? 32 : 64, (int)sizeof(void *) * 8);
	else if (asks_for_loader(fd) == 0)
		snprintf(buf, size, "%s is statically linked: nothing can be preloaded into it",
			 path);
	else
		ret = -ENODATA;
out:
	close(fd);
	return ret;
}
