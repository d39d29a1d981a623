/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "elf/demangle.h"
#include "elf/demangle_rust.h"

static const struct {
	const char *symbol, *name; /* NULL: no such name */
} names[] = {
	/* crates, modules, what the linker adds */
	{"_RNvC6_123foo3bar", "123foo::bar"},
	{"_RNvNtCs1234_7mycrate3foo3bar", "mycrate::foo::bar"},
	{"_RNvCs1234_7mycrate3barCsabc_5other", "mycrate::bar"},
	{"_RC3foo.llvm.9D1C9369", "foo"},
	{"_RNvC3foo3bar$lo", "foo::bar"},
	/* closures, shims */
	{"_RNCNCNgCs6DXkGYLi8lr_2cc5spawn00B5_", "cc::spawn::{closure#0}::{closure#0}"},
	{"_RNCNvC3foo3bars_0", "foo::bar::{closure#1}"},
	{"_RNSNvC3foo3bar6vtable", "foo::bar::{shim:vtable#0}"},
	/* implementations, generics, references back */
	{"_RNvMs_NtC3foo3barNtB4_3Baz3new", "<foo::bar::Baz>::new"},
	{"_RNvXs0_C3fooNtB5_3BarNtB5_5Trait4call", "<foo::Bar as foo::Trait>::call"},
	{"_RNvYjNtC3foo5Trait4call", "<usize as foo::Trait>::call"},
	{"_RINvNtC3std3mem8align_ofjE", "std::mem::align_of::<usize>"},
	{"_RNvMC0INtC8arrayvec8ArrayVechKj7b_E3new", "<arrayvec::ArrayVec<u8, 123>>::new"},
	{"_RNCINkXs25_NgCsbmNqQUJIY6D_4core5sliceINyB9_4IterhENuNgNoBb_4iter8iterator8Iterator9"
	 "rpositionNCNgNpB9_6memchr7memrchrs_0E0Bb_",
	 "<core::slice::Iter<u8> as core::iter::iterator::Iterator>::rposition"
	 "::<core::slice::memchr::memrchr::{closure#1}>::{closure#0}"},
	{"_RINbNbCskIICzLVDPPb_5alloc5alloc8box_freeDINbNiB4_5boxed5FnBoxuEp6OutputuEL_ECs1iopQbuBiw2_"
	 "3std",
	 "alloc::alloc::box_free::<dyn alloc::boxed::FnBox<(), Output = ()>>"},
	/* types */
	{"_RINvC3foo3barRReE", "foo::bar::<&&str>"},
	{"_RINvC3foo3barQShAhj4_PiOlE", "foo::bar::<&mut [u8], [u8; 4], *const isize, *mut i32>"},
	{"_RINvC3foo3barTETlETlyEE", "foo::bar::<(), (i32,), (i32, u64)>"},
	{"_RINvC3foo3barFUKClmEjFEuFK6systemEzE",
	 "foo::bar::<unsafe extern \"C\" fn(i32, u32) -> usize, fn(), extern \"system\" fn() -> !>"},
	{"_RINvC3foo3barFG_RL0_lEuE", "foo::bar::<for<'a> fn(&'a i32)>"},
	{"_RINvC3foo3barDNtC3std4SendNtC3std4SyncEL_E", "foo::bar::<dyn std::Send + std::Sync>"},
	{"_RINvC3foo3barL_E", "foo::bar::<'_>"},
	/* constants */
	{"_RMC3fooINtB0_3BarKanb_E", "<foo::Bar<-11>>"},
	{"_RMC3fooINtB0_3BarKb0_E", "<foo::Bar<false>>"},
	{"_RMC3fooINtB0_3BarKc76_E", "<foo::Bar<'v'>>"},
	{"_RMC3fooINtB0_3BarKca_E", "<foo::Bar<'\\u{a}'>>"},
	{"_RMC3fooINtB0_3BarKc2202_E", "<foo::Bar<'\u2202'>>"},
	{"_RMC3fooINtB0_3BarKpE", "<foo::Bar<_>>"},
	{"_RMC3fooINtB0_3BarKo123456789abcdef0123_E", "<foo::Bar<0x123456789abcdef0123>>"},
	/* not ASCII */
	{"_RNqCs4fqI2P2rA04_11utf8_identsu30____7hkackfecea1cbdathfdh9hlq6y",
	 "utf8_idents::\u10e1\u10d0\u10ed\u10db\u10d4\u10da\u10d0\u10d3_"
	 "\u10d2\u10d4\u10db\u10e0\u10d8\u10d4\u10da\u10d8_\u10e1\u10d0\u10d3\u10d8\u10da\u10d8"},
	/* other names, and what is not whole */
	{"_R", NULL},
	{"_RNv", NULL},
	{"_Restore", NULL},
	{"_RNvC3foo", NULL},
	{"_RNvC3foo9bar", NULL},
	{"_RNvC3foo3barX", NULL},
	{"_RNvC99999999999999999999999foo3bar", NULL},
	{"_RINvC3foo3barBZ_E", NULL},
	{"_RINvC3foo3barL0_E", NULL},
	{"_RMC3fooINtB0_3BarKb2_E", NULL},
	{"_RMC3fooINtB0_3BarKcd800_E", NULL},
	{"_RMC3fooINtB0_3BarKjxyz_E", NULL},
	{"_RNvC3foou3_9A", NULL},
	{"_RCszzzzzzzzzzzzzzzzzzzzzz_3foo", NULL},
	{"RNvC3foo3bar", NULL},
	{"", NULL},
};

