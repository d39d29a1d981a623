/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What ld.so refused, and why: the causes that lie in one file. The others: judge_library.c, judge_symbol.c. */
#include <dlfcn.h>
#include <errno.h>
#include <string.h>
#include <sys/statvfs.h>

#include "judge_loader.h"

#define CHAIN_MAX 32

/* ---- what is known of a file ------------------------------------------------------------------------- */

struct imp_elf_image *imp_load_image(struct imp_load *l, const char *path)
{
	const char *file = path && strchr(path, '/') ? imp_ld_process_absolute(&l->replay.process, path) : NULL;

	return file ? imp_ld_disk_image(&l->replay.disk, file) : NULL;
}

const struct imp_file_facts *imp_load_facts(const struct imp_load *l, const char *path)
{
	const struct imp_image *image = l->c->image;

	for (size_t i = image->files.n; path && i-- > 0;) {
		const struct imp_file_facts *f = image->files.v[i];

		if ((f->path && !strcmp(f->path, path)) || (f->realpath && !strcmp(f->realpath, path)))
			return f;
	}
	return NULL;
}

bool imp_load_fits(struct imp_load *l, const char *path)
{
	const struct imp_ld_system *sys = &l->replay.system;
	const struct imp_elf_image *img;
	struct stat st;

	if (imp_host_stat(l->c->host, path, &st) || !S_ISREG(st.st_mode))
		return false;
	img = imp_ld_disk_image(&l->replay.disk, path);
	return img && img->header &&
	       imp_elf_image_refusal(img, sys->bits, sys->machine, sys->big_endian, NULL, NULL) == IMP_ELF_ACCEPTED;
}

const struct imp_object *imp_load_mapped(const struct imp_load *l, const char *base)
{
	for (size_t i = 0; i < l->c->image->objects.n; i++) {
		const struct imp_object *o = l->c->image->objects.v[i];
		const char *slash = o->path ? strrchr(o->path, '/') : NULL;

		if (slash && !strcmp(slash + 1, base))
			return o;
	}
	return NULL;
}

/* ---- who asked for what ---------------------------------------------------------------------------------- */

const struct imp_ld_search *imp_load_search(const struct imp_load *l, const char *name)
{
	const struct imp_ld_search *found = NULL;

	for (size_t i = 0; name && i < l->tree.searches.n && !found; i++) {
		const struct imp_ld_search *s = l->tree.searches.v[i];

		if (!strcmp(s->name, name) || (s->error_name && !strcmp(s->error_name, name)) ||
		    (s->object && imp_ld_process_has_name(s->object, name)) ||
		    (s->object && s->object->file && !strcmp(s->object->file, name)))
			found = s;
		for (size_t k = 0; k < s->tried.n && !found; k++)
			if (s->tried.v[k].result != IMP_LD_ABSENT && !strcmp(s->tried.v[k].path, name))
				found = s;
	}
	return found;
}

const char *imp_load_needed_by(const struct imp_load *l, const struct imp_ld_search *s)
{
	if (!s || !l->tree.searches.n || s == l->tree.searches.v[0] || !s->requester)
		return NULL;
	return s->requester->file;
}

void imp_load_library(struct imp_load *l, const char *name, const char *needed_by,
		      const struct imp_ld_search *s)
{
	struct imp_arena *a = l->c->a;
	struct imp_library *lib = imp_arena_alloc(a, sizeof(*lib));

	lib->name = name;
	lib->needed_by = needed_by;
	for (size_t i = 0; s && i < s->tried.n; i++)
		*imp_vec_push(a, &lib->searched) = (struct imp_library_path){
			s->tried.v[i].path, imp_ld_origin_name(s->tried.v[i].origin),
			imp_ld_result_name(s->tried.v[i].result) };
	for (size_t i = 0; s && i < s->later.n; i++)
		*imp_vec_push(a, &lib->searched) = (struct imp_library_path){
			s->later.v[i].path, imp_ld_origin_name(s->later.v[i].origin),
			imp_ld_result_name(IMP_LD_SKIPPED) };
	for (size_t i = 0; s && i < s->skipped.n; i++)
		if (s->skipped.v[i].path)
			*imp_vec_push(a, &lib->searched) = (struct imp_library_path){
				s->skipped.v[i].path, imp_ld_origin_name(s->skipped.v[i].origin),
				imp_ld_result_name(IMP_LD_SKIPPED) };
	l->c->f->library = lib;
}

