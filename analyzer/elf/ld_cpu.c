// SPDX-License-Identifier: GPL-2.0-or-later
#include <elf.h>
#include <string.h>
#include <sys/auxv.h>

#include "ld_system.h"

#ifdef __x86_64__
#include <cpuid.h>

struct x86 {
	unsigned int b1c, b1d, b7b, e1c,
		e1d;   /* cpuid leaves 1, 7 and 0x80000001; letter: register */
	uint64_t xcr0; /* states that the kernel keeps */
	bool intel;
};

static void read_x86(struct x86 *c)
{
	unsigned int a, b, cc, d, max;

	memset(c, 0, sizeof(*c));
	if (!__get_cpuid(0, &max, &b, &cc, &d))
		return;
	c->intel = b == signature_INTEL_ebx;
	__get_cpuid(1, &a, &b, &c->b1c, &c->b1d);
	if (max >= 7) {
		__cpuid_count(7, 0, a, b, cc, d);
		c->b7b = b;
	}
	__get_cpuid(0x80000001, &a, &b, &c->e1c, &c->e1d);
	if (c->b1c & bit_OSXSAVE) {
		__asm__ volatile("xgetbv" : "=a"(a), "=d"(d) : "c"(0));
		c->xcr0 = (uint64_t)d << 32 | a;
	}
}

static bool all(unsigned int have, unsigned int want)
{
	return (have & want) == want;
}

/* x86-64 psABI, "Micro-architecture levels". */
static unsigned int level_of(const struct x86 *c)
{
	const unsigned int lzcnt = 1U << 5, lahf = 1U << 0;

	if (!all(c->b1c,
		 bit_CMPXCHG16B | bit_POPCNT | bit_SSE3 | bit_SSE4_1 | bit_SSE4_2 | bit_SSSE3) ||
	    !(c->e1c & lahf))
		return 1;
	if (!all(c->b1c, bit_AVX | bit_F16C | bit_FMA | bit_MOVBE | bit_OSXSAVE) ||
	    !all(c->b7b, bit_AVX2 | bit_BMI | bit_BMI2) || !(c->e1c & lzcnt) || (c->xcr0 & 6) != 6)
		return 2;
	if (!all(c->b7b, bit_AVX512F | bit_AVX512BW | bit_AVX512CD | bit_AVX512DQ | bit_AVX512VL) ||
	    (c->xcr0 & 0xe6) != 0xe6)
		return 3;
	return 4;
}

/* glibc sysdeps/x86/cpu-features.c: on Intel processors it gives the platform a name of its own. */
static void intel_platform(struct imp_ld_cpu *cpu, const struct x86 *c)
{
	bool usable = (c->xcr0 & 0xe6) == 0xe6 && (c->b7b & bit_AVX512CD);

	if (usable && (c->b7b & bit_AVX512ER)) {
		if (c->b7b & bit_AVX512PF)
			cpu->platform = "xeon_phi";
	} else if (usable && all(c->b7b, bit_AVX512BW | bit_AVX512DQ | bit_AVX512VL)) {
		cpu->avx512_1 = true;
	}
	if (strcmp(cpu->platform, "x86_64") == 0 && cpu->isa_level >= 3)
		cpu->platform = "haswell";
}

void imp_ld_cpu_here(struct imp_ld_cpu *cpu, uint16_t machine)
{
	struct x86 c;

	memset(cpu, 0, sizeof(*cpu));
	if (machine != EM_X86_64)
		return;
	read_x86(&c);
	cpu->isa_level = level_of(&c);
	cpu->platform = "x86_64";
	if (c.intel)
		intel_platform(cpu, &c);
}
#else
void imp_ld_cpu_here(struct imp_ld_cpu *cpu, uint16_t machine)
{
	memset(cpu, 0, sizeof(*cpu));
#ifdef __aarch64__
	if (machine == EM_AARCH64) {
		cpu->platform = (const char *)getauxval(AT_PLATFORM);
		cpu->atomics = getauxval(AT_HWCAP) & (1UL << 8);
	}
#else
	(void)machine;
#endif
}
#endif
