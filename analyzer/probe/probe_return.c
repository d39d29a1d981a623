// SPDX-License-Identifier: GPL-2.0-or-later
#include "probe_return.h"

#if IMP_HAVE_BPF

#include <capstone/capstone.h>

#if defined __x86_64__
#define ARCH   CS_ARCH_X86
#define MODE   CS_MODE_64
#define RETURN X86_INS_RET
#else
#define ARCH   CS_ARCH_ARM64
#define MODE   CS_MODE_ARM
#define RETURN ARM64_INS_RET
#endif

size_t imp_probe_returns(const uint8_t *code, size_t len, uint64_t offset,
			 uint64_t returns[IMP_PROBE_RETURNS_MAX])
{
	cs_insn *insn = NULL;
	size_t count = 0;
	csh handle;

	if (cs_open(ARCH, MODE, &handle) != CS_ERR_OK)
		return 0;
	insn = cs_malloc(handle);
	while (insn && len && count <= IMP_PROBE_RETURNS_MAX) {
		if (!cs_disasm_iter(handle, &code, &len, &offset, insn))
			break;
		if (insn->id != RETURN)
			continue;
		if (count < IMP_PROBE_RETURNS_MAX)
			returns[count] = insn->address;
		count++;
	}
	if (!insn || len || count > IMP_PROBE_RETURNS_MAX)
		count = 0;
	if (insn)
		cs_free(insn, 1);
	cs_close(&handle);
	return count;
}

#else /* built without probes */

size_t imp_probe_returns(const uint8_t *code, size_t len, uint64_t offset,
			 uint64_t returns[IMP_PROBE_RETURNS_MAX])
{
	(void)code;
	(void)len;
	(void)offset;
	(void)returns;
	return 0;
}

#endif
