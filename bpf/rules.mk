# SPDX-License-Identifier: GPL-2.0-or-later
# The kernel side: imptrace.bpf.c as a libbpf skeleton, which is linked into imptrace. What it takes may be
# missing: then imptrace is built without it, and says why where it is asked for.

BPF_CLANG   ?= clang
BPF_BPFTOOL ?= $(firstword $(wildcard $(addsuffix /bpftool,$(subst :, ,$(PATH)) /usr/sbin /sbin)) bpftool)
BPF_ARCH    := $(patsubst x86_64,x86,$(patsubst aarch64,arm64,$(shell uname -m)))

# Why not; empty: it can be built.
BPF_WHY := $(strip $(if $(filter 0,$(BPF)),it was made with BPF=0,$(shell \
	case $(BPF_ARCH) in (x86 | arm64) ;; (*) echo 'there are no probes for $(BPF_ARCH)'; exit ;; esac; \
	command -v $(BPF_CLANG) >/dev/null || { echo 'clang was missing when it was built'; exit; }; \
	command -v $(BPF_BPFTOOL) >/dev/null || { echo 'bpftool was missing when it was built'; exit; }; \
	$(PKG_CONFIG) --atleast-version=1.1 libbpf 2>/dev/null || { echo 'libbpf 1.1 was missing when it was built'; exit; }; \
	$(PKG_CONFIG) --exists capstone 2>/dev/null || echo 'libcapstone was missing when it was built')))

BPF_SKELETON := $(O)/bpf/imptrace.skel.h
BPF_CFLAGS = -target bpf -D__TARGET_ARCH_$(BPF_ARCH) -O2 -g -Wall -Wno-gnu-variable-sized-type-not-at-end \
	-I/usr/include/$(shell $(CC) -print-multiarch 2>/dev/null)

# Static, where there are such: imptrace then runs where libbpf and libcapstone are not installed.
BPF_LIBS = $(if $(BPF_WHY),,$(if $(wildcard $(shell $(CC) -print-file-name=libbpf.a)),-l:libbpf.a -lelf -lz,-lbpf) -lpthread \
	$(if $(wildcard $(shell $(CC) -print-file-name=libcapstone.a)),-l:libcapstone.a,-lcapstone))

$(O)/bpf/imptrace.bpf.o: bpf/imptrace.bpf.c $(wildcard bpf/*.h) $(O)/.flags
	$(call say,BPF,$@)
	@mkdir -p $(@D)
	$(Q)$(BPF_CLANG) $(BPF_CFLAGS) -c -o $@ $<

$(BPF_SKELETON): $(O)/bpf/imptrace.bpf.o
	$(call say,SKELETON,$@)
	$(Q)$(BPF_BPFTOOL) gen skeleton $< name imptrace_bpf >$@

# The objects that know libbpf or capstone.
$(eval $(call stamp,$(O)/.bpf-why,$$(BPF_WHY)))
$(O)/analyzer/probe/probe_kernel.o: $(O)/.bpf-why $(if $(BPF_WHY),,$(BPF_SKELETON))
$(addprefix $(O)/analyzer/probe/,probe_return.o probe_insn.o probe_calls.o probe_links.o probe_types.o): $(O)/.bpf-why
$(addprefix $(O)/analyzer/probe/,probe_return.o probe_insn.o probe_calls.o probe_links.o probe_types.o): private OBJECT_CFLAGS = -DIMP_HAVE_BPF=$(if $(BPF_WHY),0,1)
$(O)/analyzer/probe/probe_kernel.o: private OBJECT_CFLAGS = $(if $(BPF_WHY),-DIMP_HAVE_BPF=0 \
	-DIMP_BPF_WHY='"$(BPF_WHY)"',-DIMP_HAVE_BPF=1 -I$(O)/bpf)
