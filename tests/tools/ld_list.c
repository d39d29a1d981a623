// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Prints what the analyzer derives about the loader's searches; test_ld_search.py compares it with what
 * rtld-audit reports. Not installed.
 *
 * usage: ld_list [-l LD_LIBRARY_PATH] [-c CWD] [-C CACHE] [-p PRELOAD]... [-S] PROGRAM
 *	-S: as in a setuid program
 *
 * Commands on standard input, a line each:
 *	reset		start the program anew
 *	from PATH	who calls dlopen from now on; PATH is a loaded object, "-" the program
 *	open NAME	dlopen; new NAME: dlmopen(LM_ID_NEWLM)
 *	global NAME	dlopen with RTLD_GLOBAL
 *	symbols		from now on look for undefined symbols and unmet versions
 *
 * Output: "= COMMAND", "try<TAB>ORIGIN<TAB>RESULT<TAB>PATH<TAB>NAME", "map<TAB>PATH", "later<TAB>PATH",
 * "skip<TAB>ORIGIN<TAB>PATH<TAB>REASON", "version<TAB>...", "undefined<TAB>...", "error<TAB>NAME<TAB>TEXT", "unknown".
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "elf/ld_disk.h"
#include "elf/ld_tree.h"
#include "host/host.h"

struct state {
	struct imp_arena arena, files;
	struct imp_host host;
	struct imp_ld_disk disk;
	struct imp_ld_system system;
	struct imp_ld_process process;
	struct imp_ld_tree_options options;
	const char *program, *library_path, *cwd;
	struct imp_strings preload;
	const struct imp_ld_object *caller;
	int64_t name_spaces;
	bool secure;
};

static void print_tree(const struct imp_ld_tree *t)
{
	size_t i, j;

	for (i = 0; i < t->searches.n; i++) {
		const struct imp_ld_search *s = t->searches.v[i];

		for (j = 0; j < s->tried.n; j++)
			printf("try\t%s\t%s\t%s\t%s\n", imp_ld_origin_name(s->tried.v[j].origin),
			       imp_ld_result_name(s->tried.v[j].result), s->tried.v[j].path,
			       s->name);
		for (j = 0; j < s->later.n; j++)
			printf("later\t%s\t%s\n", imp_ld_origin_name(s->later.v[j].origin),
			       s->later.v[j].path);
		for (j = 0; j < s->skipped.n; j++)
			printf("skip\t%s\t%s\t%s\n", imp_ld_origin_name(s->skipped.v[j].origin),
			       s->skipped.v[j].path, s->skipped.v[j].reason);
		/* ld.so is not mapped a second time into another namespace. */
		if (s->object && !s->loaded_before && !(s->object->is_loader && s->name_space))
			printf("map\t%s\n", s->object->name);
		if (s->error)
			printf("error\t%s\t%s\n", s->error_name, s->error);
		if (s->unknown && !s->object)
			printf("unknown\n");
	}
	for (i = 0; i < t->versions.n; i++)
		printf("version\t%s\t%s\t%s\n", t->versions.v[i].object->name,
		       t->versions.v[i].soname, t->versions.v[i].version);
	for (i = 0; i < t->undefined.n; i++)
		printf("undefined\t%s\t%s\t%s\n", t->undefined.v[i].object->name,
		       t->undefined.v[i].symbol.name,
		       t->undefined.v[i].symbol.version ? t->undefined.v[i].symbol.version : "");
}

static void start(struct state *s)
{
	struct imp_error err = {0};
	struct imp_ld_tree t;

	imp_arena_clear(&s->arena);
	s->process = (struct imp_ld_process){.arena = &s->arena,
					     .system = &s->system,
					     .lookup = imp_ld_disk_lookup(&s->disk),
					     .library_path = s->library_path,
					     .cwd = s->cwd,
					     .secure = s->secure};
	imp_ld_process_init(&s->process);
	s->caller = NULL;
	s->name_spaces = 0;
	if (imp_ld_tree_start(&s->process, s->program, &s->preload, &s->options, &t, &err) < 0) {
		fprintf(stderr, "ld_list: %s\n", err.msg);
		exit(2);
	}
	print_tree(&t);
}