static void test_names(void **state)
{
	struct imp_arena a = {0};
	const char *got;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		got = imp_demangle_rust(&a, names[i].symbol);
		if ((got == NULL) != (names[i].name == NULL) ||
		    (got && strcmp(got, names[i].name) != 0))
			fail_msg("%s: got %s, want %s", names[i].symbol, got ? got : "nothing",
				 names[i].name ? names[i].name : "nothing");
	}
	assert_string_equal(imp_demangle(&a, "_RNvC6_123foo3bar"), "123foo::bar");
	assert_null(imp_demangle(&a, "_Restore"));
	imp_arena_clear(&a);
}

/* A name cut anywhere, or with any one byte another, is read within its bounds. */
static void test_damaged(void **state)
{
	struct imp_arena a = {0};
	size_t i, k, len;
	char *copy;

	(void)state;
	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		len = strlen(names[i].symbol);
		for (k = 0; k <= len; k++) {
			copy = strndup(names[i].symbol, k);
			imp_demangle_rust(&a, copy);
			free(copy);
		}
		for (k = 0; k < len; k++) {
			static const char bytes[] = "0_9azAZBEIKLNX\x80";
			const char *b;

			copy = strdup(names[i].symbol);
			for (b = bytes; *b; b++) {
				copy[k] = *b;
				imp_demangle_rust(&a, copy);
			}
			free(copy);
		}
	}
	/* Cut, none of them is a name but those that end in a whole one. */
	assert_null(imp_demangle_rust(&a, "_RNvNtCs1234_7mycrate3foo3ba"));
	imp_arena_clear(&a);
}

/* Nested, and doubled by references back, without an end. */
static void test_hostile(void **state)
{
	struct imp_arena a = {0};
	char symbol[8000];
	size_t len;
	int i;

	(void)state;
	memset(symbol, 'R', sizeof(symbol));
	memcpy(symbol, "_RINvC1a1b", 10);
	symbol[sizeof(symbol) - 1] = '\0';
	assert_null(imp_demangle_rust(&a, symbol));

	len = (size_t)sprintf(symbol, "_RINvC1a1bTllE");
	for (i = 0; i < 100; i++) { /* each is a pair of the one before it */
		static const char digits[] =
			"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
		size_t at = i ? len - (i > 5 ? 8 : 6) : 8;
		char back[16];

		if (at == 0)
			sprintf(back, "B_");
		else if (at - 1 < 62)
			sprintf(back, "B%c_", digits[at - 1]);
		else
			sprintf(back, "B%c%c_", digits[(at - 1) / 62], digits[(at - 1) % 62]);
		len += (size_t)sprintf(symbol + len, "T%s%sE", back, back);
	}
	strcpy(symbol + len, "E");
	imp_demangle_rust(&a, symbol); /* ends */

	len = (size_t)sprintf(symbol, "_RINvC1a1b");
	for (i = 0; i < 1000; i++)
		len += (size_t)sprintf(symbol + len, "FGe_Eu");
	strcpy(symbol + len, "E");
	assert_null(imp_demangle_rust(&a, symbol));
	/* A reference to itself, and one forwards. */
	assert_null(imp_demangle_rust(&a, "_RB_"));
	assert_null(imp_demangle_rust(&a, "_RNvB5_C1a1b"));
	imp_arena_clear(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_damaged),
		cmocka_unit_test(test_hostile),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
