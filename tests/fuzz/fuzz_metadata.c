/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * libFuzzer target: any bytes as the files of a distribution's metadata directory. Written to a directory of this
 * process's own, since that is where the analyzer reads them from. The first byte chooses the file.
 */
#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "python/distribution.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const metadata_files[] = { "RECORD", "METADATA", "WHEEL", "INSTALLER", "direct_url.json", "top_level.txt" };

#define FILES (sizeof(metadata_files) / sizeof(*metadata_files))

static char site[64];

static void remove_all(void)
{
	char path[256];
	size_t i;

	for (i = 0; i < FILES; i++) {
		snprintf(path, sizeof(path), "%s/fuzz-1.0.dist-info/%s", site, metadata_files[i]);
		unlink(path);
	}
	snprintf(path, sizeof(path), "%s/fuzz-1.0.dist-info", site);
	rmdir(path);
	rmdir(site);
}

static void make_directory(void)
{
	char path[256];

	strcpy(site, access("/dev/shm", W_OK) == 0 ? "/dev/shm/imptrace-fuzz-XXXXXX" : "/tmp/imptrace-fuzz-XXXXXX");
	if (!mkdtemp(site))
		abort();
	snprintf(path, sizeof(path), "%s/fuzz-1.0.dist-info", site);
	if (mkdir(path, 0700) < 0)
		abort();
	atexit(remove_all);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct imp_host host = { .enabled = true };
	struct imp_arena a = { 0 };
	struct imp_strings entries = { 0 };
	struct imp_owned_files claims = { 0 };
	struct imp_distributions all = { 0 };
	struct imp_distribution owner;
	char path[256];
	int fd;

	if (!size)
		return 0;
	if (!site[0])
		make_directory();
	snprintf(path, sizeof(path), "%s/fuzz-1.0.dist-info/%s", site, metadata_files[data[0] % FILES]);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0 || write(fd, data + 1, size - 1) != (ssize_t)(size - 1))
		abort();
	close(fd);
	*imp_vec_push(&a, &entries) = site;
	imp_distribution_claims(&host, &a, &entries, "pkg.mod", &claims);
	imp_distribution_list(&host, &a, site, &all);
	snprintf(path, sizeof(path), "%s/pkg/mod.py", site);
	imp_distribution_of_file(&host, &a, site, path, &owner);
	imp_arena_clear(&a);
	return 0;
}
