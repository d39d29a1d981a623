/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "sample_trace.h"

#include "report/dump.h"

/* All events of the sample, one line each, in the order of the file. */
static char *dump(const struct maker *m, bool json)
{
	struct imp_strings damage = {0};
	struct imp_trace_reader reader;
	struct imp_arena arena = {0};
	struct imp_event ev;
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);
	int fd = maker_fd(m);

	assert_non_null(out);
	assert_int_equal(imp_trace_open(&reader, fd, "t.zst", &arena, &damage, NULL), 0);
	while (imp_trace_next(&reader, &ev, NULL) > 0) {
		struct imp_dump_context c = {
			.texts = ev.image ? ev.image->texts : NULL,
			.maker = &reader.maker,
			.image_ns = ev.image ? ev.image->image_ns : 0,
			.pid = ev.image ? ev.image->pid : 0,
			.start_ns = 900,
			.pid_width = 5,
		};

		if (json)
			imp_dump_json(out, &c, &ev);
		else
			imp_dump_text(out, &c, &ev);
	}
	imp_trace_finish(&reader);
	assert_int_equal(damage.n, 0);
	imp_trace_close(&reader);
	imp_arena_clear(&arena);
	close(fd);
	fclose(out);
	return text;
}

static void expect(const char *text, const char *line)
{
	const char *at = strstr(text, line);

	if (!at || (at != text && at[-1] != '\n'))
		fail_msg("%s\nis not in\n%s", line, text);
}

static void test_text(void **state)
{
	struct maker *m = maker_new();
	char *text;

	(void)state;
	sample_trace(m);
	text = dump(m, false);
	expect(text, "    0.000000   4711  header         magic=imptrace version=[1 7] "
		     "run_id=30313233343536373839616263646566 realtime_ns=1700000000000000000\n");
	expect(text,
	       "    0.000000   4711  process        image_ns=1000 how=first ppid=1 exe=/usr/bin/python3.13 "
	       "argv=[python3 -c \"import \\x1b[31m\"] cwd=/work ids={uid=1001 euid=1003 gid=1002 egid=1004} "
	       "env=[\"PATH=/usr/bin\" \"PYTHONPATH=/a:/b\" \"PATHS=no\"] libc=2.36 page_size=4096 "
	       "machine={machine=x86_64 release=6.1.0} host={boot_id=boot-id root_dev=2049 root_ino=2}\n");
	expect(text,
	       "    0.000000   4711  object         object=2 /lib/libc.so.6 address=0x7f0000001000 size=8192 "
	       "build_id=01ab\n");
	expect(text, "    0.000000   4711  dlclose        handle=0x11 code=-1\n");
	expect(text,
	       "    0.000000   4711  note           note=hooks_failed errno=12 no\\x0amemory\n");
	expect(text, "    0.000000   4711  kind_77        key_99=5 future\n");
	expect(text, "    0.000000   4711  import_begin   import=4 _cffi_backend parent=3 "
		     "frame={file=fetch.py line=13 function=<module> module=__main__}\n");
	expect(text,
	       "    0.000000   4711  uncaught       thread=4799 how=thread exception={type=ImportError "
	       "message=bad\\0thing id=0xdeadbeef cause={type=ModuleNotFoundError name=_cffi_backend} "
	       "where={file=/x/y.py line=3 function=<module> module=y} suppress=true members=[{type=KeyError} 17]}\n");
	expect(text, "    0.000098   4711  wait           signal=11\n");
	free(text);
	free(m);
}

