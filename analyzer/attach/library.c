/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "library.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LIBRARY_MAX (256u << 20)

static int read_file(struct imp_library *l, const char *path, struct imp_error *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), ret = 0;
	struct stat st;
	ssize_t n;

	if (fd < 0)
		return imp_error_set(err, -errno, "%s cannot be opened: %s", path, strerror(errno));
	if (fstat(fd, &st) < 0 || st.st_size > LIBRARY_MAX ||
	    (size_t)st.st_size < sizeof(ElfW(Ehdr))) {
		ret = imp_error_set(err, -EBADMSG, "%s is no shared object", path);
	} else {
		l->bytes = malloc((size_t)st.st_size);
		if (!l->bytes)
			ret = imp_error_set(err, -ENOMEM, "%s: no memory", path);
	}
	while (ret == 0 && l->len < (size_t)st.st_size) {
		n = read(fd, l->bytes + l->len, (size_t)st.st_size - l->len);
		if (n > 0)
			l->len += (size_t)n;
		else if (n == 0 || errno != EINTR)
			ret = imp_error_set(err, -EIO, "%s cannot be read: %s", path,
					    n ? strerror(errno) : "it is too short");
	}
	close(fd);
	return ret;
}

/* A part of the file, or NULL where it would go beyond its end. */
static void *part(const struct imp_library *l, uint64_t offset, uint64_t len)
{
	return offset <= l->len && len <= l->len - offset ? l->bytes + offset : NULL;
}

static const ElfW(Phdr) * segments(const struct imp_library *l, const ElfW(Ehdr) * head)
{
	if (head->e_phentsize != sizeof(ElfW(Phdr)) || head->e_phoff % sizeof(uint64_t))
		return NULL;
	return part(l, head->e_phoff, (uint64_t)head->e_phnum * sizeof(ElfW(Phdr)));
}

/* Where an address lies in the file; UINT64_MAX: in none of its bytes. */
static uint64_t offset_of(const ElfW(Phdr) * ph, size_t n, uint64_t address)
{
	for (size_t i = 0; i < n; i++)
		if (ph[i].p_type == PT_LOAD && address >= ph[i].p_vaddr &&
		    address - ph[i].p_vaddr < ph[i].p_filesz)
			return address - ph[i].p_vaddr + ph[i].p_offset;
	return UINT64_MAX;
}

/* By the section headers, which a stripped object has too. */
static uint64_t find_symbol(const struct imp_library *l, const ElfW(Ehdr) * head, unsigned int type,
			    const char *name)
{
	const ElfW(Shdr) *sh = part(l, head->e_shoff, (uint64_t)head->e_shnum * sizeof(*sh));

	for (size_t i = 0; sh && i < head->e_shnum; i++) {
		const ElfW(Sym) * sym;
		const char *strings;
		uint64_t size;

		if (sh[i].sh_type != type || sh[i].sh_link >= head->e_shnum)
			continue;
		size = sh[sh[i].sh_link].sh_size;
		sym = part(l, sh[i].sh_offset, sh[i].sh_size);
		strings = part(l, sh[sh[i].sh_link].sh_offset, size);
		if (!sym || !strings || !size || strings[size - 1])
			continue;
		for (size_t k = 0; k < sh[i].sh_size / sizeof(*sym); k++)
			if (sym[k].st_shndx != SHN_UNDEF && sym[k].st_name < size &&
			    strcmp(strings + sym[k].st_name, name) == 0)
				return sym[k].st_value;
	}
	return 0;
}

static uint64_t symbol(const struct imp_library *l, const ElfW(Ehdr) * head, const char *name)
{
	const uint64_t value = find_symbol(l, head, SHT_DYNSYM, name);

	return value ? value : find_symbol(l, head, SHT_SYMTAB, name);
}

static void find_build_id(struct imp_library *l, const ElfW(Phdr) * ph)
{
	const uint8_t *note = part(l, ph->p_offset, ph->p_filesz);
	uint64_t at = 0;
	ElfW(Nhdr) head;

	while (note && ph->p_filesz - at >= sizeof(head)) {
		uint64_t name, desc;

		memcpy(&head, note + at, sizeof(head));
		name = ((uint64_t)head.n_namesz + 3) & ~3ull;
		desc = ((uint64_t)head.n_descsz + 3) & ~3ull;
		at += sizeof(head);
		if (name > ph->p_filesz - at || desc > ph->p_filesz - at - name)
			return;
		if (head.n_type == NT_GNU_BUILD_ID && head.n_descsz <= sizeof(l->build_id)) {
			memcpy(l->build_id, note + at + name, head.n_descsz);
			l->build_id_len = head.n_descsz;
			return;
		}
		at += name + desc;
	}
}

int imp_library_read(struct imp_library *l, const char *path, struct imp_error *err)
{
	const uint32_t attached = 1;
	uint64_t variable, end = 0;
	const ElfW(Phdr) * ph;
	ElfW(Ehdr) * head;
	int ret;

	memset(l, 0, sizeof(*l));
	ret = read_file(l, path, err);
	if (ret < 0)
		goto out;
	head = (void *)l->bytes;
	ph = segments(l, head);
	if (memcmp(head->e_ident, ELFMAG, SELFMAG) != 0 || !ph) {
		ret = imp_error_set(err, -EBADMSG, "%s is no shared object", path);
		goto out;
	}
	l->attach = symbol(l, head, "imptrace_attach");
	l->detach = symbol(l, head, "imptrace_detach");
	variable = offset_of(ph, head->e_phnum, symbol(l, head, "imptrace_attached"));
	if (!l->attach || !l->detach || !part(l, variable, sizeof(attached))) {
		ret = imp_error_set(err, -ENOTSUP,
				    "%s is of another version than imptrace: it cannot be attached",
				    path);
		goto out;
	}
	memcpy(l->bytes + variable, &attached, sizeof(attached));
	for (size_t i = 0; i < head->e_phnum; i++) {
		if (ph[i].p_type == PT_LOAD && ph[i].p_offset + ph[i].p_filesz > end)
			end = ph[i].p_offset + ph[i].p_filesz;
		if (ph[i].p_type == PT_NOTE && !l->build_id_len)
			find_build_id(l, &ph[i]);
	}
	/* Debug information and section headers are not loaded, so they need not be copied. */
	if (end < l->len && end >= sizeof(*head)) {
		l->len = end;
		head->e_shoff = 0;
		head->e_shnum = head->e_shstrndx = 0;
	}
out:
	if (ret < 0)
		imp_library_clear(l);
	return ret;
}

void imp_library_clear(struct imp_library *l)
{
	free(l->bytes);
	memset(l, 0, sizeof(*l));
}
