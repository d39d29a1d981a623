/* SPDX-License-Identifier: GPL-2.0-or-later */
#if IMP_HAVE_BPF

#include "probe_insn.h"

bool imp_probe_is_emulated(const uint8_t *code, size_t len)
{
#if defined __x86_64__
	if (len < 6)
		return false;
	return code[0] == 0xe8 || code[0] == 0xe9 || code[0] == 0xeb || code[0] == 0x90 ||
	       (code[0] & 0xf0) == 0x70 || (code[0] == 0x0f && (code[1] & 0xf0) == 0x80) ||
	       (code[0] & 0xf8) == 0x50 || (code[0] == 0x41 && (code[1] & 0xf8) == 0x50);
#else
	(void)code, (void)len;
	return false;
#endif
}

#else
typedef int imp_probe_insn_unused; /* built without probes: ISO C wants a declaration */
#endif
