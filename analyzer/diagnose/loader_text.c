/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "loader_text.h"

#include <string.h>

static const struct {
	enum imp_loader_complaint complaint;
	const char *text;
} complaints[] = {
	{IMP_LOADER_OPEN, "cannot open shared object file"},
	{IMP_LOADER_SYMBOL, "undefined symbol: "},
	{IMP_LOADER_SYMBOL,
	 "symbol "}, /* "symbol S, version V not defined in file F with link time reference" */
	{IMP_LOADER_VERSION, "version `"},
	{IMP_LOADER_MACHINE, "wrong ELF class: "},
	{IMP_LOADER_MACHINE, "ELF file data encoding not "},
	{IMP_LOADER_FILE, "file too short"},
	{IMP_LOADER_FILE, "invalid ELF header"},
	{IMP_LOADER_FILE, "cannot read file data"},
	{IMP_LOADER_FILE, "object file has no loadable segments"},
	{IMP_LOADER_FILE, "object file has no dynamic section"},
	{IMP_LOADER_FILE, "ELF file version ident does not match current one"},
	{IMP_LOADER_FILE, "ELF file version does not match current one"},
	{IMP_LOADER_FILE, "ELF file OS ABI invalid"},
	{IMP_LOADER_FILE, "ELF file ABI version invalid"},
	{IMP_LOADER_FILE, "nonzero padding in e_ident"},
	{IMP_LOADER_FILE, "only ET_DYN and ET_EXEC can be loaded"},
	{IMP_LOADER_FILE, "ELF file's phentsize not the expected size"},
	{IMP_LOADER_FILE, "ELF load command past end of file"},
	{IMP_LOADER_FILE, "PT_PHDR segment not found"},
	{IMP_LOADER_FILE, "cannot dynamically load executable"},
	{IMP_LOADER_FILE, "cannot dynamically load position-independent executable"},
	{IMP_LOADER_FILE, "unexpected reloc type 0x"},
	{IMP_LOADER_FILE, "unexpected PLT reloc type 0x"},
	{IMP_LOADER_PROCESSOR, "CPU ISA level is lower than required"},
	{IMP_LOADER_PAGE, "ELF load command alignment not page-aligned"},
	{IMP_LOADER_PAGE, "ELF load command address/offset not properly aligned"},
	{IMP_LOADER_PAGE, "ELF load command address/offset not page-aligned"},
	{IMP_LOADER_TLS, "cannot allocate memory in static TLS block"},
	{IMP_LOADER_TLS, "cannot load any more object with static TLS"},
	{IMP_LOADER_TLS, "shared object cannot be dlopen()ed: static TLS memory too small"},
	{IMP_LOADER_STACK, "cannot enable executable stack as shared object requires"},
	{IMP_LOADER_MAP, "failed to map segment from shared object"},
	{IMP_LOADER_PROTECT, "cannot change memory protections"},
	{IMP_LOADER_PROTECT, "cannot make segment writable for relocation"},
	{IMP_LOADER_PROTECT, "cannot restore segment prot after reloc"},
	{IMP_LOADER_PROTECT, "cannot apply additional memory protection after relocation"},
	{IMP_LOADER_MEMORY, "cannot map zero-fill pages"},
	{IMP_LOADER_MEMORY, "cannot create shared object descriptor"},
	{IMP_LOADER_MEMORY, "cannot allocate dependency buffer"},
	{IMP_LOADER_MEMORY, "cannot allocate symbol search list"},
	{IMP_LOADER_MEMORY, "cannot allocate version reference table"},
	{IMP_LOADER_MEMORY, "cannot create scope list"},
	{IMP_LOADER_MEMORY, "cannot extend global scope"},
	{IMP_LOADER_MEMORY, "cannot allocate name record"},
	{IMP_LOADER_MEMORY, "cannot create TLS data structures"},
	{IMP_LOADER_MEMORY, "cannot allocate memory for program header"},
	{IMP_LOADER_MEMORY, "out of memory"},
};

/* The last place where @part begins a message: at the start of the text, or behind ": ". */
static const char *last_message(const char *text, const char *part)
{
	const char *found = NULL;

	for (const char *p = strstr(text, part); p; p = strstr(p + 1, part))
		if ((p == text || (p - text >= 2 && p[-1] == ' ' && p[-2] == ':')) &&
		    (strcmp(part, "symbol ") || strstr(p, " not defined in file ")))
			found = p;
	return found;
}

static void parse_symbol(struct imp_loader_text *t, struct imp_arena *a, const char *name)
{
	static const char version[] = ", version ";
	const char *comma = strstr(name, version);
	size_t len = comma ? (size_t)(comma - name) : strcspn(name, "\t\n ");

	t->symbol = imp_arena_strndup(a, name, len);
	if (comma)
		t->version = imp_arena_strndup(a, comma + sizeof(version) - 1,
					       strcspn(comma + sizeof(version) - 1, " \t\n)"));
}

static bool parse_version(struct imp_loader_text *t, struct imp_arena *a, const char *name)
{
	static const char required[] = "' not found (required by ";
	const char *end = strstr(name, required), *by, *close;

	if (!end)
		return false;
	by = end + sizeof(required) - 1;
	close = strrchr(by, ')');
	t->version = imp_arena_strndup(a, name, (size_t)(end - name));
	t->required_by = imp_arena_strndup(a, by, close ? (size_t)(close - by) : strlen(by));
	return true;
}

bool imp_loader_text_parse(struct imp_loader_text *t, struct imp_arena *a, const char *text)
{
	const char *at = NULL, *part = NULL;

	*t = (struct imp_loader_text){.message = text};
	for (size_t i = 0; text && i < sizeof(complaints) / sizeof(complaints[0]); i++) {
		const char *p = last_message(text, complaints[i].text);

		if (!p || (at && p <= at))
			continue;
		at = p;
		part = complaints[i].text;
		t->complaint = complaints[i].complaint;
	}
	if (!at)
		return false;
	t->message = at;
	if (at > text)
		t->object = imp_arena_strndup(a, text, (size_t)(at - text) - 2);
	if (t->object && !*t->object)
		t->object = NULL;
	at += strlen(part);
	if (t->complaint == IMP_LOADER_SYMBOL) {
		parse_symbol(t, a, at);
	} else if (t->complaint == IMP_LOADER_VERSION) {
		if (!parse_version(t, a, at)) {
			t->complaint = IMP_LOADER_OTHER;
			return false;
		}
	} else if (!strncmp(at, ": ", 2)) {
		t->reason = at + 2;
	}
	return true;
}
