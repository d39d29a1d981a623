/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "analyzer/base/utf8.h"
#include "analyzer/report/report.h"
#include "sample_diagnosis.h"

static char *render(const struct sample *s, const struct imp_report_options *opt)
{
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);

	assert_int_equal(imp_report_json(out, &s->d, opt), 0);
	fclose(out);
	return text;
}

/*
 * A strict reader of RFC 8259, so that the writer is not its own judge. It checks, and writes the names of
 * all keys, in order, with their nesting: "schema processes[ pid exit{ code } ]".
 */
struct reader {
	const char *at, *start;
	char keys[8192];
	size_t n;
};

static void want(struct reader *r, bool good, const char *what)
{
	if (!good)
		fail_msg("byte %zu: %s: %.60s", (size_t)(r->at - r->start), what, r->at);
}

static void note(struct reader *r, const char *text, size_t len)
{
	assert_true(r->n + len < sizeof(r->keys));
	memcpy(r->keys + r->n, text, len);
	r->keys[r->n += len] = '\0';
}

static void skip_space(struct reader *r)
{
	r->at += strspn(r->at, " \n");
}

static void read_string(struct reader *r)
{
	want(r, *r->at == '"', "want a string");
	for (r->at++; *r->at != '"';) {
		uint32_t c;
		size_t n = imp_utf8_decode(r->at, strlen(r->at), &c);

		want(r, n && (c < 0xd800 || c > 0xdfff), "not UTF-8");
		want(r, c >= 0x20, "a control character");
		r->at += n;
		if (c != '\\')
			continue;
		if (*r->at == 'u') {
			want(r, strspn(r->at + 1, "0123456789abcdefABCDEF") >= 4,
			     "want four digits");
			r->at += 5;
		} else {
			want(r, *r->at && strchr("\"\\/bfnrt", *r->at), "no such escape");
			r->at++;
		}
	}
	r->at++;
}

static void read_value(struct reader *r, int depth);

static void read_members(struct reader *r, int depth, bool object)
{
	char end = object ? '}' : ']';

	r->at++;
	skip_space(r);
	while (*r->at != end) {
		skip_space(r);
		if (object) {
			const char *key = r->at + 1;

			read_string(r);
			note(r, key, (size_t)(r->at - 1 - key));
			note(r, " ", 1);
			skip_space(r);
			want(r, *r->at++ == ':', "want a colon");
		}
		skip_space(r);
		read_value(r, depth + 1);
		skip_space(r);
		if (*r->at == ',') {
			r->at++;
			skip_space(r);
			want(r, *r->at != end, "a comma before the end");
		} else {
			want(r, *r->at == end, "want a comma");
		}
	}
	r->at++;
}

static void read_value(struct reader *r, int depth)
{
	char *end;

	want(r, depth < 32, "too deep");
	if (*r->at == '{' || *r->at == '[') {
		bool object = *r->at == '{';

		note(r, object ? "{ " : "[ ", 2);
		read_members(r, depth, object);
		note(r, object ? "} " : "] ", 2);
	} else if (*r->at == '"') {
		read_string(r);
	} else if (!strncmp(r->at, "true", 4) || !strncmp(r->at, "null", 4)) {
		r->at += 4;
	} else if (!strncmp(r->at, "false", 5)) {
		r->at += 5;
	} else {
		strtoll(r->at, &end, 10);
		want(r, end != r->at && !(*r->at == '0' && end > r->at + 1), "want a value");
		r->at = end;
	}
}

/* Reads it all; @keys: the keys that must be there, in this order (NULL: any). */
static void check(const char *text, const char *keys)
{
	struct reader r = {.at = text, .start = text};

	read_value(&r, 0);
	assert_string_equal(r.at, "\n");
	if (keys)
		assert_string_equal(r.keys, keys);
}

static const char *has(const char *text, const char *part)
{
	const char *at = strstr(text, part);

	if (!at)
		fail_msg("%s is not in:\n%s", part, text);
	return at;
}

#define PYTHON_KEYS                                                                           \
	"python { implementation version cache_tag extension_suffixes [ ] executable prefix " \
	"base_prefix path [ ] } "
#define PROCESS_KEYS(python) \
	"{ pid ppid exe argv [ ] exit { code signal } " python "imports loads } "

static void test_headline(void **state)
{
	struct imp_report_options opt = {0};
	struct sample s;
	char *text;

	(void)state;
	sample_masked(&s);
	s.finding.importers.n = 1;
	s.finding.searched.n = 2;
	s.finding.evidence.n = s.finding.ruled_out.n = s.finding.fixes.n = 1;
	text = render(&s, &opt);
	check(text,
	      "{ schema complete notes [ ] processes [ " PROCESS_KEYS(
		      PYTHON_KEYS) "] findings [ "
				   "{ module cause outcome pid summary path error { type message } "
				   "surfaced { type message } importers [ { file line function module } ] "
				   "native_stack [ ] searched [ { entry finder result candidates [ ] } "
				   "{ entry finder result candidates [ ] } ] library "
				   "evidence [ { fact source } ] ruled_out [ { cause because } ] "
				   "fixes [ { command effect confidence } ] affected [ ] } ] loaded [ ] } ");
	has(text, "\"schema\": \"imptrace.report/1\"");
	has(text, "\"complete\": true");
	has(text, "\"notes\": []");
	has(text, "\"pid\": 4711,\n      \"ppid\": 4242");
	has(text, "\"version\": \"3.13.0\"");
	/* The last sys.path, not the first. */
	has(text, "\"path\": [\n          \"/home/ada/notes\"");
	has(text, "\"code\": 1,\n        \"signal\": null");
	has(text, "\"imports\": 149,\n      \"loads\": 0");
	has(text,
	    "\"cause\": \"abi-tag-mismatch\",\n      \"outcome\": \"fatal\",\n      \"pid\": 4711");
	has(text, "\"line\": 10");
	has(text, "\"result\": \"near-miss\"");
	has(text, "\"library\": null");
	has(text, "\"source\": \"observed\"");
	has(text, "\"confidence\": \"certain\"");
	free(text);
	sample_clear(&s);
}

