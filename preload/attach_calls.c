// SPDX-License-Identifier: GPL-2.0-or-later
#include "attach_calls.h"

#include "got_patch.h"
#include "real_symbols.h"

#include "poison.h"

/* What calls are led to: the names of ours; filled in at the first attach. */
static struct imp_got_function functions[] = {
	{"dlopen", NULL, NULL},	    {"dlmopen", NULL, NULL}, {"dlsym", NULL, NULL},
	{"dlvsym", NULL, NULL},	    {"dlclose", NULL, NULL}, {"dlerror", NULL, NULL},
	{"dlinfo", NULL, NULL},	    {"execve", NULL, NULL},  {"execv", NULL, NULL},
	{"execvp", NULL, NULL},	    {"execvpe", NULL, NULL}, {"execl", NULL, NULL},
	{"execlp", NULL, NULL},	    {"execle", NULL, NULL},  {"fexecve", NULL, NULL},
	{"execveat", NULL, NULL},   {"_exit", NULL, NULL},   {"_Exit", NULL, NULL},
	{"quick_exit", NULL, NULL}, {"prctl", NULL, NULL},   {"syscall", NULL, NULL},
};

static struct imp_got got = {
	.functions = functions,
	.count = sizeof(functions) / sizeof(functions[0]),
};

/* Our own functions, whatever those names mean to the program: from our own symbol table. */
void imp_attach_calls_find(const struct imp_elf_symbols *own)
{
	static const struct {
		const char *name;
		void **real;
	} reals[] = {
#define X(type, name, params, args, absent) {#name, (void **)&imp_real.name},
		IMP_REAL_FUNCTIONS(X)
#undef X
	};

	imp_real_symbols_init();
	for (size_t i = 0; i < got.count; i++) {
		struct imp_got_function *f = &functions[i];

		f->original = NULL;
		for (size_t k = 0; k < sizeof(reals) / sizeof(reals[0]); k++)
			if (imp_elf_same_text(f->name, reals[k].name))
				f->original = *reals[k].real;
		/* execv() and others that we make of execve(). */
		if (!f->original)
			f->original = imp_real_symbols_find(f->name);
		f->replacement = f->original ? imp_elf_symbols_find(own, f->name, NULL) : NULL;
	}
}

void imp_attach_calls_update(void)
{
	imp_got_update(&got);
}

int imp_attach_calls_restore(const char *except)
{
	return imp_got_restore(&got, except);
}

void imp_attach_calls_after_fork(void)
{
	imp_got_after_fork(&got);
}
