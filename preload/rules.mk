# SPDX-License-Identifier: GPL-2.0-or-later
# libimptrace.so, the recorder, and its modules once more for the unit tests.

PRELOAD_ARCH := $(shell uname -m)
# call_as_caller_x86_64.S and its like: of several machines' sources only this machine's.
PRELOAD_OTHER_ARCH := $(filter-out %_$(PRELOAD_ARCH).S,$(wildcard preload/*_x86_64.S preload/*_aarch64.S))
PRELOAD_SRC := $(sort $(wildcard preload/*.c) $(filter-out $(PRELOAD_OTHER_ARCH),$(wildcard preload/*.S)))
PRELOAD_OBJ := $(addprefix $(O)/,$(addsuffix .o,$(basename $(PRELOAD_SRC))))

# initial-exec: __tls_get_addr may allocate, and would make ld.so a DT_NEEDED.
PRELOAD_CFLAGS := -fPIC -fvisibility=hidden -ftls-model=initial-exec -fno-common
# -z defs: a name that neither libc nor libzstd.a has is found here, not in somebody's program.
# -z nodynamic-undefined-weak: ZSTD_trace_* and other weak names stay NULL, even where the program has them.
PRELOAD_LDFLAGS := -shared -Wl,-soname,libimptrace.so -Wl,--version-script=preload/libimptrace.map \
	-Wl,-z,defs -Wl,-z,nodelete -Wl,-z,now -Wl,-z,relro -Wl,-z,noexecstack -Wl,-z,nodynamic-undefined-weak -Wl,--exclude-libs,ALL \
	-Wl,--as-needed -Wl,--build-id -Wl,--hash-style=gnu -Wl,--gc-sections -Wl,-O1
PRELOAD_LIBS := -l:libzstd.a

ALL_PRODUCTS += $(O)/libimptrace.so

$(eval $(call stamp,$(O)/.preload-sources,$(PRELOAD_SRC)))

$(O)/libimptrace.so: $(PRELOAD_OBJ) preload/libimptrace.map $(O)/.preload-sources
	$(call say,LINK,$@)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) $(PRELOAD_LDFLAGS) -o $@ $(PRELOAD_OBJ) $(PRELOAD_LIBS)

$(O)/preload/%.o: preload/%.c $(O)/.flags | $(O)/.deps
	$(call say,CC,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(BASE_CPPFLAGS) $(CPPFLAGS) $(BASE_CFLAGS) $(CFLAGS) $(PRELOAD_CFLAGS) $(DEPFLAGS) -c -o $@ $<

# libimptrace-audit.so, for `imptrace run --audit`. It has no libc at all (preload/audit/audit.c says why), so nothing
# that the compiler might call: no stack protector, and no memcpy that gcc makes of a loop from -O2 on.
AUDIT_SRC := $(sort $(wildcard preload/audit/*.c)) preload/elf_symbols.c
AUDIT_OBJ := $(patsubst preload/%.c,$(O)/preload-audit/%.o,$(AUDIT_SRC))
AUDIT_CFLAGS := -fPIC -fvisibility=hidden -fno-common -ffreestanding -fno-builtin -fno-stack-protector -O1
AUDIT_LDFLAGS := -shared -nostdlib -Wl,-soname,libimptrace-audit.so -Wl,-z,defs -Wl,-z,now -Wl,-z,relro \
	-Wl,-z,noexecstack -Wl,--build-id -Wl,--hash-style=gnu -Wl,--gc-sections -Wl,-O1

ALL_PRODUCTS += $(O)/libimptrace-audit.so

$(O)/libimptrace-audit.so: $(AUDIT_OBJ)
	$(call say,LINK,$@)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) $(AUDIT_LDFLAGS) -o $@ $(AUDIT_OBJ)

$(O)/preload-audit/%.o: preload/%.c $(O)/.flags | $(O)/.deps
	$(call say,CC,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(BASE_CPPFLAGS) $(CPPFLAGS) $(BASE_CFLAGS) $(CFLAGS) $(AUDIT_CFLAGS) $(DEPFLAGS) -c -o $@ $<

$(O)/preload/%.o: preload/%.S $(O)/.flags | $(O)/.deps
	$(call say,AS,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(BASE_CPPFLAGS) $(CPPFLAGS) $(BASE_CFLAGS) $(CFLAGS) $(PRELOAD_CFLAGS) $(DEPFLAGS) -c -o $@ $<

# The same modules as ordinary, sanitized code. Not the interposers: linked into a program, they would take over
# its dlopen and record it.
PRELOAD_TEST_OBJ := $(patsubst $(O)/preload/%,$(O)/preload-test/%,\
	$(filter-out $(O)/preload/interpose_%.o $(O)/preload/init.o,$(PRELOAD_OBJ)))

$(O)/preload-test.a: $(PRELOAD_TEST_OBJ) $(O)/.preload-sources
	$(call say,AR,$@)
	@rm -f $@
	$(Q)$(AR) rcs $@ $(PRELOAD_TEST_OBJ)

$(O)/preload-test/%.o: preload/%.c $(O)/.flags | $(O)/.deps
	$(call say,CC,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(BASE_CPPFLAGS) -DIMP_UNIT_TEST=1 $(CPPFLAGS) $(BASE_CFLAGS) $(CFLAGS) $(CHECKED_FLAGS) $(DEPFLAGS) -c -o $@ $<

$(O)/preload-test/%.o: preload/%.S $(O)/.flags | $(O)/.deps
	$(call say,AS,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(BASE_CPPFLAGS) $(CPPFLAGS) $(BASE_CFLAGS) $(CFLAGS) $(DEPFLAGS) -c -o $@ $<