void imp_load_say_chain(struct imp_load *l, const char *name, const struct imp_ld_search *s)
{
	const struct imp_ld_object *o;
	const char *text;
	unsigned int n = 0;

	if (!imp_load_needed_by(l, s))
		return;
	text = imp_arena_printf(l->c->a, "%s is needed by %s", name, s->requester->file);
	for (o = s->requester->loader; o && n < CHAIN_MAX; o = o->loader, n++)
		if (o->file)
			text = imp_arena_printf(l->c->a, "%s, which is needed by %s", text, o->file);
	imp_finding_evidence(l->c->a, l->c->f, IMP_DERIVED, "%s", text);
}

/* ---- the causes that one file shows ------------------------------------------------------------------------- */

static const char *name_of(const struct imp_load *l)
{
	return l->file ? l->file : l->text.object ? l->text.object : l->d->name;
}

/* The file at fault, and who needs it. */
static void at_fault(struct imp_load *l, enum imp_cause cause)
{
	struct imp_finding *f = l->c->f;
	const char *name = l->search && l->search->name ? l->search->name : name_of(l);

	f->cause = cause;
	f->path = l->file ? l->file : l->root;
	if (!l->root || !l->file || strcmp(l->root, l->file)) {
		imp_load_library(l, name, imp_load_needed_by(l, l->search), l->search);
		imp_load_say_chain(l, name, l->search);
	} else if (!*l->c->module) {
		imp_load_library(l, l->d->name, NULL, l->search);
	}
}

static bool judge_machine(struct imp_load *l)
{
	struct imp_case *c = l->c;
	const struct imp_elf_image *img = imp_load_image(l, l->file), *program = imp_load_image(l, c->image->exe);
	const char *here = program && program->header ? imp_elf_image_architecture(program, c->a)
						      : c->image->machine ? c->image->machine : "x86-64";

	c->f->cause = IMP_CAUSE_WRONG_ELF_MACHINE;
	at_fault(l, c->f->cause);
	c->f->summary = imp_arena_printf(c->a, "%s was built for another processor%s%s; this program is %s", name_of(l),
					 img && img->header ? ": " : " or word size",
					 img && img->header ? imp_elf_image_architecture(img, c->a) : "", here);
	if (img && img->header)
		imp_finding_evidence(c->a, c->f, IMP_DERIVED, "the ELF header of %s says %s; that of %s says %s", name_of(l),
				     imp_elf_image_architecture(img, c->a), c->image->exe ? c->image->exe : "the program", here);
	return true;
}

/* The loader says that there is no such file; there is one, for another processor. */
static bool judge_passed_over(struct imp_load *l)
{
	const struct imp_ld_search *s = l->search;
	const struct imp_elf_image *img = imp_load_image(l, l->file);
	const struct imp_ld_system *sys = &l->replay.system;

	if (img && img->header) {
		enum imp_elf_refusal no = imp_elf_image_refusal(img, sys->bits, sys->machine, sys->big_endian, NULL, NULL);

		if (no == IMP_ELF_OTHER_CLASS || no == IMP_ELF_OTHER_MACHINE)
			return judge_machine(l);
	}
	for (size_t i = 0; s && !s->object && i < s->tried.n; i++)
		if (s->tried.v[i].result == IMP_LD_WRONG_ELF) {
			l->file = imp_ld_process_absolute(&l->replay.process, s->tried.v[i].path);
			return judge_machine(l);
		}
	return false;
}

static void say_process_ids(struct imp_case *c)
{
	if (c->image->ids_known)
		imp_finding_evidence(c->a, c->f, IMP_OBSERVED, "the process ran as user %u, group %u",
				     c->image->euid, c->image->egid);
}

