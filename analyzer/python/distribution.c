// SPDX-License-Identifier: GPL-2.0-or-later
#include "distribution.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>

#include "../host/host_cache.h"
#include "csv_record.h"
#include "module_file.h"

#define METADATA_MAX (4U << 20) /* bytes of METADATA, WHEEL, INSTALLER, direct_url.json */
#define RECORD_MAX   (64U << 20)

/* ---- names ---------------------------------------------------------------------------------- */

static const char *const endings[] = {".dist-info", ".egg-info", ".egg-link", ".egg"};

static const char *metadata_ending(const char *file)
{
	size_t i;

	for (i = 0; i < sizeof(endings) / sizeof(endings[0]); i++) {
		if (imp_ends_with(file, endings[i]))
			return endings[i];
	}
	return NULL;
}

int imp_distribution_parse_name(struct imp_arena *a, const char *file, const char **name,
				const char **version)
{
	const char *ending = metadata_ending(file), *dash;
	char *stem;
	size_t len;

	*name = *version = NULL;
	if (!ending)
		return -EINVAL;
	len = strlen(file) - strlen(ending);
	stem = imp_arena_strndup(a, file, len);
	/*
	 * A wheel's name has no dash (PEP 427), so that the last one ends it even where somebody
	 * wrote one. An egg's has more parts behind it: name-version-py3.11-platform.
	 */
	dash = strcmp(ending, ".dist-info") == 0 ? strrchr(stem, '-') : strchr(stem, '-');
	if (strcmp(ending, ".egg-link") == 0)
		dash = NULL;
	if (dash) {
		len = (size_t)(dash - stem);
		if (dash[1])
			*version = imp_arena_strndup(a, dash + 1, strcspn(dash + 1, "-"));
	}
	if (!len) {
		*version = NULL;
		return -EINVAL;
	}
	*name = imp_arena_strndup(a, stem, len);
	return 0;
}

/* ---- metadata ------------------------------------------------------------------------------- */

/* The value of "Field: value" in the header of METADATA or WHEEL; NULL where it is not there. */
static const char *header_field(struct imp_arena *a, const char *text, const char *field)
{
	size_t n = strlen(field), len;

	while (*text && *text != '\n' && *text != '\r') {
		len = strcspn(text, "\r\n");
		if (len > n && strncasecmp(text, field, n) == 0 && text[n] == ':') {
			for (n++; n < len && (text[n] == ' ' || text[n] == '\t'); n++)
				;
			while (len > n && (text[len - 1] == ' ' || text[len - 1] == '\t'))
				len--;
			return len > n ? imp_arena_strndup(a, text + n, len - n) : NULL;
		}
		text += len;
		text += *text == '\r';
		text += *text == '\n';
	}
	return NULL;
}

static const char *first_line(struct imp_arena *a, const char *text)
{
	size_t len = strcspn(text, "\r\n");

	while (len && (text[len - 1] == ' ' || text[len - 1] == '\t'))
		len--;
	return len ? imp_arena_strndup(a, text, len) : NULL;
}

static const char *read_text(const struct imp_host *h, struct imp_host_buffer *b,
			     struct imp_arena *a, const char *dir, const char *file)
{
	const char *path = file ? imp_path_join(a, dir, file) : dir, *text;
	size_t len;

	imp_host_text(h, path, METADATA_MAX, b, &text, &len);
	return text;
}

/* direct_url.json (PEP 610): "dir_info": {"editable": true} */
static bool says_editable(const char *json)
{
	const char *s = json;

	while ((s = strstr(s, "\"editable\""))) {
		s += 10;
		s += strspn(s, " \t\r\n");
		if (*s != ':')
			continue;
		s++;
		s += strspn(s, " \t\r\n");
		if (imp_starts_with(s, "true"))
			return true;
	}
	return false;
}

