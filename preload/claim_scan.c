/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "claim_scan.h"

#include <fcntl.h>
#include <string.h>

#include "raw_syscall.h"
#include "poison.h"

#define LINES_MAX   4 /* of one distribution for one module */
#define RELATED_MIN 3 /* a shorter name is contained in too many others */

void imp_claim_scan_init(struct imp_claim_scan *scan, char *buf, size_t size, char *file_buf,
			 size_t file_size, size_t budget)
{
	scan->budget = budget;
	scan->buf = buf;
	scan->size = size;
	scan->used = 0;
	scan->file_buf = file_buf;
	scan->file_size = file_size;
	scan->modules_count = 0;
	scan->dists_count = 0;
	scan->hits_count = 0;
}

static bool keep(struct imp_claim_scan *scan, struct imp_claim_text *text, const char *data,
		 size_t len)
{
	if (len > scan->size - scan->used || len > UINT16_MAX)
		return false;
	memcpy(scan->buf + scan->used, data, len);
	text->start = (uint16_t)scan->used;
	text->len = (uint16_t)len;
	scan->used += len;
	return true;
}

void imp_claim_scan_add_module(struct imp_claim_scan *scan, const char *name, size_t len)
{
	size_t i;

	for (i = 0; i < scan->modules_count; i++)
		if (scan->modules[i].len == len &&
		    !memcmp(imp_claim_text(scan, scan->modules[i]), name, len))
			return;
	if (len && scan->modules_count < IMP_CLAIM_MODULES_MAX &&
	    keep(scan, &scan->modules[scan->modules_count], name, len))
		scan->modules_count++;
}

static bool ends_with(const char *name, size_t len, const char *end)
{
	size_t end_len = strlen(end);

	return len > end_len && !memcmp(name + len - end_len, end, end_len);
}

bool imp_claim_scan_is_dist(const char *name, size_t len)
{
	return ends_with(name, len, ".dist-info") || ends_with(name, len, ".egg-info");
}

/* Lower case, without separators and "python"; returns the length. */
static size_t normalize(char *out, size_t size, const char *name, size_t len)
{
	static const char python[] = "python";
	size_t i, n = 0;
	char *found;

	for (i = 0; i < len && n < size - 1; i++) {
		char c = name[i];

		if (c >= 'A' && c <= 'Z')
			c = (char)(c + ('a' - 'A'));
		if (c != '_' && c != '-' && c != '.')
			out[n++] = c;
	}
	out[n] = '\0';
	found = strstr(out, python);
	if (found && n > sizeof(python) - 1) {
		memmove(found, found + sizeof(python) - 1,
			n - (size_t)(found - out) - (sizeof(python) - 1) + 1);
		n -= sizeof(python) - 1;
	}
	return n;
}

bool imp_claim_scan_is_related(const char *dist, size_t dist_len, const char *module,
			       size_t module_len)
{
	char a[128], b[128];
	const char *end;
	size_t a_len, b_len;

	/* NAME-VERSION.dist-info: a NAME has no '-' there; and the package that the module is in. */
	end = memchr(dist, '-', dist_len);
	if (end)
		dist_len = (size_t)(end - dist);
	end = memchr(module, '.', module_len);
	if (end)
		module_len = (size_t)(end - module);
	a_len = normalize(a, sizeof(a), dist, dist_len);
	b_len = normalize(b, sizeof(b), module, module_len);
	if (a_len == b_len)
		return !memcmp(a, b, a_len);
	return (b_len >= RELATED_MIN && strstr(a, b)) || (a_len >= RELATED_MIN && strstr(b, a));
}

void imp_claim_scan_consider(struct imp_claim_scan *scan, const char *dir, size_t dir_len,
			     const char *name, size_t len)
{
	size_t start = scan->used, i;
	struct imp_claim_text first, second;

	if (scan->dists_count >= IMP_CLAIM_DISTS_MAX || !imp_claim_scan_is_dist(name, len))
		return;
	for (i = 0; i < scan->modules_count; i++)
		if (imp_claim_scan_is_related(name, len, imp_claim_text(scan, scan->modules[i]),
					      scan->modules[i].len))
			break;
	if (i == scan->modules_count)
		return;
	if (!keep(scan, &first, dir, dir_len) || !keep(scan, &second, name, len)) {
		scan->used = start;
		return;
	}
	/* In the finder's cache and on the disk, or in a directory that is on the path twice. */
	for (i = 0; i < scan->dists_count; i++)
		if (scan->dists[i].len == dir_len + len &&
		    !memcmp(imp_claim_text(scan, scan->dists[i]), scan->buf + start, dir_len + len)) {
			scan->used = start;
			return;
		}
	scan->dists[scan->dists_count++] =
		(struct imp_claim_text){.start = (uint16_t)start, .len = (uint16_t)(dir_len + len)};
}

/* ---- one metadata directory ---------------------------------------------------------------------- */

/* What is looked for in one file, and where. */
struct reading {
	struct imp_claim_scan *scan;
	struct imp_claim_text dist;
	bool top_level; /* lines are names of packages, not paths of files */
	unsigned int found[IMP_CLAIM_MODULES_MAX];
};

enum match {
	NO_MATCH,
	BELOW,	    /* a file somewhere in the package */
	THE_MODULE, /* the file of the module itself, or its package's __init__ */
};

static enum match match_path(const char *line, size_t len, const char *module, size_t module_len)
{
	size_t i;

	if (len <= module_len)
		return NO_MATCH;
	for (i = 0; i < module_len; i++)
		if (line[i] != (module[i] == '.' ? '/' : module[i]))
			return NO_MATCH;
	if (line[i] == '.')
		return THE_MODULE;
	if (line[i] != '/')
		return NO_MATCH;
	return len - i > 10 && !memcmp(line + i, "/__init__.", 10) ? THE_MODULE : BELOW;
}