static bool judge_denied(struct imp_load *l)
{
	struct imp_case *c = l->c;
	const struct imp_ld_search *s = l->search;
	const struct imp_file_facts *facts;
	const char *denied = NULL;
	struct stat st;

	for (size_t i = 0; s && !s->object && i < s->tried.n && !denied; i++)
		if (s->tried.v[i].result == IMP_LD_DENIED)
			denied = imp_ld_process_absolute(&l->replay.process, s->tried.v[i].path);
	if (!denied && l->text.reason && !strcmp(l->text.reason, "Permission denied"))
		denied = name_of(l);
	if (!denied && l->file && (facts = imp_load_facts(l, l->file)) && facts->err == EACCES)
		denied = l->file;
	if (!denied)
		return false;
	if (strchr(denied, '/'))
		l->file = denied;
	at_fault(l, IMP_CAUSE_PERMISSION_DENIED);
	if (!strchr(denied, '/'))
		c->f->path = NULL;
	c->f->summary = imp_arena_printf(c->a, "%s is there, and the process may not read it", denied);
	imp_finding_evidence(c->a, c->f, IMP_OBSERVED, "the dynamic loader says: %s", l->d->error);
	facts = imp_load_facts(l, denied);
	for (size_t i = 0; facts && i < facts->directories.n; i++)
		imp_finding_evidence(c->a, c->f, IMP_OBSERVED, "the directory %s has mode %04o, owner %u, group %u",
				     facts->directories.v[i].path, facts->directories.v[i].mode & 07777,
				     facts->directories.v[i].uid, facts->directories.v[i].gid);
	if (facts && facts->stat.known)
		imp_finding_evidence(c->a, c->f, IMP_OBSERVED, "%s has mode %04o, owner %u, group %u", denied,
				     facts->stat.mode & 07777, facts->stat.uid, facts->stat.gid);
	else if (!imp_host_stat(c->host, denied, &st))
		imp_finding_evidence(c->a, c->f, IMP_DERIVED, "%s has mode %04o, owner %u, group %u", denied,
				     (unsigned int)st.st_mode & 07777, st.st_uid, st.st_gid);
	if (strchr(denied, '/')) {
		const char *dir = imp_arena_strndup(c->a, denied, (size_t)(strrchr(denied, '/') - denied));

		if (!imp_host_stat(c->host, dir, &st))
			imp_finding_evidence(c->a, c->f, IMP_DERIVED, "its directory %s has mode %04o, owner %u, group %u", dir,
					     (unsigned int)st.st_mode & 07777, st.st_uid, st.st_gid);
	}
	say_process_ids(c);
	imp_remedy_loader(c);
	return true;
}

static bool judge_open(struct imp_load *l)
{
	if (imp_judge_wrong_libc(l) || judge_denied(l) || judge_passed_over(l))
		return true;
	if (!l->text.reason || !strcmp(l->text.reason, "No such file or directory") ||
	    !strcmp(l->text.reason, "Not a directory"))
		return imp_judge_missing_library(l);
	return false;
}

static const char *first_bytes(struct imp_arena *a, const struct imp_elf_image *img)
{
	const char *text = "";

	for (size_t i = 0; i < img->n_first; i++)
		text = imp_arena_printf(a, "%s%s%02x", text, i ? " " : "", img->first[i]);
	return text;
}