static void test_json(void **state)
{
	struct maker *m = maker_new();
	char *text;

	(void)state;
	sample_trace(m);
	text = dump(m, true);
	expect(text,
	       "{\"time_ns\": 900, \"pid\": 4711, \"kind\": \"header\", \"magic\": \"imptrace\", "
	       "\"version\": [1, 7], \"run_id\": \"30313233343536373839616263646566\", "
	       "\"realtime_ns\": 1700000000000000000}\n");
	expect(text,
	       "{\"time_ns\": 1100, \"pid\": 4711, \"kind\": \"interpreter\", \"version\": \"3.13.0 (main)\", "
	       "\"implementation\": \"cpython\", \"cache_tag\": \"cpython-313\", \"suffixes\": "
	       "[\".cpython-313-x86_64-linux-gnu.so\", \".abi3.so\", \".so\"], \"executable\": "
	       "\"/usr/bin/python3.13\", \"prefix\": \"/usr\", \"flags\": {\"isolated\": 0, "
	       "\"int_max_str_digits\": -1}, \"object\": 1}\n");
	expect(text,
	       "{\"time_ns\": 1114, \"pid\": 4711, \"kind\": \"snapshot\", \"import\": 4, \"text\": "
	       "\"_cffi_backend\", \"sys_modules\": \"absent\", \"entries\": [{\"entry\": \"/site\", "
	       "\"finder\": \"FileFinder\", \"state\": \"directory\", \"stat\": {\"mode\": 16877, \"uid\": "
	       "1001, \"gid\": 1002, \"size\": 123457, \"mtime_ns\": -5}, \"finder_mtime\": -17, "
	       "\"candidates\": [{\"name\": \"_cffi_backend.cpython-311-x86_64-linux-gnu.so\", \"stat\": "
	       "{\"mode\": 33188, \"uid\": 1001, \"gid\": 1002, \"size\": 123457, \"mtime_ns\": "
	       "1700000000123456789}, \"in_cache\": true}, {\"name\": \"_cffi_backend\", \"errno\": 2, "
	       "\"target\": \"/nowhere\", \"target_errno\": 2, \"on_disk\": false}], \"metadata\": "
	       "[\"cffi-1.17.dist-info\"]}]}\n");
	expect(text,
	       "{\"time_ns\": 1130, \"pid\": 4711, \"thread\": 4799, \"kind\": \"uncaught\", \"how\": \"thread\", ");
	expect(text,
	       "{\"time_ns\": 50014, \"pid\": 4712, \"kind\": \"process_end\", \"how\": \"fast_exit\", "
	       "\"code\": 0}\n");
	expect(text, "{\"time_ns\": 99500, \"pid\": 4711, \"kind\": \"wait\", \"signal\": 11}\n");
	free(text);
	free(m);
}

/* A field of another type than the format says is shown as what it is. */
static void test_unexpected_types(void **state)
{
	struct maker *m = maker_new();
	char *text;

	(void)state;
	maker_header(m, 5);
	maker_batch(m, 5, 1, 0, 0);
	event_begin(&m->c, IMP_EV_SNAPSHOT, 1);
	put_text(&m->c, IMP_KEY_ENTRIES, "list?");
	put_map(&m->c, IMP_KEY_TEXT);
	imp_cbor_int(&m->c, -4);
	imp_cbor_bool(&m->c, false);
	imp_cbor_map_end(&m->c);
	put_uint(&m->c, IMP_KEY_SYS_MODULES, 99);
	put_list(&m->c, IMP_KEY_EXCEPTION);
	imp_cbor_bool(&m->c, true);
	imp_cbor_array_end(&m->c);
	imp_cbor_int(&m->c, -1); /* a key that is no number of ours */
	imp_cbor_int(&m->c, -2);
	put_uint(&m->c, IMP_KEY_STACK, 8);
	event_end(&m->c);
	maker_end(m, 0);
	text = dump(m, true);
	assert_non_null(strstr(
		text, "\"entries\": \"list?\", \"text\": {\"key\": false}, \"sys_modules\": 99, "
		      "\"exception\": {\"type\": true}, \"stack\": 8}"));
	free(text);
	free(m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_text),
		cmocka_unit_test(test_json),
		cmocka_unit_test(test_unexpected_types),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