static enum match match_top_level(const char *line, size_t len, const char *module,
				  size_t module_len)
{
	const char *dot = memchr(module, '.', module_len);
	size_t top_len = dot ? (size_t)(dot - module) : module_len;

	return len == top_len && !memcmp(line, module, top_len) ? THE_MODULE : NO_MATCH;
}

static void add_hit(struct reading *r, size_t module, const char *line, size_t len)
{
	struct imp_claim_scan *scan = r->scan;
	struct imp_claim_hit *hit = &scan->hits[scan->hits_count];

	if (scan->hits_count >= IMP_CLAIM_HITS_MAX || !keep(scan, &hit->line, line, len))
		return;
	hit->module = module;
	hit->dist = r->dist;
	hit->tag = (struct imp_claim_text){0};
	scan->hits_count++;
	r->found[module]++;
}

static void look_at_line(struct reading *r, const char *line, size_t len)
{
	struct imp_claim_scan *scan = r->scan;
	size_t i;

	if (len && line[len - 1] == '\r')
		len--;
	/* installed-files.txt: relative to the metadata directory. */
	while (len > 3 && !memcmp(line, "../", 3)) {
		line += 3;
		len -= 3;
	}
	for (i = 0; i < scan->modules_count; i++) {
		const char *module = imp_claim_text(scan, scan->modules[i]);
		size_t module_len = scan->modules[i].len;
		enum match match = r->top_level ? match_top_level(line, len, module, module_len) :
						  match_path(line, len, module, module_len);

		/* Of files further down in the package, one shows that it is there. */
		if ((match == THE_MODULE && r->found[i] < LINES_MAX) ||
		    (match == BELOW && !r->found[i]))
			add_hit(r, i, line, len);
	}
}

/* Open a file of the metadata directory; its path is put together in the unused rest of the buffer. */
static int open_file(struct imp_claim_scan *scan, struct imp_claim_text dist, const char *name)
{
	size_t name_len = strlen(name) + 1;
	char *path = scan->buf + scan->used;

	if (dist.len + 1 + name_len > scan->size - scan->used)
		return -ENAMETOOLONG;
	memcpy(path, imp_claim_text(scan, dist), dist.len);
	path[dist.len] = '/';
	memcpy(path + dist.len + 1, name, name_len);
	return imp_sys_open(path, O_RDONLY | O_NONBLOCK, 0);
}

/* Each line of a file. Lines that are longer than the buffer are left out. */
static bool read_lines(struct reading *r, const char *name)
{
	struct imp_claim_scan *scan = r->scan;
	int fd = open_file(scan, r->dist, name);
	size_t have = 0, start;
	bool skipping = false;
	char *newline;
	ssize_t ret;

	if (fd < 0)
		return false;
	while (scan->budget) {
		ret = imp_sys_read(fd, scan->file_buf + have, scan->file_size - have);
		if (ret <= 0)
			break;
		have += (size_t)ret;
		scan->budget -= (size_t)ret < scan->budget ? (size_t)ret : scan->budget;
		for (start = 0; (newline = memchr(scan->file_buf + start, '\n', have - start));
		     start = (size_t)(newline - scan->file_buf) + 1) {
			if (!skipping)
				look_at_line(r, scan->file_buf + start,
					     (size_t)(newline - scan->file_buf) - start);
			skipping = false;
		}
		have -= start;
		memmove(scan->file_buf, scan->file_buf + start, have);
		if (have == scan->file_size) {
			have = 0;
			skipping = true;
		}
	}
	if (have && !skipping)
		look_at_line(r, scan->file_buf, have);
	imp_sys_close(fd);
	return true;
}

static bool find_tag(struct imp_claim_scan *scan, struct imp_claim_text dist,
		     struct imp_claim_text *tag)
{
	static const char key[] = "Tag: ";
	int fd = open_file(scan, dist, "WHEEL");
	char *at, *end, *newline;
	ssize_t ret;

	if (fd < 0)
		return false;
	ret = imp_sys_read(fd, scan->file_buf, scan->file_size);
	imp_sys_close(fd);
	if (ret <= 0)
		return false;
	end = scan->file_buf + ret;
	for (at = scan->file_buf; at < end; at = newline + 1) {
		newline = memchr(at, '\n', (size_t)(end - at));
		if (!newline)
			newline = end;
		if ((size_t)(newline - at) >= sizeof(key) - 1 && !memcmp(at, key, sizeof(key) - 1)) {
			size_t len = (size_t)(newline - at);

			if (at[len - 1] == '\r')
				len--;
			return keep(scan, tag, at, len);
		}
	}
	return false;
}

size_t imp_claim_scan_run(struct imp_claim_scan *scan, const char *dist, size_t len)
{
	struct reading r = {.scan = scan};
	size_t first = scan->hits_count, used = scan->used, opened = 0, i;
	struct imp_claim_text tag;

	if (!scan->modules_count || !keep(scan, &r.dist, dist, len))
		return 0;
	opened += read_lines(&r,
			     ends_with(dist, len, ".egg-info") ? "installed-files.txt" : "RECORD");
	/* Where the list of files is missing, or holds only the metadata, as in Debian's packages. */
	r.top_level = true;
	if (scan->hits_count == first)
		opened += read_lines(&r, "top_level.txt");
	if (scan->hits_count == first) {
		scan->used = used;
		return opened;
	}
	if (find_tag(scan, r.dist, &tag)) {
		opened++;
		for (i = first; i < scan->hits_count; i++)
			scan->hits[i].tag = tag;
	}
	return opened;
}