static bool judge_file(struct imp_load *l)
{
	struct imp_case *c = l->c;
	const struct imp_elf_image *img = imp_load_image(l, l->file);
	const struct imp_file_facts *facts = imp_load_facts(l, l->file);

	if (imp_judge_wrong_libc(l))
		return true;
	if (img && img->kind == IMP_ELF_OBJECT && img->header && img->foreign)
		return judge_machine(l);
	at_fault(l, IMP_CAUSE_CORRUPT_FILE);
	imp_finding_evidence(c->a, c->f, IMP_OBSERVED, "the dynamic loader says: %s", l->d->error);
	if (facts && facts->stat.known)
		imp_finding_evidence(c->a, c->f, IMP_OBSERVED, "it is %llu bytes long%s", (unsigned long long)facts->stat.size,
				     facts->stat.size ? "" : ": it is empty");
	else if (img && img->kind != IMP_ELF_UNKNOWN)
		imp_finding_evidence(c->a, c->f, IMP_DERIVED, "it is %llu bytes long",
				     (unsigned long long)img->bytes.size);
	if (img && img->n_first)
		imp_finding_evidence(c->a, c->f, facts ? IMP_OBSERVED : IMP_DERIVED, "its first bytes are %s", first_bytes(c->a, img));
	if (img && img->promised > img->bytes.size)
		imp_finding_evidence(c->a, c->f, IMP_DERIVED, "its program headers promise %llu bytes",
				     (unsigned long long)img->promised);
	if (img && img->kind != IMP_ELF_UNKNOWN && img->kind != IMP_ELF_OBJECT)
		c->f->summary = imp_arena_printf(c->a, "%s is no ELF file: it is %s", name_of(l), imp_elf_kind_name(img->kind));
	else if (img && img->damage)
		c->f->summary = imp_arena_printf(c->a, "%s is damaged: it %s", name_of(l), img->damage);
	else
		c->f->summary = imp_arena_printf(c->a, "%s is damaged: %s", name_of(l), l->text.message);
	return true;
}

static bool judge_page(struct imp_load *l)
{
	struct imp_case *c = l->c;
	const struct imp_elf_image *img = imp_load_image(l, l->file);
	uint64_t align = 0;

	at_fault(l, IMP_CAUSE_PAGE_SIZE_MISMATCH);
	for (size_t i = 0; img && i < img->segments.n; i++)
		if (img->segments.v[i].type == 1 && (!align || img->segments.v[i].align < align))
			align = img->segments.v[i].align;	/* PT_LOAD */
	c->f->summary = imp_arena_printf(c->a, "The segments of %s are not aligned for this kernel's page size", name_of(l));
	imp_finding_evidence(c->a, c->f, IMP_OBSERVED, "the dynamic loader says: %s", l->text.message);
	if (align && c->image->page_size)
		imp_finding_evidence(c->a, c->f, IMP_DERIVED, "p_align of its segments is %llu (0x%llx); the kernel's pages have %llu bytes",
				     (unsigned long long)align, (unsigned long long)align,
				     (unsigned long long)c->image->page_size);
	return true;
}

static bool judge_tls(struct imp_load *l)
{
	struct imp_case *c = l->c;
	const struct imp_elf_image *img = imp_load_image(l, l->file);
	unsigned int others = 0;

	at_fault(l, IMP_CAUSE_STATIC_TLS_EXHAUSTED);
	c->f->summary = imp_arena_printf(c->a, "There was no room left for the thread-local variables of %s: it must have them in the static TLS block, "
					 "whose size was fixed when the program started", name_of(l));
	imp_finding_evidence(c->a, c->f, IMP_OBSERVED, "the dynamic loader says: %s", l->text.message);
	if (img && img->tls_size)
		imp_finding_evidence(c->a, c->f, IMP_DERIVED, "its TLS segment (PT_TLS) asks for %llu bytes%s",
				     (unsigned long long)img->tls_size, img->static_tls ? ", and DF_STATIC_TLS is set" : "");
	for (size_t i = 0; i < c->image->objects.n && others < 16; i++) {
		const struct imp_object *o = c->image->objects.v[i];
		const struct imp_elf_image *other = o->mapped_ns <= c->time_ns && !o->gone_ns ? imp_load_image(l, o->path) : NULL;

		if (!other || other == img || !other->tls_size || !other->static_tls)
			continue;
		others++;
		imp_finding_evidence(c->a, c->f, IMP_DERIVED, "%s, loaded before, has %llu bytes of static TLS", o->path,
				     (unsigned long long)other->tls_size);
	}
	return true;
}

