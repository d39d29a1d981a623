/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A file that ld.so refuses for what it is, or for who asks: the causes that lie in one file. */
#include <elf.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "../python/installer.h"
#include "judge_loader.h"

#define SCRIPT_MAX 65536 /* bytes of a linker script */

const char *imp_load_name(const struct imp_load *l)
{
	return l->file ? l->file : l->text.object ? l->text.object : l->d->name;
}

/* The file at fault, and who needs it. */
void imp_load_at_fault(struct imp_load *l)
{
	struct imp_finding *f = l->c->f;
	const char *name = l->search && l->search->name ? l->search->name : imp_load_name(l);

	f->path = l->file ? l->file : l->root;
	if (!l->root || !l->file || strcmp(l->root, l->file)) {
		imp_load_library(l, name, imp_load_needed_by(l, l->search), l->search);
		imp_load_say_chain(l, name, l->search);
	} else if (!*l->c->module) {
		imp_load_library(l, l->d->name, NULL, l->search);
	}
}

bool imp_judge_machine(struct imp_load *l)
{
	struct imp_case *c = l->c;
	const struct imp_elf_image *img = imp_load_image(l, l->file),
				   *program = imp_load_image(l, c->image->exe);
	const char *here = program && program->header ? imp_elf_image_architecture(program, c->a) :
			   c->image->machine	      ? c->image->machine :
							"x86-64";

	c->f->cause = IMP_CAUSE_WRONG_ELF_MACHINE;
	imp_load_at_fault(l);
	c->f->summary =
		imp_arena_printf(c->a, "%s was built for another processor%s%s; this program is %s",
				 imp_load_name(l), img && img->header ? ": " : " or word size",
				 img && img->header ? imp_elf_image_architecture(img, c->a) : "",
				 here);
	if (img && img->header)
		imp_finding_evidence(c->a, c->f, IMP_DERIVED,
				     "the ELF header of %s says %s; that of %s says %s",
				     imp_load_name(l), imp_elf_image_architecture(img, c->a),
				     c->image->exe ? c->image->exe : "the program", here);
	return true;
}

/* The loader says that there is no such file; there is one, for another processor. */
static bool judge_passed_over(struct imp_load *l)
{
	const struct imp_ld_search *s = l->search;
	const struct imp_elf_image *img = imp_load_image(l, l->file);
	const struct imp_ld_system *sys = &l->replay.system;

	if (img && img->header) {
		const char *text, *why;
		enum imp_elf_refusal no = imp_elf_image_refusal(img, sys->bits, sys->machine,
								sys->big_endian, &text, &why);

		if (no == IMP_ELF_OTHER_CLASS || no == IMP_ELF_OTHER_MACHINE)
			return imp_judge_machine(l);
	}
	for (size_t i = 0; s && !s->object && i < s->tried.n; i++)
		if (s->tried.v[i].result == IMP_LD_WRONG_ELF) {
			l->file = imp_ld_process_absolute(&l->replay.process, s->tried.v[i].path);
			return imp_judge_machine(l);
		}
	return false;
}

