/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IMP_PROBE_PROBE_TYPES_H
#define IMP_PROBE_PROBE_TYPES_H

struct btf;

/*
 * libbpf asks for a field's place by going through all of the kernel's types, more than 100,000, once for each structure
 * that a program names: that was most of what its start cost. Given a file with those few, it goes through them instead.
 */

/*
 * imp_probe_types_copy - the structures that a BPF program reads fields of, as the running kernel has them
 * @to:     gets them; empty
 * @kernel: the kernel's types
 * @wanted: the program's own: bpf_object__btf()
 *
 * Copied are structures of the same name, with the fields of the same name; those of nameless structures and unions
 * among the fields count as the structure's own. What cannot be described this way is left out, and libbpf then says that
 * it misses it.
 * Returns 0 or a negative errno.
 */
int imp_probe_types_copy(struct btf *to, const struct btf *kernel, const struct btf *wanted);

/* imp_probe_types_write - the same from the running kernel's own types, into the empty file @fd */
int imp_probe_types_write(const struct btf *wanted, int fd);

#endif
