/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "analyzer/report/escape.h"
#include "analyzer/report/page.h"
#include "analyzer/report/report.h"
#include "sample_diagnosis.h"

#define NASTY "\x1b[2J\x07\xc2\x9b\xe2\x80\xae\xff\n\r\tx"

static char *render(const struct sample *s, const struct imp_report_options *opt)
{
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);

	assert_int_equal(imp_report_text(out, &s->d, opt), 0);
	fclose(out);
	return text;
}

static const char *has(const char *text, const char *part)
{
	const char *at = strstr(text, part);

	if (!at)
		fail_msg("\"%s\" is not in:\n%s", part, text);
	return at;
}

static void has_not(const char *text, const char *part)
{
	if (strstr(text, part))
		fail_msg("\"%s\" is in:\n%s", part, text);
}

/* Nothing but newlines and what can be seen; with colours, those of page.c too. */
static void check_clean(const char *text, bool color)
{
	char shown[IMP_ESCAPE_SIZE];

	for (size_t i = 0, len = strlen(text); i < len;) {
		size_t used;

		if (color && text[i] == '\033') {
			size_t n = strspn(text + i + 2, "0123456789;");

			assert_int_equal(text[i + 1], '[');
			assert_int_equal(text[i + 2 + n], 'm');
			i += n + 3;
			continue;
		}
		used = imp_escape_next(text + i, len - i, shown, NULL);
		if (text[i] != '\n' && (strlen(shown) != used || strncmp(shown, text + i, used)))
			fail_msg("byte %zu is shown raw, it should be %s, in:\n%s", i, shown, text);
		i += used;
	}
}

/* A line may be wider than the page only where nothing in it can be broken: a path, a command. */
static void check_width(const char *text, size_t columns)
{
	while (*text) {
		size_t len = strcspn(text, "\n");
		char *line = strndup(text, len);

		if (imp_escape_columns(line) > columns && !strchr(line, '/') && !strstr(line, ".so"))
			fail_msg("a line of %zu columns, not %zu: %s", imp_escape_columns(line),
				 columns, line);
		if (len && line[len - 1] == ' ')
			fail_msg("a line ends with a space: \"%s\"", line);
		free(line);
		text += len + (text[len] == '\n');
	}
}

static void test_headline(void **state)
{
	static const char *const order[] = {
		"_cffi_backend is there, but built for CPython 3.11",
		"  | ModuleNotFoundError: No module named '_cffi_backend'\n",
		"  cause    abi-tag-mismatch: it was built for another Python\n",
		"  outcome  fatal",
		"  process  4711, CPython 3.13.0: python3.13 fetch.py\n",
		"\nWhat is there, and what CPython 3.13.0 accepts\n",
		"  there      _cffi_backend.cpython-311-x86_64-linux-gnu.so\n",
		"  accepted   _cffi_backend.cpython-313-x86_64-linux-gnu.so\n",
		"             _cffi_backend.abi3.so\n",
		"             _cffi_backend.so\n",
		"\nWho asked for it, outermost first\n  fetch.py:10\n",
		"/_rust.abi3.so\n  -> _cffi_backend\n",
		"\nWhere Python looked for _cffi_backend, in this order\n  nothing       /home/ada/notes\n",
		"  near miss     /usr/lib/python3/dist-packages\n"
		"                  _cffi_backend.cpython-311-x86_64-linux-gnu.so\n",
		"  no such path  /home/ada/.pyenv/versions/3.13.0/lib/python313.zip\n",
		"\nWhat shows it\n  - ",
		"[derived]",
		"\nWhat to do\n    /home/ada/.pyenv/versions/3.13.0/bin/python3.13 -m pip install "
		"--force-reinstall cffi\n",
		"\nOr, instead\n    /usr/bin/python3.11 fetch.py\n",
		"\nRuled out\n  not-installed           a file of that module",
	};
	struct imp_report_options opt = {.columns = 80};
	const char *at;
	struct sample s;
	char *text;

	(void)state;
	sample_headline(&s);
	text = render(&s, &opt);
	assert_ptr_equal(has(text, order[0]), text);
	at = text;
	for (size_t i = 0; i < sizeof(order) / sizeof(order[0]); i++)
		at = has(at, order[i]);
	has_not(text, "What you saw instead");
	has_not(text, "\033");
	check_clean(text, false);
	check_width(text, 80);
	free(text);
	sample_clear(&s);
}