static bool judge_stack(struct imp_load *l)
{
	struct imp_case *c = l->c;
	const struct imp_elf_image *img;

	/* The text may name the program's own file, or none: it is the object whose PT_GNU_STACK says so. */
	img = imp_load_image(l, l->file);
	for (size_t i = 0; (!img || !img->executable_stack) && i < l->tree.objects.n; i++)
		if (l->tree.objects.v[i]->image && l->tree.objects.v[i]->image->executable_stack) {
			img = l->tree.objects.v[i]->image;
			l->file = l->tree.objects.v[i]->file;
			l->search = imp_load_search(l, l->file);
		}
	at_fault(l, IMP_CAUSE_EXECUTABLE_STACK);
	c->f->summary = imp_arena_printf(c->a, "%s asks for an executable stack, and that was refused", name_of(l));
	imp_finding_evidence(c->a, c->f, IMP_OBSERVED, "the dynamic loader says: %s", l->text.message);
	if (img && img->header)
		imp_finding_evidence(c->a, c->f, IMP_DERIVED, "%s", img->stack_known && img->executable_stack
				     ? "its PT_GNU_STACK has the flag PF_X"
				     : "it has no PT_GNU_STACK without PF_X: that counts as a wish for an executable stack");
	return true;
}

/* Is the file system mounted noexec? 1, 0, -ENODATA; @observed: the trace says so */
static int noexec(const struct imp_load *l, const char *path, bool *observed)
{
	const struct imp_file_facts *facts = imp_load_facts(l, path);
	struct statvfs vfs;

	*observed = facts && facts->mount_known;
	if (*observed)
		return (facts->mount_flags & ST_NOEXEC) != 0;
	if (!l->c->host->enabled || !path || *path != '/' || statvfs(path, &vfs))
		return -ENODATA;
	return (vfs.f_flag & ST_NOEXEC) != 0;
}

static uint64_t limit_of(const struct imp_load *l)
{
	uint64_t limit = 0;

	for (size_t i = 0; i < l->c->image->files.n; i++)
		if (l->c->image->files.v[i]->time_ns <= l->c->time_ns && l->c->image->files.v[i]->limit_as)
			limit = l->c->image->files.v[i]->limit_as;
	for (size_t i = 0; !limit && i < l->c->image->files.n; i++)
		limit = l->c->image->files.v[i]->limit_as;
	return limit;
}

static void say_memory(struct imp_load *l)
{
	struct imp_case *c = l->c;
	const struct imp_elf_image *img = imp_load_image(l, l->file);
	uint64_t limit = limit_of(l), size = 0;

	for (size_t i = 0; img && i < img->segments.n; i++)
		if (img->segments.v[i].type == 1 && img->segments.v[i].address + img->segments.v[i].memory_size > size)
			size = img->segments.v[i].address + img->segments.v[i].memory_size;
	if (size)
		imp_finding_evidence(c->a, c->f, IMP_DERIVED, "mapping it takes %llu bytes (%llu MiB) of address space",
				     (unsigned long long)size, (unsigned long long)(size >> 20));
	if (limit)
		imp_finding_evidence(c->a, c->f, IMP_OBSERVED, "the address space of the process is limited (RLIMIT_AS, ulimit -v) to %llu bytes (%llu MiB)",
				     (unsigned long long)limit, (unsigned long long)(limit >> 20));
	else
		imp_finding_evidence(c->a, c->f, IMP_DERIVED, "no limit of the address space (RLIMIT_AS) was recorded: the machine itself or its control group may have had no memory left");
}

static bool judge_memory(struct imp_load *l)
{
	at_fault(l, IMP_CAUSE_MEMORY_LIMIT);
	l->c->f->summary = imp_arena_printf(l->c->a, "There was no address space left to map %s%s", name_of(l),
					    limit_of(l) ? ": the process has a limit" : "");
	imp_finding_evidence(l->c->a, l->c->f, IMP_OBSERVED, "the dynamic loader says: %s", l->d->error);
	say_memory(l);
	return true;
}