/* Fill in what the directory's (or file's) content says; its path and name are set already. */
static void read_metadata(const struct imp_host *h, struct imp_arena *a, struct imp_distribution *d)
{
	struct imp_host_buffer b = {0};
	const char *text;

	if (imp_ends_with(d->metadata, ".egg-link"))
		d->editable = true;
	text = read_text(h, &b, a, d->metadata, "METADATA");
	if (!text)
		text = read_text(h, &b, a, d->metadata, "PKG-INFO");
	if (!text) /* distutils: the .egg-info is a file */
		text = read_text(h, &b, a, d->metadata, NULL);
	if (text && !d->version && !d->editable)
		d->version = header_field(a, text, "Version");
	text = read_text(h, &b, a, d->metadata, "INSTALLER");
	if (text)
		d->installer = first_line(a, text);
	text = read_text(h, &b, a, d->metadata, "WHEEL");
	if (text)
		d->wheel_tag = header_field(a, text, "Tag");
	text = read_text(h, &b, a, d->metadata, "direct_url.json");
	if (text && says_editable(text))
		d->editable = true;
	imp_host_buffer_clear(&b);
}

static int init_distribution(struct imp_distribution *d, struct imp_arena *a, const char *entry,
			     const char *file)
{
	memset(d, 0, sizeof(*d));
	d->metadata = imp_path_join(a, entry, file);
	if (imp_ends_with(file, ".egg"))
		d->metadata = imp_path_join(a, d->metadata, "EGG-INFO");
	return imp_distribution_parse_name(a, file, &d->name, &d->version);
}

/*
 * The metadata names of one directory. An entry that is an unpacked egg itself has its own in
 * EGG-INFO: its name is then given relative to the parent.
 */
static int list_metadata(const struct imp_host *h, struct imp_arena *a, const char **entry,
			 struct imp_strings *out)
{
	struct imp_strings names;
	int ret = imp_host_list(h, a, *entry, &names);
	size_t i;

	memset(out, 0, sizeof(*out));
	if (ret < 0)
		return ret;
	for (i = 0; i < names.n; i++) {
		if (metadata_ending(names.v[i]))
			*imp_vec_push(a, out) = names.v[i];
		else if (strcmp(names.v[i], "EGG-INFO") == 0 && imp_ends_with(*entry, ".egg")) {
			*imp_vec_push(a, out) = imp_path_name(*entry);
			*entry = imp_path_parent(a, *entry);
			break;
		}
	}
	return 0;
}

static int list_all(const struct imp_host *h, struct imp_arena *a, const char *entry,
		    struct imp_distributions *out)
{
	struct imp_distribution d;
	struct imp_strings names;
	int ret = list_metadata(h, a, &entry, &names);
	size_t i;

	if (ret < 0)
		return ret;
	for (i = 0; i < names.n; i++) {
		if (init_distribution(&d, a, entry, names.v[i]) < 0)
			continue;
		read_metadata(h, a, &d);
		*imp_vec_push(a, out) = d;
	}
	return 0;
}

int imp_distribution_list(const struct imp_host *h, struct imp_arena *a, const char *entry,
			  struct imp_distributions *out)
{
	struct imp_host_answer *answer = imp_host_cache_get(h, entry, IMP_HOST_ALL);
	struct imp_distributions all = {0};

	if (!answer || !h->enabled)
		return list_all(h, a, entry, out);
	if (!answer->known) {
		answer->ret = list_all(h, &h->cache->arena, entry, &all);
		answer->v = all.v;
		answer->n = all.n;
		answer->known = true;
	}
	/* Borrowed from the cache; who adds to it gets a copy. */
	out->v = (struct imp_distribution *)(uintptr_t)answer->v;
	out->n = out->cap = answer->n;
	return answer->ret;
}

/* ---- files ---------------------------------------------------------------------------------- */

/* What is looked for in the lists of one entry: a module's files, or one very file. */
struct wanted {
	const struct imp_host *h;
	struct imp_arena *a;
	const char *base;   /* "pkg/_native"; a module's path, or NULL */
	const char *file;   /* normalized absolute path, or NULL */
	const char *needle; /* bytes that a line must hold to be worth a look */
	struct imp_owned_files *out;
};

/*
 * The path that a list gives, made absolute. RECORD's are relative to the directory that holds
 * the dist-info, installed-files.txt's to the egg-info itself; both may begin with "../".
 */