static void test_unknown_is_null(void **state)
{
	struct imp_finding f = {.module = "m", .cause = IMP_CAUSE_UNKNOWN, .summary = "s"};
	struct imp_image image = {.pid = 7, .signal = 11};
	struct imp_report_options opt = {0};
	struct imp_diagnosis d = {0};
	struct imp_record record = {0};
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);

	(void)state;
	f.image = &image;
	d.record = &record;
	*imp_vec_push(&d.arena, &record.images) = &image;
	*imp_vec_push(&d.arena, &d.findings) = &f;
	assert_int_equal(imp_report_json(out, &d, &opt), 0);
	fclose(out);
	check(text,
	      "{ schema complete notes [ ] processes [ " PROCESS_KEYS(
		      "python ") "] findings [ "
				 "{ module cause outcome pid summary path error surfaced importers [ ] "
				 "native_stack [ ] searched [ ] library evidence [ ] ruled_out [ ] fixes [ ] "
				 "affected [ ] } ] loaded [ ] } ");
	has(text, "\"complete\": false");
	has(text, "\"ppid\": null,\n      \"exe\": null,\n      \"argv\": []");
	has(text, "\"code\": null,\n        \"signal\": 11");
	has(text, "\"python\": null");
	has(text, "\"outcome\": \"handled\"");
	has(text, "\"path\": null,\n      \"error\": null,\n      \"surfaced\": null");
	free(text);
	imp_arena_clear(&d.arena);
}

static void test_library_and_native_stack(void **state)
{
	struct imp_library library = {.name = "libffi.so.7", .source = IMP_DERIVED};
	struct imp_library_path *path;
	struct imp_native_frame *frame;
	struct imp_report_options opt = {0};
	struct sample s;
	char *text;

	(void)state;
	sample_headline(&s);
	frame = imp_vec_push(&s.d.arena, &s.finding.native_stack);
	*frame = (struct imp_native_frame){"/x.so", "PyInit_x", UINT64_MAX, true};
	path = imp_vec_push(&s.d.arena, &library.searched);
	*path = (struct imp_library_path){"/usr/lib/libffi.so.7", "default", "absent"};
	s.finding.library = &library;
	text = render(&s, &opt);
	check(text, NULL);
	has(text, "\"offset\": 18446744073709551615");
	has(text,
	    "\"library\": {\n        \"name\": \"libffi.so.7\",\n        \"needed_by\": null,\n        \"source\": \"derived\"");
	has(text, "\"origin\": \"default\",\n            \"result\": \"absent\"");
	free(text);
	sample_clear(&s);
}

static void test_hostile_text(void **state)
{
	struct imp_report_options opt = {0};
	struct sample s;
	char *text;

	(void)state;
	sample_headline(&s);
	s.finding.summary = "\"\\\n\x1b\x7f \xff\xc3 \xed\xb2\x80 \xe2\x80\xae é";
	s.finding.module = "a\"b";
	sample_string(&s, &s.d.notes, "\xf0\x9f");
	text = render(&s, &opt);
	check(text, NULL);
	for (const char *c = text; *c; c++)
		assert_true(*c == '\n' || (unsigned char)*c >= 0x20);
	has(text, "\\\"\\\\\\n\\u001b\\u007f \\udcff\\udcc3 \\udc80 \\u202e é");
	has(text, "\"a\\\"b\"");
	has(text, "\"\\udcf0\\udc9f\"");
	free(text);
	sample_clear(&s);
}

static void test_what_is_listed(void **state)
{
	struct imp_report_options opt = {0};
	struct sample s;
	char *text;

	(void)state;
	sample_masked(&s);
	s.finding.optional = true;
	s.finding.fatal = false;
	*imp_vec_push(&s.d.arena, &s.d.loaded) = (struct imp_loaded){.module = "numpy", .pid = 4711};
	text = render(&s, &opt);
	has(text, "\"findings\": [],\n  \"loaded\": []");
	free(text);
	opt.all = true;
	text = render(&s, &opt);
	has(text, "\"module\": \"_cffi_backend\"");
	free(text);
	opt.all = false;
	opt.module = "jwt";
	text = render(&s, &opt);
	has(text, "\"module\": \"_cffi_backend\"");
	free(text);
	opt.module = "numpy";
	text = render(&s, &opt);
	check(text, NULL);
	has(has(text, "\"findings\": [],\n  \"loaded\": [\n"),
	    "\"module\": \"numpy\",\n      \"pid\": 4711,\n      \"path\": null,\n      \"loader\": null,\n"
	    "      \"entry\": null,\n      \"importer\": null");
	free(text);
	sample_clear(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_headline),
		cmocka_unit_test(test_unknown_is_null),
		cmocka_unit_test(test_library_and_native_stack),
		cmocka_unit_test(test_hostile_text),
		cmocka_unit_test(test_what_is_listed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