static void test_masked(void **state)
{
	struct imp_report_options opt = {.columns = 80};
	const char *at;
	struct sample s;
	char *text;

	(void)state;
	sample_masked(&s);
	text = render(&s, &opt);
	at = has(text, "\nWhat shows it\n");
	at = has(at, "\nWhat you saw instead\n"
		     "  | ImportError: PyO3 modules compiled for CPython 3.8 or older may only be\n"
		     "  | initialized once per interpreter process\n");
	has(at, "\nWhat to do\n");
	free(text);
	sample_clear(&s);
}

static void test_every_width(void **state)
{
	(void)state;
	for (int columns = 0; columns < 200; columns++) {
		struct imp_report_options opt = {.columns = columns};
		struct imp_page page;
		struct sample s;
		char *text;

		imp_page_init(&page, NULL, columns, false);
		sample_masked(&s);
		text = render(&s, &opt);
		check_width(text, page.columns);
		/* Commands are never broken, whatever the width. */
		has(text, "\n    /home/ada/.pyenv/versions/3.13.0/bin/python3.13 -m pip install "
			  "--force-reinstall cffi\n");
		free(text);
		sample_clear(&s);
	}
}

static void test_color(void **state)
{
	struct imp_report_options opt = {.columns = 80, .color = true};
	struct sample s;
	char *text, *end;

	(void)state;
	sample_masked(&s);
	text = render(&s, &opt);
	check_clean(text, true);
	has(text, "\033[1m");
	/* The command has its colour from its first byte to its last: the spaces before it are plain. */
	has(text, "    \033[32m/home/ada/");
	end = strrchr(text, '\033');
	assert_non_null(end);
	assert_int_equal(strncmp(end, "\033[0m", 4), 0);
	free(text);
	sample_clear(&s);
}

/* Everything that a program or a file name could say is hostile here. */
static void test_nothing_is_injected(void **state)
{
	struct imp_searched_entry *e;
	struct imp_library library = {.name = NASTY, .needed_by = NASTY};
	struct imp_native_frame *frame;
	struct imp_report_options opt = {.columns = 80};

	(void)state;
	for (int color = 0; color < 2; color++) {
		struct sample s;
		char *text;

		opt.color = color;
		opt.module = color ? NASTY : NULL;
		opt.trace = NASTY;
		sample_masked(&s);
		s.finding.module = s.finding.summary = s.finding.path = NASTY;
		s.finding.error = s.finding.surfaced = (struct imp_error_text){NASTY, NASTY};
		sample_importer(&s, NASTY, 3, NASTY, NASTY);
		sample_searched(&s, NASTY, NASTY, NASTY, NASTY);
		e = imp_vec_push(&s.d.arena, &s.finding.searched);
		e->entry = NASTY;
		frame = imp_vec_push(&s.d.arena, &s.finding.native_stack);
		*frame = (struct imp_native_frame){NASTY, NASTY, 7, true};
		imp_finding_evidence(&s.d.arena, &s.finding, IMP_DERIVED, "%s", NASTY);
		imp_finding_fix(&s.d.arena, &s.finding, IMP_LIKELY, NASTY, "%s", NASTY);
		imp_finding_rule_out(&s.d.arena, &s.finding, IMP_CAUSE_BLOCKED, "%s", NASTY);
		library.searched.n = 0;
		imp_vec_push(&s.d.arena, &library.searched)->path = NASTY;
		library.searched.v[0].origin = library.searched.v[0].result = NASTY;
		s.finding.library = &library;
		s.py.version = s.py.implementation = s.py.abiflags = NASTY;
		s.py.suffixes.v[1] = s.image.argv.v[1] = NASTY;
		*imp_vec_push(&s.d.arena, &s.d.loaded) = (struct imp_loaded){
			NASTY, NASTY, NASTY, NASTY, 1, {.file = NASTY, .function = NASTY}};
		sample_string(&s, &s.d.notes, NASTY);
		text = render(&s, &opt);
		check_clean(text, color);
		has(text, "\\x1b[2J\\x07\\u009b\\u202e\\xff\\x0a\\x0d\\x09x");
		/* A command that can't be shown as it is says so. */
		has(text, "--format=json");
		free(text);
		sample_clear(&s);
		library.searched.v = NULL;
		library.searched.cap = 0;
	}
}