static bool is_wanted(const struct wanted *w, const char *site, const char *path)
{
	size_t len = strlen(site);
	const char *s;

	if (w->file)
		return strcmp(path, w->file) == 0;
	if (strncmp(path, site, len) == 0 && path[len] == '/')
		return imp_module_file_is(w->a, path + len + 1, w->base);
	/* lib and lib64: the other half of one installation */
	s = strstr(path, "-packages/");
	return s && imp_module_file_is(w->a, s + 10, w->base);
}

static void take_line(const struct wanted *w, const struct imp_distribution *dist, const char *path,
		      const char *line)
{
	struct imp_owned_file *f = imp_vec_push(w->a, w->out);

	f->dist = *dist;
	read_metadata(w->h, w->a, &f->dist);
	f->path = path;
	f->line = line;
	f->exists = imp_host_exists(w->h, path);
}

/* Rows of RECORD. */
static void search_record(const struct wanted *w, const struct imp_distribution *dist,
			  const char *site, const char *text, size_t len)
{
	struct imp_csv csv = {.data = text, .len = len};
	size_t n = strlen(w->needle);
	struct imp_csv_row row;
	const char *path;

	if (!memmem(text, len, w->needle, n))
		return;
	while (imp_csv_next(&csv, &row)) {
		if (!memmem(row.s, row.len, w->needle, n))
			continue;
		path = imp_csv_path(&row, w->a);
		path = imp_path_normalize(w->a, imp_path_join(w->a, site, path));
		if (is_wanted(w, site, path))
			take_line(w, dist, path, imp_csv_line(&row, w->a));
	}
}

/* Lines of installed-files.txt or SOURCES.txt, whose paths are relative to @dir. */
static void search_lines(const struct wanted *w, const struct imp_distribution *dist,
			 const char *site, const char *dir, const char *s, size_t size, bool sources)
{
	size_t n = strlen(w->needle), len;
	const char *end = s + size, *line, *path;

	if (!memmem(s, size, w->needle, n))
		return;
	for (; s < end; s += len + 1) {
		len = strcspn(s, "\r\n");
		if (!memmem(s, len, w->needle, n))
			continue;
		line = imp_arena_strndup(w->a, s, len);
		path = imp_path_normalize(w->a, imp_path_join(w->a, dir, line));
		/*
		 * Sources say what an installation was made from: an extension's file is never
		 * among them.
		 */
		if (is_wanted(w, site, path) && (!sources || imp_ends_with(path, ".py")))
			take_line(w, dist, path, line);
	}
}

/* Does top_level.txt name the first part of what is looked for? */
static bool is_top_level(const struct wanted *w, const char *metadata, struct imp_host_buffer *b)
{
	const char *s = read_text(w->h, b, w->a, metadata, "top_level.txt");
	size_t want, len;

	if (!s || !w->base)
		return false;
	want = strcspn(w->base, "/");
	for (; *s; s += len + (s[len] != '\0')) {
		len = strcspn(s, "\r\n");
		if (len == want && strncmp(s, w->base, len) == 0)
			return true;
	}
	return false;
}

/* Half uninstalled: RECORD is gone, and top_level.txt still names the module, be it a package or a file. */
static void take_top_level(const struct wanted *w, const struct imp_distribution *dist,
			   const char *site)
{
	const char *path = imp_path_join(w->a, site, w->base),
		   *file = imp_arena_printf(w->a, "%s.py", path);

	take_line(w, dist, imp_host_exists(w->h, file) == 1 ? file : path, w->base);
}

static void search_distribution(const struct wanted *w, const char *entry, const char *file,
				struct imp_host_buffer *b)
{
	const char *site = imp_path_normalize(w->a, entry), *path, *text;
	struct imp_distribution dist;
	size_t len;

