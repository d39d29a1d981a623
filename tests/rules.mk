# SPDX-License-Identifier: GPL-2.0-or-later
# The unit tests: each tests/unit/test_<module>.c is a cmocka program of its own. What one of them needs
# beyond the rest (say -Wl,--wrap=malloc) goes into UNIT_LDFLAGS_test_<module>.

UNIT_SRC := $(sort $(wildcard tests/unit/test_*.c))
UNIT_PROGRAMS := $(patsubst tests/%.c,$(O)/tests/%,$(UNIT_SRC))

# libcbor, where present, decodes what cbor_put wrote: a reader that is not ours.
UNIT_CBOR = $(call pkg,libs,libcbor)
UNIT_CFLAGS = -Ianalyzer -Ipreload -DIMP_UNIT_TEST=1 \
	-DIMP_HAVE_LIBCBOR=$(if $(strip $(UNIT_CBOR)),1,0) $(call pkg,cflags,cmocka) $(call pkg,cflags,libelf)
# The static libzstd: what is compressed in a test is what libimptrace.so compresses.
UNIT_LIBS = $(call pkg,libs,cmocka) $(UNIT_CBOR) $(call pkg,libs,libelf) -l:libzstd.a -ldl -lpthread

$(O)/.unit-deps: $(O)/.flags | $(O)/.deps
	@$(PKG_CONFIG) --exists cmocka || { echo "imptrace: cmocka is missing: install Debian's libcmocka-dev, or run scripts/install-deps" >&2; exit 1; }
	@touch $@

$(O)/tests/unit/%.o: tests/unit/%.c $(O)/.flags | $(O)/.unit-deps
	$(call say,CC,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(BASE_CPPFLAGS) $(CPPFLAGS) $(BASE_CFLAGS) $(CFLAGS) $(CHECKED_FLAGS) $(UNIT_CFLAGS) $(DEPFLAGS) -c -o $@ $<

$(UNIT_PROGRAMS): $(O)/tests/unit/%: $(O)/tests/unit/%.o $(O)/analyzer.a $(O)/preload-test.a
	$(call say,LINK,$@)
	$(Q)$(CC) $(CFLAGS) $(CHECKED_FLAGS) $(LDFLAGS) $(UNIT_LDFLAGS_$*) -o $@ $< \
		-Wl,--start-group $(O)/analyzer.a $(O)/preload-test.a -Wl,--end-group $(UNIT_LIBS)

# Kept between runs, though make reaches them through two pattern rules.
.SECONDARY: $(addsuffix .o,$(UNIT_PROGRAMS))

.PHONY: unit-programs
unit-programs: $(UNIT_PROGRAMS)

# ---- fuzzing ----------------------------------------------------------------------------------------

# Each tests/fuzz/fuzz_<target>.c is a libFuzzer target, with its corpus beside it. What `make check` replays are
# the corpora (tests/unit/test_fuzz_corpus.c); a crash joins them.
FUZZ_TARGETS := $(patsubst tests/fuzz/fuzz_%.c,%,$(sort $(wildcard tests/fuzz/fuzz_*.c)))
FUZZ_TIME ?= 60
FUZZ_SRC := $(sort $(wildcard analyzer/base/*.c analyzer/trace/*.c analyzer/elf/*.c analyzer/report/dump*.c) \
	analyzer/host/host.c \
	analyzer/report/json_writer.c analyzer/report/escape.c preload/cbor_put.c preload/frame_writer.c)

$(O)/fuzz/fuzz_%: tests/fuzz/fuzz_%.c $(FUZZ_SRC) $(O)/.flags
	$(call say,FUZZ,$@)
	@mkdir -p $(@D)
	$(Q)clang $(BASE_CPPFLAGS) $(BASE_CFLAGS) -g -O1 -fsanitize=fuzzer,address,undefined \
		-fno-sanitize-recover=all -Ianalyzer -Ipreload -o $@ $(filter %.c,$^) -lzstd -lelf

.PHONY: fuzz
fuzz: $(FUZZ_TARGETS:%=$(O)/fuzz/fuzz_%) ## libFuzzer (clang) on each parser, FUZZ_TIME=60 seconds each
	@set -e; for t in $(FUZZ_TARGETS); do \
		mkdir -p $(O)/fuzz/found-$$t; \
		$(O)/fuzz/fuzz_$$t -max_len=16384 -max_total_time=$(FUZZ_TIME) -print_final_stats=1 \
			-artifact_prefix=$(O)/fuzz/$$t- $(O)/fuzz/found-$$t tests/fuzz/corpus/$$t; \
	done

# Programs that the end-to-end tests run beside imptrace.
TEST_TOOLS := $(patsubst tests/%.c,$(O)/tests/%,$(sort $(wildcard tests/tools/*.c)))

$(O)/tests/tools/%.o: tests/tools/%.c $(O)/.flags | $(O)/.deps
	$(call say,CC,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(BASE_CPPFLAGS) $(CPPFLAGS) $(BASE_CFLAGS) $(CFLAGS) $(CHECKED_FLAGS) $(ANALYZER_CFLAGS) $(DEPFLAGS) -c -o $@ $<

$(TEST_TOOLS): %: %.o $(O)/analyzer.a $(O)/preload-test.a
	$(call say,LINK,$@)
	$(Q)$(CC) $(CFLAGS) $(CHECKED_FLAGS) $(LDFLAGS) -o $@ $< \
		-Wl,--start-group $(O)/analyzer.a $(O)/preload-test.a -Wl,--end-group $(ANALYZER_LIBS)

.SECONDARY: $(addsuffix .o,$(TEST_TOOLS))