static void test_messages_keep_their_lines(void **state)
{
	struct imp_report_options opt = {.columns = 80};
	struct sample s;
	char *text;

	(void)state;
	sample_headline(&s);
	s.finding.error =
		(struct imp_error_text){"ImportError", "first\n\nWhat to do\n4\n5\n6\n7\n8\n9\n10"};
	text = render(&s, &opt);
	has(text, "\n  | ImportError: first\n  |\n  | What to do\n  | 4\n");
	has(text, "  | 8\n  | ... 2 more lines ...\n  cause");
	check_width(text, 80);
	free(text);
	opt.all = true;
	text = render(&s, &opt);
	has(text, "  | 9\n  | 10\n  cause");
	free(text);
	s.finding.error = (struct imp_error_text){"KeyboardInterrupt", NULL};
	text = render(&s, &opt);
	has(text, "\n  | KeyboardInterrupt\n");
	free(text);
	sample_clear(&s);
}

static void test_long_lists_are_folded(void **state)
{
	struct imp_report_options opt = {.columns = 80};
	char names[67][32];
	struct sample s;
	char *text;

	(void)state;
	sample_headline(&s);
	s.finding.searched.n = 0;
	s.finding.importers.n = 0;
	for (int i = 0; i < 67; i++) {
		snprintf(names[i], sizeof(names[i]), "/entry/%d", i);
		sample_searched(&s, names[i], "FileFinder", i == 31 ? "near-miss" : "absent",
				i == 31 ? SAMPLE_BACKEND : NULL);
		sample_importer(&s, names[i], 7, "<module>", "m");
	}
	text = render(&s, &opt);
	has(text,
	    "  nothing       /entry/0\n                ... 29 more like it (--all lists them) ...\n"
	    "  nothing       /entry/30\n  near miss     /entry/31\n");
	has(text,
	    "  nothing       /entry/32\n                ... 33 more like it (--all lists them) ...\n"
	    "  nothing       /entry/66\n");
	has(text, "  /entry/3:7\n  ... 51 more lines ...\n  /entry/55:7\n");
	has(text, "  /entry/66:7\n  -> _cffi_backend\n");
	free(text);
	opt.all = true;
	text = render(&s, &opt);
	for (int i = 0; i < 67; i++) {
		char want[64];

		snprintf(want, sizeof(want), "   /entry/%d\n", i);
		has(text, want);
		snprintf(want, sizeof(want), "  /entry/%d:7\n", i);
		has(text, want);
	}
	has_not(text, "more like it");
	free(text);
	sample_clear(&s);
}

static void test_no_finding(void **state)
{
	struct imp_report_options opt = {.columns = 80, .trace = "trace.zst"};
	struct sample s;
	char *text;

	(void)state;
	sample_init(&s);
	text = render(&s, &opt);
	assert_string_equal(
		text, "No import failed.\nRecorded in trace.zst: 149 imports, 0 calls of dlopen, "
		      "1 process of CPython\n3.13.0.\n");
	free(text);
	s.image.interpreters.n = 0;
	s.image.attempts.n = 0;
	s.d.complete = false;
	sample_string(&s, &s.d.notes, "the trace ends early");
	text = render(&s, &opt);
	assert_string_equal(
		text,
		"No import failed, as far as the record goes.\nRecorded in trace.zst: 0 imports, 0 calls of dlopen, "
		"1 program of other kinds\nthan Python.\nNote: the trace ends early\n");
	free(text);
	sample_clear(&s);
}

