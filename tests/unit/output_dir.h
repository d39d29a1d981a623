/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Traces that are made in a directory of their own. Included by one test program each. */
#ifndef OUTPUT_DIR_H
#define OUTPUT_DIR_H

#include "cbor_put.h"
#include "frame_writer.h"
#include "output.h"
#include "trace_file.h"

static char home[] = "/tmp/imptrace-output-XXXXXX";
static struct imp_output out, other;
static const char *why;

static inline void shell(const char *command)
{
	assert_int_equal(system(command), 0);
}

static inline int enter_directory(void **state)
{
	(void)state;
	memset(&out, 0, sizeof(out));
	memset(&other, 0, sizeof(other));
	assert_int_equal(chdir("/"), 0);
	strcpy(strrchr(home, '-'), "-XXXXXX");
	assert_non_null(mkdtemp(home));
	return chdir(home);
}

static inline int leave_directory(void **state)
{
	char command[64];

	(void)state;
	assert_int_equal(chdir("/"), 0);
	snprintf(command, sizeof(command), "rm -rf %s", home);
	shell(command);
	return 0;
}

static inline int create(struct imp_output *o, const char *path)
{
	why = NULL;
	assert_int_equal(imp_output_set_path(o, path), 0);
	return imp_output_create(o, &why);
}

static uint8_t frame[IMP_FRAME_MAX];

/* A frame with one batch item that says @seq, and so much ballast. */
static inline size_t make_frame(unsigned int seq, size_t ballast)
{
	static uint8_t item[IMP_BATCH_MAX];
	struct imp_cbor c;
	ssize_t len;

	imp_cbor_init(&c, item, sizeof(item));
	imp_cbor_map_begin(&c);
	imp_cbor_uint(&c, IMP_KEY_KIND);
	imp_cbor_uint(&c, IMP_EV_BATCH);
	imp_cbor_uint(&c, IMP_KEY_SEQ);
	imp_cbor_uint(&c, seq);
	imp_cbor_uint(&c, IMP_KEY_TEXT);
	memset(frame, (int)seq, ballast);
	imp_cbor_bytes(&c, frame, ballast);
	imp_cbor_map_end(&c);
	assert_false(c.overflow);
	len = imp_frame_store(frame, sizeof(frame), item, c.len);
	assert_true(len > 0);
	return (size_t)len;
}

static inline int append(struct imp_output *o, unsigned int seq, size_t ballast)
{
	size_t len = make_frame(seq, ballast);

	return imp_output_append(o, frame, len);
}

static inline void write_file(const char *path, const char *text)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	assert_int_equal(fwrite(text, 1, strlen(text), file), strlen(text));
	assert_int_equal(fclose(file), 0);
}

static inline void assert_file_is(const char *path, const char *text)
{
	size_t len;
	uint8_t *bytes = trace_slurp(path, &len);

	assert_int_equal(len, strlen(text));
	assert_memory_equal(bytes, text, len);
	free(bytes);
}

/* The seq numbers in a file must be these. */
static inline void assert_seqs(const char *path, size_t count, const unsigned int *seqs)
{
	struct trace_file *f = trace_load(path);

	assert_int_equal(f->items, count + 1);
	assert_int_equal(trace_kind(f->item[0]), IMP_EV_HEADER);
	for (size_t i = 0; i < count; i++)
		assert_int_equal(trace_uint(f->item[i + 1], IMP_KEY_SEQ), seqs[i]);
	trace_free(f);
}

static inline void make_dead_run(const char *path)
{
	pid_t pid = fork();
	int status;

	assert_true(pid >= 0);
	if (!pid)
		_exit(create(&other, path) == 0 && append(&other, 1, 10) == 0 ? 0 : 1);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, enter_directory, leave_directory)

#endif
