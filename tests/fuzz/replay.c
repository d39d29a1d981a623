/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Runs a fuzz target over files and directories of files, without libFuzzer: in the ordinary build, and
 * under any sanitizer. Linked with one target; tests/unit/test_fuzz_corpus.c does the same for the
 * corpora that are kept here.
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int replay_file(const char *path)
{
	FILE *file = fopen(path, "rb");
	uint8_t *data = NULL;
	struct stat st;
	size_t n = 0;

	if (!file || fstat(fileno(file), &st) < 0) {
		perror(path);
		return 1;
	}
	if (st.st_size) {
		/* Exactly as large as the file: a byte too much is seen. */
		data = malloc((size_t)st.st_size);
		n = data ? fread(data, 1, (size_t)st.st_size, file) : 0;
	}
	fclose(file);
	LLVMFuzzerTestOneInput(data, n);
	free(data);
	return 0;
}

static int replay(const char *path)
{
	struct dirent *entry;
	char name[4096];
	int failed = 0;
	DIR *dir = opendir(path);

	if (!dir)
		return replay_file(path);
	while ((entry = readdir(dir))) {
		if (entry->d_name[0] == '.')
			continue;
		snprintf(name, sizeof(name), "%s/%s", path, entry->d_name);
		failed |= replay_file(name);
	}
	closedir(dir);
	return failed;
}

int main(int argc, char **argv)
{
	int i, failed = 0;

	if (argc < 2) {
		fprintf(stderr, "usage: replay FILE|DIRECTORY...\n");
		return 2;
	}
	for (i = 1; i < argc; i++)
		failed |= replay(argv[i]);
	return failed;
}