static void test_several_findings(void **state)
{
	struct imp_report_options opt = {.columns = 80};
	struct imp_finding other;
	struct sample s;
	char *text;

	(void)state;
	sample_headline(&s);
	s.finding.fatal = false;
	other = s.finding;
	*imp_vec_push(&s.d.arena, &s.d.findings) = &other;
	text = render(&s, &opt);
	has(text, "  outcome  handled: the program caught it and went on\n");
	has(text, "\n\n---- 2 of 2 ----\n\n_cffi_backend is there");
	has(text, "No import failed fatally. The program ended with status 1 all the same");
	has(strstr(text, "2 of 2"), "those of finding 1;");
	has_not(strstr(text, "2 of 2"), "What to do");
	free(text);
	opt.all = true;
	text = render(&s, &opt);
	has(strstr(text, "2 of 2"), "What to do");
	free(text);
	sample_clear(&s);
}

/* The init function that ran when the module was asked for is in no Python frame. */
static void test_native_modules_that_asked(void **state)
{
	struct imp_report_options opt = {.columns = 80};
	struct sample s;
	char *text;

	(void)state;
	sample_headline(&s);
	s.finding.importers.n = 1;
	*imp_vec_push(&s.d.arena, &s.finding.native_stack) =
		(struct imp_native_frame){"/x/_rust.abi3.so", "PyInit__rust", 123, true};
	*imp_vec_push(&s.d.arena, &s.finding.native_stack) =
		(struct imp_native_frame){"/x/_outer.so", NULL, 0, false};
	text = render(&s, &opt);
	has(text,
	    "  fetch.py:10\n  /x/_outer.so\n  /x/_rust.abi3.so: PyInit__rust+123\n  -> _cffi_backend\n");
	free(text);
	sample_clear(&s);
}

static void test_optional_failures(void **state)
{
	struct imp_report_options opt = {.columns = 80};
	struct imp_finding other;
	struct sample s;
	char *text;

	(void)state;
	sample_headline(&s);
	s.finding.fatal = false;
	s.finding.optional = true;
	s.finding.importers.v[0].module = "__main__";
	text = render(&s, &opt);
	has(text, "The program ended with status 1.");
	has(text, "_cffi_backend (imptrace analyze -m MODULE");
	free(text);
	s.image.code_known = false;
	text = render(&s, &opt);
	has(text, "No import failed fatally.\n");
	has(text,
	    "\n1 optional module was not there, and the program went on without; --all lists\nit.\n");
	has_not(text, "_cffi_backend");
	free(text);
	other = s.finding;
	*imp_vec_push(&s.d.arena, &s.d.findings) = &other;
	text = render(&s, &opt);
	has(text,
	    "2 optional modules were not there, and the program went on without; --all lists\nthem.\n");
	free(text);
	opt.all = true;
	text = render(&s, &opt);
	has(text, "No import failed fatally.\n");
	has(text, "\nNot there, and the program went on without\n"
		  "  - _cffi_backend is there, but built for CPython 3.11");
	has(text,
	    "      asked for by\n      "
	    "/usr/lib/python3/dist-packages/cryptography/hazmat/bindings/_rust.abi3.so\n  - _cffi");
	has_not(text, "What to do");
	has_not(text, "--all lists");
	free(text);
	sample_clear(&s);
}

static void test_one_module(void **state)
{
	struct imp_report_options opt = {.columns = 80, .module = "jwt"};
	struct imp_loaded *loaded;
	struct sample s;
	char *text;

	(void)state;
	sample_masked(&s);
	text = render(&s, &opt);
	has(text, "_cffi_backend is there");
	has(text, "\n  asked    the import of jwt failed because of this\n");
	free(text);

	opt.module = "numpy";
	text = render(&s, &opt);
	assert_string_equal(text, "No import of numpy was seen.\n");
	free(text);

	loaded = imp_vec_push(&s.d.arena, &s.d.loaded);
	*loaded = (struct imp_loaded){
		.module = "numpy",
		.path = "/site/numpy/__init__.py",
		.loader = "SourceFileLoader",
		.entry = "/site",
		.pid = 4711,
		.importer = {.file = "fetch.py", .line = 3, .function = "load"},
	};
	text = render(&s, &opt);
	assert_string_equal(text, "numpy was imported.\n"
				  "  from     /site/numpy/__init__.py\n"
				  "  loader   SourceFileLoader\n"
				  "  entry    /site\n"
				  "  asked by fetch.py:3, in load\n"
				  "  process  4711\n");
	free(text);

	/* The same file in further processes is told once, another one by itself. */
	for (int i = 0; i < 3; i++) {
		loaded = imp_vec_push(&s.d.arena, &s.d.loaded);
		*loaded = s.d.loaded.v[0];
		loaded->pid = 5000 + i;
		if (i == 1)
			loaded->path = "/other/numpy/__init__.py";
	}
	text = render(&s, &opt);
	has(text,
	    "  process  4711, and 2 others\n\nnumpy was imported.\n  from     /other/numpy/__init__.py\n");
	has(text, "  process  5001\n");
	has_not(text, "5002");
	free(text);

	/* An optional failure is hidden, but not from somebody who asks for it by name. */
	opt.module = "_cffi_backend";
	s.finding.fatal = false;
	s.finding.optional = true;
	text = render(&s, &opt);
	has(text, "_cffi_backend is there");
	free(text);
	sample_clear(&s);
}