static bool judge_map(struct imp_load *l)
{
	struct imp_case *c = l->c;
	const char *why = l->text.reason;
	bool observed, denied = why && (!strcmp(why, "Permission denied") || !strcmp(why, "Operation not permitted"));
	int mount = noexec(l, l->file, &observed);

	if (why && !strcmp(why, "Cannot allocate memory"))
		return judge_memory(l);
	if (mount == 1 || (mount < 0 && why && !strcmp(why, "Operation not permitted"))) {
		at_fault(l, IMP_CAUSE_NOEXEC_MOUNT);
		c->f->summary = imp_arena_printf(c->a, "%s may not be mapped for execution: its file system is mounted noexec",
						 name_of(l));
		imp_finding_evidence(c->a, c->f, IMP_OBSERVED, "the dynamic loader says: %s", l->d->error);
		if (mount == 1)
			imp_finding_evidence(c->a, c->f, observed ? IMP_OBSERVED : IMP_DERIVED,
					     "the file system that holds %s is mounted with the flag noexec", name_of(l));
		return true;
	}
	if (denied) {
		at_fault(l, IMP_CAUSE_PERMISSION_DENIED);
		c->f->summary = imp_arena_printf(c->a, "%s may not be mapped for execution: a security policy (SELinux, AppArmor, seccomp) forbids it",
						 name_of(l));
		imp_finding_evidence(c->a, c->f, IMP_OBSERVED, "the dynamic loader says: %s", l->d->error);
		if (!mount)
			imp_finding_evidence(c->a, c->f, observed ? IMP_OBSERVED : IMP_DERIVED, "its file system is not mounted noexec");
		say_process_ids(c);
		return true;
	}
	if (!why && (limit_of(l) || !mount))
		return judge_memory(l);
	return false;
}

static bool judge_protect(struct imp_load *l)
{
	struct imp_case *c = l->c;

	if (l->text.reason && !strcmp(l->text.reason, "Cannot allocate memory"))
		return judge_memory(l);
	if (!l->text.reason || strcmp(l->text.reason, "Permission denied"))
		return false;
	at_fault(l, IMP_CAUSE_PERMISSION_DENIED);
	c->f->summary = imp_arena_printf(c->a, "The code of %s would have to be changed while it is loaded (text relocations), and a security policy forbids it",
					 name_of(l));
	imp_finding_evidence(c->a, c->f, IMP_OBSERVED, "the dynamic loader says: %s", l->d->error);
	say_process_ids(c);
	imp_remedy_loader(c);
	return true;
}

/* ---- one failed dlopen ---------------------------------------------------------------------------------------- */

static bool judge(struct imp_load *l)
{
	static bool (*const judges[])(struct imp_load *) = {
		[IMP_LOADER_OPEN] = judge_open,
		[IMP_LOADER_SYMBOL] = imp_judge_symbol,
		[IMP_LOADER_VERSION] = imp_judge_symbol_version,
		[IMP_LOADER_MACHINE] = judge_machine,
		[IMP_LOADER_FILE] = judge_file,
		[IMP_LOADER_PAGE] = judge_page,
		[IMP_LOADER_TLS] = judge_tls,
		[IMP_LOADER_STACK] = judge_stack,
		[IMP_LOADER_MAP] = judge_map,
		[IMP_LOADER_PROTECT] = judge_protect,
		[IMP_LOADER_MEMORY] = judge_memory,
	};

	return judges[l->text.complaint](l);
}

bool imp_judge_dlopen_error(struct imp_case *c, const struct imp_dlopen *d)
{
	struct imp_load l = { .c = c, .d = d };
	bool known;

	if (!d->error || !d->name || !imp_loader_text_parse(&l.text, c->a, d->error))
		return false;
	imp_ld_replay_init(&l.replay, c->a, c->image, c->host);
	if (imp_ld_replay_dlopen(&l.replay, d, &l.tree))
		l.tree = (struct imp_ld_tree){ 0 };
	if (strchr(d->name, '/'))
		l.root = imp_ld_process_absolute(&l.replay.process, d->name);
	l.search = imp_load_search(&l, l.text.object);
	if (l.text.object && strchr(l.text.object, '/'))
		l.file = imp_ld_process_absolute(&l.replay.process, l.text.object);
	known = judge(&l);
	if (known && !*c->module) {
		if (!c->f->library)
			imp_load_library(&l, d->name, NULL, l.tree.searches.n ? l.tree.searches.v[0] : NULL);
		if (d->caller && imp_record_object(c->image, d->caller) && imp_record_object(c->image, d->caller)->path)
			imp_finding_evidence(c->a, c->f, IMP_OBSERVED, "dlopen(\"%s\") was called by %s", d->name,
					     imp_record_object(c->image, d->caller)->path);
	}
	imp_ld_replay_clear(&l.replay);
	return known;
}
