# SPDX-License-Identifier: GPL-2.0-or-later
# The unit tests: each tests/unit/test_<module>.c is a cmocka program of its own. What one of them needs
# beyond the rest (say -Wl,--wrap=malloc) goes into UNIT_LDFLAGS_test_<module>.

UNIT_SRC := $(sort $(wildcard tests/unit/test_*.c))
UNIT_PROGRAMS := $(patsubst tests/%.c,$(O)/tests/%,$(UNIT_SRC))

# libcbor, where present, decodes what cbor_put wrote: a reader that is not ours.
UNIT_CBOR = $(call pkg,libs,libcbor)
UNIT_CFLAGS = -Ianalyzer -Ipreload -DIMP_UNIT_TEST=1 \
	-DIMP_HAVE_LIBCBOR=$(if $(strip $(UNIT_CBOR)),1,0) -DIMP_HAVE_BPF=$(if $(BPF_WHY),0,1) $(call pkg,cflags,cmocka) $(call pkg,cflags,libelf)
# The static libzstd: what is compressed in a test is what libimptrace.so compresses.
UNIT_LIBS = $(call pkg,libs,cmocka) $(UNIT_CBOR) $(call pkg,libs,libelf) $(call pkg,libs,libunwind-generic) -l:libzstd.a $(BPF_LIBS) -ldl -lpthread

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
FUZZ_CC ?= clang
FUZZ_FLAGS ?= -g -O1 -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
# Compiled once for all targets: what they share is most of the analyzer.
FUZZ_SRC := $(sort $(filter-out analyzer/cmd/% analyzer/probe/% analyzer/attach/%,$(wildcard analyzer/*/*.c)) \
	$(wildcard analyzer/attach/proc_maps.c) preload/cbor_put.c preload/frame_writer.c)
FUZZ_OBJ := $(FUZZ_SRC:%.c=$(O)/fuzz/obj/%.o)

$(O)/fuzz/obj/%.o: %.c $(O)/.flags
	$(call say,CC,$@)
	@mkdir -p $(@D)
	$(Q)$(FUZZ_CC) $(BASE_CPPFLAGS) $(BASE_CFLAGS) $(FUZZ_FLAGS) -Ianalyzer -Ipreload $(DEPFLAGS) -c -o $@ $<

$(O)/fuzz/targets.a: $(FUZZ_OBJ)
	$(call say,AR,$@)
	@rm -f $@
	$(Q)$(AR) rcs $@ $(FUZZ_OBJ)

$(O)/fuzz/fuzz_%: tests/fuzz/fuzz_%.c $(O)/fuzz/targets.a
	$(call say,FUZZ,$@)
	$(Q)$(FUZZ_CC) $(BASE_CPPFLAGS) $(BASE_CFLAGS) $(FUZZ_FLAGS) -fsanitize=fuzzer -Ianalyzer -Ipreload -o $@ $^ -lzstd -lelf

.SECONDARY: $(FUZZ_OBJ)

.PHONY: fuzz
fuzz: $(FUZZ_TARGETS:%=$(O)/fuzz/fuzz_%) ## libFuzzer (clang) on each parser, FUZZ_TIME=60 seconds each
	@set -e; for t in $(FUZZ_TARGETS); do \
		mkdir -p $(O)/fuzz/found-$$t; \
		$(O)/fuzz/fuzz_$$t -max_len=16384 -max_total_time=$(FUZZ_TIME) -print_final_stats=1 \
			-artifact_prefix=$(O)/fuzz/$$t- $(O)/fuzz/found-$$t tests/fuzz/corpus/$$t; \
	done

# The same targets under AFL++, each in turn for FUZZ_TIME seconds; a build of its own.
.PHONY: fuzz-afl fuzz-targets
fuzz-targets: $(FUZZ_TARGETS:%=$(O)/fuzz/fuzz_%)

fuzz-afl: ## AFL++ (afl-clang-fast) on each parser, FUZZ_TIME=60 seconds each
	+@command -v afl-fuzz >/dev/null || { echo "imptrace: afl-fuzz is missing: install Debian's afl++" >&2; exit 1; }
	+@AFL_USE_ASAN=1 AFL_USE_UBSAN=1 $(MAKE) O='$(O)-afl' FUZZ_CC=afl-clang-fast FUZZ_FLAGS='-g -O1 -fno-omit-frame-pointer' fuzz-targets
	@set -e; for t in $(FUZZ_TARGETS); do \
		rm -rf '$(O)-afl'/found-$$t; mkdir -p '$(O)-afl'/in-$$t; find tests/fuzz/corpus/$$t -type f -size -16k -exec cp -t '$(O)-afl'/in-$$t {} +; \
		AFL_SKIP_CPUFREQ=1 AFL_NO_UI=1 AFL_I_DONT_CARE_ABOUT_MISSING_CRASHES=1 AFL_BENCH_UNTIL_CRASH=1 \
			afl-fuzz -m none -t 5000 -V $(FUZZ_TIME) -i '$(O)-afl'/in-$$t -o '$(O)-afl'/found-$$t -- '$(O)-afl'/fuzz/fuzz_$$t >'$(O)-afl'/log-$$t 2>&1 || { tail -20 '$(O)-afl'/log-$$t; exit 1; }; \
		sed -n 's/^execs_done *: */'"$$t"': executions /p; s/^saved_crashes *: */'"$$t"': crashes /p' '$(O)-afl'/found-$$t/default/fuzzer_stats; \
		[ -z "$$(find '$(O)-afl'/found-$$t/default/crashes -name 'id:*')" ]; \
	done

# ---- what takes too long for `make check` -----------------------------------------------------------

# The modules that several threads are in at once. In an output directory of its own; vfork() is not tested there, which
# the sanitizer makes a fork().
TSAN_TESTS := threads recorder recorder_parallel recorder_failure intern_table dlsym_cache output output_append
TSAN_PROGRAMS := $(TSAN_TESTS:%=tests/unit/test_%)

.PHONY: check-tsan check-valgrind check-kill check-endurance
check-tsan: ## ThreadSanitizer on the recorder's modules
	+@$(MAKE) O='$(O)-tsan' SANITIZE=thread DEPS=0 $(TSAN_PROGRAMS:%='$(O)-tsan'/%)
	@set -e; for t in $(TSAN_PROGRAMS); do echo "== $$t"; \
		TSAN_OPTIONS='suppressions=tests/tsan.supp die_after_fork=0 exitcode=66' '$(O)-tsan'/$$t; done

check-valgrind: all ## the analyzer under valgrind, over traces of many kinds
	@scripts/check-valgrind

check-kill: all ## SIGKILL at 1,000 random moments (IMPTRACE_KILLS=...)
	@IMPTRACE_KILLS=$${IMPTRACE_KILLS:-1000} E2E_TIMEOUT=14400 scripts/run-tests kill

check-endurance: all ## 10 million dlsym() calls, a million imports, 24 threads; bombs with 10 million frames
	@IMPTRACE_ENDURANCE=$${IMPTRACE_ENDURANCE:-1000} IMPTRACE_MANY=$${IMPTRACE_MANY:-10000000} E2E_TIMEOUT=14400 \
		PYTEST_ARGS="$${PYTEST_ARGS:-} -s" scripts/run-tests endurance

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
