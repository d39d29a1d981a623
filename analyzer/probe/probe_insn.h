/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IMP_PROBE_PROBE_INSN_H
#define IMP_PROBE_PROBE_INSN_H

#include <capstone/capstone.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Instructions of this machine, as those who choose places for probes read them. */
#if defined __x86_64__
#define IMP_PROBE_ARCH CS_ARCH_X86
#define IMP_PROBE_MODE CS_MODE_64
#else
#define IMP_PROBE_ARCH CS_ARCH_ARM64
#define IMP_PROBE_MODE CS_MODE_ARM
#endif

/*
 * imp_probe_is_emulated - does the kernel do without a trap of the processor's after a probe on it?
 * @code, @len: where it begins, and how many bytes are known
 *
 * It steps over most instructions with one, which in a virtual machine is an exit from it: 11 microseconds here,
 * and half a one where the kernel does itself what the instruction does. jmp, jcc, call, nop and push without a
 * prefix: arch/x86/kernel/uprobes.c, branch_setup_xol_ops() and push_setup_xol_ops(). Of other machines: false.
 */
bool imp_probe_is_emulated(const uint8_t *code, size_t len);

#endif