	if (imp_ends_with(file, ".egg-link") || init_distribution(&dist, w->a, entry, file) < 0)
		return;
	if (imp_ends_with(file, ".egg"))
		site = imp_path_join(w->a, site, file);
	if (imp_ends_with(file, ".dist-info")) {
		path = imp_path_join(w->a, dist.metadata, "RECORD");
		if (imp_host_text(w->h, path, RECORD_MAX, b, &text, &len) == 0)
			search_record(w, &dist, site, text, len);
		else if (imp_host_exists(w->h, path) == 0 && is_top_level(w, dist.metadata, b) &&
			 !strchr(w->base, '/'))
			take_top_level(w, &dist, site);
		return;
	}
	path = imp_path_join(w->a, dist.metadata, "installed-files.txt");
	if (imp_host_text(w->h, path, RECORD_MAX, b, &text, &len) == 0) {
		search_lines(w, &dist, site, dist.metadata, text, len, false);
		return;
	}
	/* "tests/__init__.py" of some source tree is no claim on a module "tests". */
	if (!is_top_level(w, dist.metadata, b))
		return;
	path = imp_path_join(w->a, dist.metadata, "SOURCES.txt");
	if (imp_host_text(w->h, path, RECORD_MAX, b, &text, &len) == 0)
		search_lines(w, &dist, site, site, text, len, true);
}

static int search_lists(const struct wanted *w, const char *entry)
{
	struct imp_host_buffer b = {0};
	struct imp_strings names;
	int ret = list_metadata(w->h, w->a, &entry, &names);
	size_t i;

	if (ret < 0)
		return ret;
	for (i = 0; i < names.n; i++)
		search_distribution(w, entry, names.v[i], &b);
	imp_host_buffer_clear(&b);
	return 0;
}

/* The same, asked once: many processes fail with the same module, and look for it in the same directories. */
static int search_entry(const struct wanted *w, const char *entry)
{
	struct imp_owned_files found = {0};
	struct imp_host_answer *answer;
	struct wanted kept = *w;
	const struct imp_owned_file *v;
	size_t i;

	answer = imp_host_cache_get(w->h,
				    imp_arena_printf(w->a, "%s\n%c%s", entry, w->file ? 'f' : 'm',
						     w->file ? w->file : w->base),
				    IMP_HOST_OWNED);
	if (!answer)
		return search_lists(w, entry);
	if (!answer->known) {
		kept.a = &w->h->cache->arena;
		kept.out = &found;
		answer->ret = search_lists(&kept, imp_arena_strndup(kept.a, entry, strlen(entry)));
		answer->v = found.v;
		answer->n = found.n;
		answer->known = true;
	}
	for (v = answer->v, i = 0; i < answer->n; i++)
		*imp_vec_push(w->a, w->out) = v[i];
	return answer->ret;
}

/* Quotes are doubled in RECORD, so that such a name can't be found by its bytes. */
static const char *needle_for(const char *s)
{
	return strchr(s, '"') ? "" : s;
}

int imp_distribution_claims(const struct imp_host *h, struct imp_arena *a,
			    const struct imp_strings *entries, const char *module,
			    struct imp_owned_files *out)
{
	const char *base = imp_module_path(a, module);
	struct wanted w = {.h = h, .a = a, .base = base, .needle = needle_for(base), .out = out};
	IMP_VEC(struct stat) seen = {0};
	struct stat st;
	size_t i, j;

	if (!h->enabled)
		return -ENODATA;
	for (i = 0; i < entries->n && base[0]; i++) {
		if (imp_host_stat(h, entries->v[i], &st) < 0 || !S_ISDIR(st.st_mode))
			continue;
		for (j = 0; j < seen.n; j++) {
			if (seen.v[j].st_dev == st.st_dev && seen.v[j].st_ino == st.st_ino)
				break;
		}
		if (j < seen.n)
			continue; /* lib64 -> lib, or listed twice */
		*imp_vec_push(a, &seen) = st;
		search_entry(&w, entries->v[i]);
	}
	return 0;
}

int imp_distribution_of_file(const struct imp_host *h, struct imp_arena *a, const char *entry,
			     const char *path, struct imp_distribution *out)
{
	const char *file = imp_path_normalize(a, path);
	struct imp_owned_files found = {0};
	struct wanted w = {.h = h, .a = a, .file = file, .out = &found};
	int ret;

	memset(out, 0, sizeof(*out));
	if (!h->enabled || entry[0] != '/' || path[0] != '/')
		return -ENODATA;
	w.needle = needle_for(imp_path_name(file));
	ret = search_entry(&w, entry);
	if (ret < 0)
		return ret == -ENOENT || ret == -ENOTDIR ? -ENOENT : -ENODATA;
	if (!found.n)
		return -ENOENT;
	*out = found.v[0].dist;
	return 0;
}
