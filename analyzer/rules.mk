# SPDX-License-Identifier: GPL-2.0-or-later
# imptrace, the command.

ANALYZER_SRC := $(sort $(wildcard analyzer/*.[cS] analyzer/*/*.[cS]))
ANALYZER_OBJ := $(addprefix $(O)/,$(addsuffix .o,$(basename $(ANALYZER_SRC))))
# `imptrace run` appends how the program ended in the way in which the recorder itself appends. An archive,
# so that only what that needs is taken. (The unit tests find the same modules in preload-test.a.)
ANALYZER_PRELOAD_OBJ := $(patsubst %.c,$(O)/%.o,$(filter-out preload/init.c preload/interpose_% preload/python_%,$(sort $(wildcard preload/*.c))))

ANALYZER_CFLAGS = -Ianalyzer $(call pkg,cflags,libelf) $(call pkg,cflags,libzstd) $(call pkg,cflags,libunwind-generic)
ANALYZER_LIBS = $(call pkg,libs,libelf) $(call pkg,libs,libzstd) $(call pkg,libs,libunwind-generic) $(BPF_LIBS)
ANALYZER_LDFLAGS := -Wl,--as-needed -Wl,-z,relro -Wl,-z,now
# The command explains what LD_LIBRARY_PATH has broken, and must not be broken by it: DT_RPATH comes before that
# variable, DT_RUNPATH after it (ld.so(8)).
ANALYZER_RPATH := $(patsubst %/,%,$(dir $(realpath $(shell $(CC) -print-file-name=libelf.so))))
ANALYZER_LDFLAGS += $(ANALYZER_RPATH:%=-Wl,--disable-new-dtags -Wl,-rpath,%)

ALL_PRODUCTS += $(O)/imptrace

$(eval $(call stamp,$(O)/.analyzer-sources,$(ANALYZER_SRC)))

$(O)/imptrace: $(ANALYZER_OBJ) $(O)/preload-modules.a $(O)/.analyzer-sources
	$(call say,LINK,$@)
	$(Q)$(CC) $(CFLAGS) $(CHECKED_FLAGS) $(LDFLAGS) $(ANALYZER_LDFLAGS) -o $@ $(ANALYZER_OBJ) $(O)/preload-modules.a $(ANALYZER_LIBS)

# IMP_LIBDIR: where `imptrace run` looks for libimptrace.so when none lies beside the command. Only this object
# knows it, so that `make install prefix=/usr` after a plain make compiles one file.
$(eval $(call stamp,$(O)/.libdir,$$(libdir)))
$(O)/analyzer/cmd/run.o: $(O)/.libdir
$(O)/analyzer/cmd/run.o: private OBJECT_CFLAGS = -DIMP_LIBDIR='"$(libdir)"'

$(O)/preload-modules.a: $(ANALYZER_PRELOAD_OBJ) $(O)/.preload-sources
	$(call say,AR,$@)
	@rm -f $@
	$(Q)$(AR) rcs $@ $(filter %.o,$^)

# All but main(), so that a unit test links just what it uses.
$(O)/analyzer.a: $(filter-out $(O)/analyzer/main.o,$(ANALYZER_OBJ)) $(O)/.analyzer-sources
	$(call say,AR,$@)
	@rm -f $@
	$(Q)$(AR) rcs $@ $(filter %.o,$^)

$(O)/analyzer/%.o: analyzer/%.c $(O)/.flags | $(O)/.deps
	$(call say,CC,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(BASE_CPPFLAGS) $(CPPFLAGS) $(BASE_CFLAGS) $(CFLAGS) $(CHECKED_FLAGS) $(ANALYZER_CFLAGS) $(OBJECT_CFLAGS) $(DEPFLAGS) -c -o $@ $<

$(O)/analyzer/%.o: analyzer/%.S $(O)/.flags | $(O)/.deps
	$(call say,AS,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(BASE_CPPFLAGS) $(CPPFLAGS) $(BASE_CFLAGS) $(CFLAGS) $(ANALYZER_CFLAGS) $(DEPFLAGS) -c -o $@ $<