static void test_wrap(void **state)
{
	static const struct {
		const char *first, *rest, *text, *want;
	} cases[] = {
		{NULL, NULL, "", "\n"},
		{"- ", NULL, "one", "- one\n"},
		{"", NULL, "1234567890 1234567890 1234567890 1234567 tail",
		 "1234567890 1234567890 1234567890 1234567\ntail\n"},
		{"- ", NULL, "1234567890 1234567890 1234567890 123456 tail",
		 "- 1234567890 1234567890 1234567890\n  123456 tail\n"},
		{"- ", "> ", "1234567890 1234567890 1234567890 123456 tail",
		 "- 1234567890 1234567890 1234567890\n> 123456 tail\n"},
		{"  ", NULL, "short 12345678901234567890123456789012345678901234567890 end",
		 "  short\n  12345678901234567890123456789012345678901234567890\n  end\n"},
		{"", NULL, "double  spaces  stay", "double  spaces  stay\n"},
		{"", NULL, "end   ", "end\n"},
		/* Twenty wide characters fill a line of forty columns. */
		{"", NULL, "世界世界世界世界世界世界世界世界世界世 界 x",
		 "世界世界世界世界世界世界世界世界世界世\n界 x\n"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct imp_block b = {.first = cases[i].first, .rest = cases[i].rest};
		struct imp_page page;
		char *text = NULL;
		size_t size = 0;
		FILE *out = open_memstream(&text, &size);

		imp_page_init(&page, out, 40, false);
		imp_page_wrap(&page, &b, cases[i].text);
		fclose(out);
		assert_string_equal(text, cases[i].want);
		free(text);
		imp_page_clear(&page);
	}
}

static void test_shorten(void **state)
{
	struct imp_page page;

	(void)state;
	imp_page_init(&page, NULL, 80, false);
	assert_string_equal(imp_page_shorten(&page, "0123456789", 10), "0123456789");
	assert_string_equal(imp_page_shorten(&page, "0123456789a", 10), "0123456...");
	assert_string_equal(imp_page_shorten(&page, "Grüße aus der Ferne", 10), "Grüße a...");
	assert_string_equal(imp_page_shorten(&page, "a\nb\nc\nd", 10), "a\nb...");
	imp_page_clear(&page);
}

static void test_write_error(void **state)
{
	struct imp_report_options opt = {.columns = 80};
	FILE *full = fopen("/dev/full", "w");
	struct sample s;

	(void)state;
	if (!full)
		skip();
	sample_headline(&s);
	setvbuf(full, NULL, _IONBF, 0);
	assert_true(imp_report_text(full, &s.d, &opt) < 0);
	fclose(full);
	sample_clear(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_headline),
		cmocka_unit_test(test_masked),
		cmocka_unit_test(test_every_width),
		cmocka_unit_test(test_color),
		cmocka_unit_test(test_nothing_is_injected),
		cmocka_unit_test(test_messages_keep_their_lines),
		cmocka_unit_test(test_long_lists_are_folded),
		cmocka_unit_test(test_no_finding),
		cmocka_unit_test(test_several_findings),
		cmocka_unit_test(test_native_modules_that_asked),
		cmocka_unit_test(test_optional_failures),
		cmocka_unit_test(test_one_module),
		cmocka_unit_test(test_wrap),
		cmocka_unit_test(test_shorten),
		cmocka_unit_test(test_write_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