void imp_load_say_ids(struct imp_case *c)
{
	if (c->image->ids_known)
		imp_finding_evidence(c->a, c->f, IMP_OBSERVED,
				     "the process ran as user %u, group %u", c->image->euid,
				     c->image->egid);
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
		denied = imp_load_name(l);
	if (!denied && l->file && (facts = imp_load_facts(l, l->file)) && facts->err == EACCES)
		denied = l->file;
	if (!denied)
		return false;
	if (strchr(denied, '/'))
		l->file = denied;
	c->f->cause = IMP_CAUSE_PERMISSION_DENIED;
	imp_load_at_fault(l);
	if (!strchr(denied, '/'))
		c->f->path = NULL;
	c->f->summary =
		imp_arena_printf(c->a, "%s is there, and the process may not read it", denied);
	imp_finding_evidence(c->a, c->f, IMP_OBSERVED, "the dynamic loader says: %s", l->d->error);
	facts = imp_load_facts(l, denied);
	for (size_t i = 0; facts && i < facts->directories.n; i++)
		imp_finding_evidence(c->a, c->f, IMP_OBSERVED,
				     "the directory %s has mode %04o, owner %u, group %u",
				     facts->directories.v[i].path,
				     facts->directories.v[i].mode & 07777,
				     facts->directories.v[i].uid, facts->directories.v[i].gid);
	if (facts && facts->stat.known)
		imp_finding_evidence(c->a, c->f, IMP_OBSERVED,
				     "%s has mode %04o, owner %u, group %u", denied,
				     facts->stat.mode & 07777, facts->stat.uid, facts->stat.gid);
	else if (!imp_host_stat(c->host, denied, &st))
		imp_finding_evidence(c->a, c->f, IMP_DERIVED,
				     "%s has mode %04o, owner %u, group %u", denied,
				     (unsigned int)st.st_mode & 07777, st.st_uid, st.st_gid);
	if (strchr(denied, '/')) {
		const char *dir =
			imp_arena_strndup(c->a, denied, (size_t)(strrchr(denied, '/') - denied));

		if (!imp_host_stat(c->host, dir, &st))
			imp_finding_evidence(c->a, c->f, IMP_DERIVED,
					     "its directory %s has mode %04o, owner %u, group %u",
					     dir, (unsigned int)st.st_mode & 07777, st.st_uid,
					     st.st_gid);
	}
	imp_load_say_ids(c);
	imp_remedy_loader(c);
	return true;
}