static void open_name(struct state *s, const char *name, bool new_name_space, bool global)
{
	struct imp_ld_request req = {.name = name, .requester = s->caller};
	struct imp_error err = {0};
	struct imp_ld_tree t;

	s->options.global = global;
	if (new_name_space)
		req.name_space = ++s->name_spaces;
	else if (s->caller)
		req.name_space = s->caller->name_space;
	if (imp_ld_tree_open(&s->process, &req, &s->options, &t, &err) < 0)
		printf("error\t%s\t%s\n", name, err.msg);
	else
		print_tree(&t);
}

static int command(struct state *s, char *line)
{
	char *rest = strchr(line, ' ');

	printf("= %s\n", line);
	if (rest)
		*rest++ = '\0';
	if (strcmp(line, "reset") == 0) {
		start(s);
	} else if (strcmp(line, "symbols") == 0) {
		s->options.symbols = true;
	} else if (strcmp(line, "from") == 0 && rest) {
		s->caller = strcmp(rest, "-") == 0 ?
				    NULL :
				    imp_ld_process_match(&s->process, rest, 0, NULL);
		if (!s->caller && strcmp(rest, "-") != 0)
			printf("error\t%s\tnot loaded\n", rest);
	} else if (rest && (strcmp(line, "open") == 0 || strcmp(line, "new") == 0 ||
			    strcmp(line, "global") == 0)) {
		open_name(s, rest, line[0] == 'n', line[0] == 'g');
	} else {
		fprintf(stderr, "ld_list: no such command: %s\n", line);
		return 2;
	}
	return 0;
}

static void read_system(struct state *s, const char *cache)
{
	struct imp_elf_image *program = imp_ld_disk_image(&s->disk, s->program);
	struct imp_ld_system_facts facts = {.program = program, .cache_path = cache};
	struct imp_ld_cpu cpu;
	size_t i;

	if (!program) {
		fprintf(stderr, "ld_list: %s: can't be read\n", s->program);
		exit(2);
	}
	imp_ld_cpu_here(&cpu, program->machine);
	facts.cpu = &cpu;
	facts.loader = program->interpreter;
	facts.page_size = (uint64_t)sysconf(_SC_PAGESIZE);
	imp_ld_system_read(&s->system, &s->files, &s->host, &facts);
	printf("system\tglibc 2.%u\t%s\t%s\t%zu cached\n", s->system.glibc_minor, s->system.lib,
	       s->system.platform ? s->system.platform : "", s->system.cache.entries.n);
	for (i = 0; i < s->system.default_dirs.n; i++)
		printf("default\t%s\n", s->system.default_dirs.v[i]);
	for (i = 0; i < s->system.subdirs.n; i++)
		printf("subdir\t%s\n", s->system.subdirs.v[i]);
}

int main(int argc, char **argv)
{
	struct state s = {.host = {.enabled = true}};
	const char *cache = NULL;
	char *line = NULL, here[4096];
	size_t cap = 0;
	ssize_t n;
	int c, ret = 0;

	s.cwd = getcwd(here, sizeof(here));
	while ((c = getopt(argc, argv, "l:c:C:p:S")) != -1) {
		switch (c) {
		case 'l': s.library_path = optarg; break;
		case 'c': s.cwd = optarg; break;
		case 'C': cache = optarg; break;
		case 'p': *imp_vec_push(&s.files, &s.preload) = optarg; break;
		case 'S': s.secure = true; break;
		default: return 2;
		}
	}
	if (optind != argc - 1)
		return 2;
	s.program = realpath(argv[optind], NULL);
	if (!s.program) {
		fprintf(stderr, "ld_list: %s: %s\n", argv[optind], strerror(errno));
		return 2;
	}
	imp_ld_disk_init(&s.disk, &s.files, &s.host);
	read_system(&s, cache);
	printf("= start\n");
	start(&s);
	while (!ret && (n = getline(&line, &cap, stdin)) > 0) {
		if (line[n - 1] == '\n')
			line[n - 1] = '\0';
		if (*line)
			ret = command(&s, line);
	}
	free(line);
	free((char *)(uintptr_t)s.program);
	imp_ld_disk_clear(&s.disk);
	imp_arena_clear(&s.arena);
	imp_arena_clear(&s.files);
	return ret;
}
