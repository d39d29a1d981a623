/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * libFuzzer target: any bytes as the texts that the analyzer takes apart: RECORD rows, names of metadata directories,
 * file names with ABI tags, what ld.so says, command lines. And nothing that is shown holds a control character.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "diagnose/loader_text.h"
#include "python/abi_tag.h"
#include "python/command_line.h"
#include "python/csv_record.h"
#include "python/distribution.h"
#include "python/python_version.h"
#include "report/escape.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void rows(struct imp_arena *a, const char *data, size_t size)
{
	struct imp_csv csv = { .data = data, .len = size };
	struct imp_csv_row row;
	size_t left = size, n = 0;

	while (imp_csv_next(&csv, &row) && n++ < 256) {
		if (row.s < data || row.s > data + size || row.len > (size_t)(data + size - row.s) || csv.off > size ||
		    size - csv.off > left)
			abort();
		left = size - csv.off;
		if (strlen(imp_csv_path(&row, a)) > row.len || strlen(imp_csv_line(&row, a)) > 4096 + 8)
			abort();
	}
}

/* C0, DEL, C1 and what changes the direction of a line. */
static void shown(struct imp_arena *a, const char *text)
{
	const unsigned char *p = (const unsigned char *)imp_escape(a, text);

	for (; *p; p++) {
		if (*p < ' ' || *p == 0x7f)
			abort();
		if (p[0] == 0xc2 && p[1] >= 0x80 && p[1] < 0xa0)
			abort();
		if (p[0] == 0xe2 && p[1] == 0x80 && ((p[2] >= 0x8e && p[2] <= 0x8f) || (p[2] >= 0xa8 && p[2] <= 0xae)))
			abort();
		if (p[0] == 0xe2 && p[1] == 0x81 && p[2] >= 0xa6 && p[2] <= 0xa9)
			abort();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct imp_arena a = { 0 };
	struct imp_strings argv = { 0 };
	struct imp_command_line line;
	struct imp_python_version version;
	struct imp_loader_text loader;
	struct imp_abi_tag tag;
	const char *name, *number, *text;
	size_t at;

	rows(&a, (const char *)data, size);
	/* Each piece between NULs is an argument, and a text of every other kind. */
	for (at = 0; at < size && argv.n < 32;) {
		size_t n = strnlen((const char *)data + at, size - at);

		*imp_vec_push(&a, &argv) = imp_arena_strndup(&a, (const char *)data + at, n);
		at += n + 1;
	}
	for (at = 0; at < argv.n; at++) {
		text = argv.v[at];
		shown(&a, text);
		imp_distribution_parse_name(&a, text, &name, &number);
		if (imp_abi_tag_parse(&tag, &a, text) == 0) {
			imp_abi_tag_suffix(&tag, &a);
			imp_abi_tag_describe(&tag, &a);
			imp_abi_tag_accepted(text, tag.module, &argv);
		}
		imp_loader_text_parse(&loader, &a, text);
		if (imp_python_version_parse(text, &version))
			imp_python_version_name(&version, &a);
	}
	imp_command_line_parse(&argv, &line);
	imp_command_line_has(&argv, 's');
	argv.n = argv.n ? argv.n : 0;
	if (argv.n) {
		struct imp_strings without = { 0 };

		imp_command_line_without(&a, &argv, "sEI", &without);
		if (without.n > argv.n)
			abort();
	}
	imp_arena_clear(&a);
	return 0;
}