bool imp_judge_open(struct imp_load *l)
{
	if (imp_judge_wrong_libc(l) || judge_denied(l) || judge_passed_over(l) ||
	    imp_judge_dangling_library(l))
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

/* The libraries that a linker script stands for: INPUT(...) or GROUP(...). */
static void say_script(struct imp_load *l)
{
	struct imp_case *c = l->c;
	const char *from;
	char *text;
	size_t len;

	if (!l->file || imp_host_read(c->host, c->a, l->file, SCRIPT_MAX, &text, &len))
		return;
	from = strstr(text, "INPUT");
	from = from ? from : strstr(text, "GROUP");
	if (from)
		imp_finding_evidence(c->a, c->f, IMP_DERIVED, "the script stands for %.*s",
				     (int)strcspn(from, "\r\n"), from);
}

/* The headers are those of the library; of the contents only the debugging information was kept. */
static bool is_debug_file(const struct imp_elf_image *img)
{
	for (size_t i = 0; i < img->segments.n; i++)
		if (img->segments.v[i].type == PT_DYNAMIC)
			return !img->segments.v[i].file_size && img->segments.v[i].memory_size;
	return false;
}

/* A whole ELF file of a kind that no loader takes, and what would make a shared object of it; false: it is none. */
static bool other_elf(struct imp_load *l, const struct imp_elf_image *img)
{
	struct imp_case *c = l->c;
	const char *what, *mend;

	if (!img || img->kind != IMP_ELF_OBJECT || !img->header || img->promised > img->bytes.size)
		return false;
	if (img->type == ET_REL) {
		what = "an object file (ET_REL), which was never linked";
		mend = "link it: its sources compiled with -fPIC, and gcc -shared for the last step";
	} else if (img->type == ET_EXEC || img->flags_1 & DF_1_PIE) {
		what = "an executable program";
		mend = "build it again with gcc -shared (and -fPIC), which makes a library and no program";
	} else if (is_debug_file(img)) {
		what = "the debugging information of one (objcopy --only-keep-debug, a -dbgsym package), without its code";
		mend = "put the library itself in its place, or install it again: this file is for a debugger alone";
	} else {
		return false;
	}
	c->f->summary =
		imp_arena_printf(c->a, "%s is no shared object: it is %s", imp_load_name(l), what);
	imp_finding_fix(c->a, c->f, IMP_LIKELY, NULL, "%s", mend);
	return true;
}

/* open(2) takes a directory, and read(2) then says that it is one. */
static bool is_directory(const struct imp_load *l, const struct imp_file_facts *facts)
{
	struct stat st;

	if (facts && facts->stat.known)
		return S_ISDIR(facts->stat.mode);
	return l->file && !imp_host_stat(l->c->host, l->file, &st) && S_ISDIR(st.st_mode);
}

bool imp_judge_bad_file(struct imp_load *l)
{
	struct imp_case *c = l->c;
	const struct imp_elf_image *img = imp_load_image(l, l->file);
	const struct imp_file_facts *facts = imp_load_facts(l, l->file);

	if (imp_judge_wrong_libc(l))
		return true;
	if (img && img->kind == IMP_ELF_OBJECT && img->header && img->foreign)
		return imp_judge_machine(l);
	c->f->cause = IMP_CAUSE_CORRUPT_FILE;
	imp_load_at_fault(l);
	imp_finding_evidence(c->a, c->f, IMP_OBSERVED, "the dynamic loader says: %s", l->d->error);
	if (is_directory(l, facts)) {
		c->f->summary =
			imp_arena_printf(c->a, "%s is a directory, and no file", imp_load_name(l));
		imp_finding_fix(
			c->a, c->f, IMP_LIKELY, NULL,
			"remove the directory, and install or copy the library's file to its place: a container's mount of a file that is not there (docker run -v) makes a directory of its name");
		return true;
	}
	if (facts && facts->stat.known)
		imp_finding_evidence(c->a, c->f, IMP_OBSERVED, "it is %llu bytes long%s",
				     (unsigned long long)facts->stat.size,
				     facts->stat.size ? "" : ": it is empty");
	else if (img && img->kind != IMP_ELF_UNKNOWN)
		imp_finding_evidence(c->a, c->f, IMP_DERIVED, "it is %llu bytes long",
				     (unsigned long long)img->bytes.size);
	if (img && img->n_first)
		imp_finding_evidence(c->a, c->f, facts ? IMP_OBSERVED : IMP_DERIVED,
				     "its first bytes are %s", first_bytes(c->a, img));
	if (img && img->promised > img->bytes.size)
		imp_finding_evidence(c->a, c->f, IMP_DERIVED,
				     "its program headers promise %llu bytes",
				     (unsigned long long)img->promised);
	if (img && img->kind == IMP_ELF_LINKER_SCRIPT)
		say_script(l);
	if (img && img->kind != IMP_ELF_UNKNOWN && img->kind != IMP_ELF_OBJECT)
		c->f->summary = imp_arena_printf(c->a, "%s is no ELF file: it is %s",
						 imp_load_name(l), imp_elf_kind_name(img->kind));
	else if (other_elf(l, img))
		return true;
	else if (img && img->damage)
		c->f->summary = imp_arena_printf(c->a, "%s is damaged: it %s", imp_load_name(l),
						 img->damage);
	else
		c->f->summary = imp_arena_printf(c->a, "%s is damaged: %s", imp_load_name(l),
						 l->text.message);
	return true;
}

bool imp_judge_processor(struct imp_load *l)
{
	struct imp_case *c = l->c;

	c->f->cause = IMP_CAUSE_ILLEGAL_INSTRUCTION;
	imp_load_at_fault(l);
	c->f->summary = imp_arena_printf(
		c->a,
		"%s was built for newer processors than this one: it is marked as in need of instructions that this one lacks",
		imp_load_name(l));
	imp_finding_evidence(c->a, c->f, IMP_OBSERVED, "the dynamic loader says: %s", l->d->error);
	imp_finding_evidence(
		c->a, c->f, IMP_DERIVED,
		"the mark is the property GNU_PROPERTY_X86_ISA_1_NEEDED of the file (x86-64-v2, -v3 or -v4): none of its code was run");
	imp_load_say_processor(c);
	imp_finding_fix(
		c->a, c->f, IMP_POSSIBLE, NULL,
		"install a build of %s for older processors (plain x86-64), or build it on this machine",
		imp_load_name(l));
	return true;
}

bool imp_judge_page_size(struct imp_load *l)
{
	struct imp_case *c = l->c;
	const struct imp_elf_image *img = imp_load_image(l, l->file);
	uint64_t align = 0;

	c->f->cause = IMP_CAUSE_PAGE_SIZE_MISMATCH;
	imp_load_at_fault(l);
	for (size_t i = 0; img && i < img->segments.n; i++)
		if (img->segments.v[i].type == 1 && (!align || img->segments.v[i].align < align))
			align = img->segments.v[i].align; /* PT_LOAD */
	c->f->summary =
		imp_arena_printf(c->a,
				 "The segments of %s are not aligned for this kernel's page size",
				 imp_load_name(l));
	imp_finding_evidence(c->a, c->f, IMP_OBSERVED, "the dynamic loader says: %s",
			     l->text.message);
	if (align && c->image->page_size)
		imp_finding_evidence(
			c->a, c->f, IMP_DERIVED,
			"p_align of its segments is %llu (0x%llx); the kernel's pages have %llu bytes",
			(unsigned long long)align, (unsigned long long)align,
			(unsigned long long)c->image->page_size);
	return true;
}

bool imp_judge_static_tls(struct imp_load *l)
{
	struct imp_case *c = l->c;
	const struct imp_elf_image *img = imp_load_image(l, l->file);
	unsigned int others = 0;

	c->f->cause = IMP_CAUSE_STATIC_TLS_EXHAUSTED;
	imp_load_at_fault(l);
	c->f->summary = imp_arena_printf(
		c->a,
		"There was no room left for the thread-local variables of %s: it must have them in the static TLS block, "
		"whose size was fixed when the program started",
		imp_load_name(l));
	imp_finding_evidence(c->a, c->f, IMP_OBSERVED, "the dynamic loader says: %s",
			     l->text.message);
	if (img && img->tls_size)
		imp_finding_evidence(c->a, c->f, IMP_DERIVED,
				     "its TLS segment (PT_TLS) asks for %llu bytes%s",
				     (unsigned long long)img->tls_size,
				     img->static_tls ? ", and DF_STATIC_TLS is set" : "");
	for (size_t i = 0; i < c->image->objects.n && others < 16; i++) {
		const struct imp_object *o = c->image->objects.v[i];
		const struct imp_elf_image *other = o->mapped_ns <= c->time_ns && !o->gone_ns ?
							    imp_load_image(l, o->path) :
							    NULL;

		if (!other || other == img || !other->tls_size || !other->static_tls)
			continue;
		others++;
		imp_finding_evidence(c->a, c->f, IMP_DERIVED,
				     "%s, loaded before, has %llu bytes of static TLS", o->path,
				     (unsigned long long)other->tls_size);
	}
	return true;
}

/* One byte of the file: what patchelf could do in its newer versions alone. */
static void fix_stack(struct imp_load *l, const struct imp_elf_image *img)
{
	struct imp_case *c = l->c;

	if (!img || !c->host->enabled || !c->f->path || imp_host_exists(c->host, c->f->path) != 1)
		return;
	for (size_t i = 0; i < img->segments.n; i++) {
		const struct imp_elf_segment *s = &img->segments.v[i];
		/* p_flags is the second member of Elf64_Phdr, and the last but one of Elf32_Phdr. */
		uint64_t at = s->at + (img->bits == 64 ? 4 : 24) + (img->big_endian ? 3 : 0);

		if (s->type != PT_GNU_STACK || !(s->flags & PF_X))
			continue;
		imp_finding_fix(
			c->a, c->f, IMP_LIKELY,
			imp_arena_printf(c->a,
					 "printf '\\006' | dd bs=1 seek=%llu conv=notrunc of=%s",
					 (unsigned long long)at, imp_shell_quote(c->a, c->f->path)),
			"takes the flag PF_X from its PT_GNU_STACK; few objects need the executable stack that they ask for");
		return;
	}
}

bool imp_judge_stack(struct imp_load *l)
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
	c->f->cause = IMP_CAUSE_EXECUTABLE_STACK;
	imp_load_at_fault(l);
	c->f->summary = imp_arena_printf(
		c->a, "%s asks for an executable stack, and that was refused", imp_load_name(l));
	imp_finding_evidence(c->a, c->f, IMP_OBSERVED, "the dynamic loader says: %s",
			     l->text.message);
	if (img && img->header)
		imp_finding_evidence(
			c->a, c->f, IMP_DERIVED, "%s",
			img->stack_known && img->executable_stack ?
				"its PT_GNU_STACK has the flag PF_X" :
				"it has no PT_GNU_STACK without PF_X: that counts as a wish for an executable stack");
	fix_stack(l, img);
	return true;
}
