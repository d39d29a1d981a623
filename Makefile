# SPDX-License-Identifier: GPL-2.0-or-later
#
# imptrace: one Makefile for the whole tree; each folder says in its rules.mk what is built from it.
#
# Knobs (command line or environment):
#   O=build                        where everything that is built goes
#   CC=gcc|clang                   the compiler; CFLAGS, CPPFLAGS and LDFLAGS are added to our own
#   V=1                            show the commands
#   WERROR=1                       warnings are errors
#   SANITIZE=address,undefined     for imptrace and the unit tests, never for libimptrace.so, which
#                                  runs in other people's programs (its modules are linked into the
#                                  unit tests a second time, under the sanitizer)
#   COVERAGE=1                     the same parts, instrumented for gcov
#   BPF=0                          without the kernel side
#   DEPS=0                         never call scripts/install-deps
#   prefix, bindir, libdir, mandir, datadir, DESTDIR

VERSION := 0.1.0

.SUFFIXES:
.DELETE_ON_ERROR:
.DEFAULT_GOAL := all
MAKEFLAGS += --no-builtin-rules --no-print-directory
SHELL := /bin/bash

# Objects of one flavour never mix with those of another.
ifneq ($(SANITIZE),)
O ?= build-san
else ifeq ($(COVERAGE),1)
O ?= build-cov
else
O ?= build
endif
ifeq ($(strip $(O)),)
$(error O= is empty: name a directory to build in)
endif

BPF    ?= 1
DEPS   ?= 1
prefix ?= /usr/local
exec_prefix ?= $(prefix)
bindir  ?= $(exec_prefix)/bin
libdir  ?= $(exec_prefix)/lib
datadir ?= $(prefix)/share
mandir  ?= $(datadir)/man

ifeq ($(origin CC),default)
CC := gcc
endif
ifeq ($(origin AR),default)
AR := ar
endif
INSTALL    ?= install
PKG_CONFIG ?= pkg-config
# Debian's own interpreter: python3-pytest belongs to it, and a pyenv shim of that name is a shell script.
PYTHON     ?= $(firstword $(wildcard /usr/bin/python3) python3)
CFLAGS     ?= -O2 -g

Q := $(if $(filter 1,$(V)),,@)
say = $(if $(filter 1,$(V)),@:,@printf '  %-8s%s\n' '$(1)' '$(2)')

# Asked once, and only when something is really compiled: `make demo` must be able to install them first.
pkg = $(if $(pkg_$(1)_$(2)),,$(eval pkg_$(1)_$(2) := $$(shell $(PKG_CONFIG) --$(1) $(2) 2>/dev/null) ))$(pkg_$(1)_$(2))

WARNINGS := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wsign-compare -Wvla \
	-Wpointer-arith -Wundef -Wformat=2 -Wno-format-nonliteral $(if $(filter 1,$(WERROR)),-Werror)
BASE_CFLAGS = -std=gnu11 $(WARNINGS) -fno-strict-aliasing -I.
# Empty, not 1: a source that says "#define _GNU_SOURCE" itself is then no redefinition.
BASE_CPPFLAGS := -D_GNU_SOURCE= -DIMP_VERSION='"$(VERSION)"' -DIMP_BPF=$(if $(filter 0,$(BPF)),0,1)
# What the sanitizers and gcov add: to everything but libimptrace.so.
CHECKED_FLAGS := \
	$(if $(SANITIZE),-fsanitize=$(SANITIZE) -fno-sanitize-recover=all -fno-omit-frame-pointer) \
	$(if $(filter 1,$(COVERAGE)),--coverage)
DEPFLAGS = -MMD -MP -MF $(@:.o=.d)

# $(call stamp,FILE,TEXT): FILE is rewritten only when TEXT is another than last time, so what depends
# on it is rebuilt exactly when a flag changes or a source comes or goes.
define stamp
$(1): FORCE
	@mkdir -p $$(@D)
	@printf '%s\n' '$$(subst ','\'',$(2))' >$$@.new
	@if cmp -s $$@.new $$@; then rm -f $$@.new; else mv -f $$@.new $$@; fi
endef

.PHONY: FORCE
FORCE:

all: ## libimptrace.so and imptrace

include $(sort $(wildcard */rules.mk))

.PHONY: all
all: $(ALL_PRODUCTS)

ALL_FLAGS = $(CC) $(CPPFLAGS) $(CFLAGS) $(LDFLAGS) | $(BASE_CPPFLAGS) $(BASE_CFLAGS) | $(CHECKED_FLAGS) | \
	$(PRELOAD_CFLAGS) $(PRELOAD_LDFLAGS) $(PRELOAD_LIBS) | $(AUDIT_CFLAGS) $(AUDIT_LDFLAGS) | $(ANALYZER_CFLAGS) $(ANALYZER_LDFLAGS) $(ANALYZER_LIBS) | \
	$(UNIT_CFLAGS) $(UNIT_LIBS)
$(eval $(call stamp,$(O)/.flags,$$(ALL_FLAGS)))

# One line for each thing that is missing, before the compiler can print a hundred.
$(O)/.deps: $(O)/.flags
	@missing=; \
	need() { echo "imptrace: $$1 is missing: install Debian's $$2, or run scripts/install-deps" >&2; missing=1; }; \
	command -v $(firstword $(CC)) >/dev/null || need 'the compiler $(firstword $(CC))' $(firstword $(notdir $(CC))); \
	if ! command -v $(PKG_CONFIG) >/dev/null; then need pkg-config pkg-config; \
	else \
		$(PKG_CONFIG) --exists libelf || need libelf libelf-dev; \
		$(PKG_CONFIG) --exists libzstd || need libzstd libzstd-dev; \
		$(PKG_CONFIG) --exists libunwind-generic || need libunwind libunwind-dev; \
		$(PKG_CONFIG) --exists libxxhash || need xxhash.h libxxhash-dev; \
	fi; \
	if [ -z "$$missing" ]; then \
		echo '#include <stdio.h>' | $(CC) -E -xc - >/dev/null 2>&1 || need 'the C library header stdio.h' libc6-dev; \
		[ -e "$$($(CC) -print-file-name=libzstd.a)" ] || need libzstd.a libzstd-dev; \
	fi; \
	[ -z "$$missing" ]
	@touch $@

# ---- install ----------------------------------------------------------------------------------------

# from:to:mode, so that uninstall removes exactly what install wrote.
INSTALLED = \
	$(O)/imptrace:$(bindir)/imptrace:755 \
	$(O)/libimptrace.so:$(libdir)/libimptrace.so:644 \
	$(O)/libimptrace-audit.so:$(libdir)/libimptrace-audit.so:644 \
	$(foreach m,$(wildcard analyzer/man/*.1),$(m):$(mandir)/man1/$(notdir $(m)):644) \
	$(foreach m,$(wildcard analyzer/man/*.5),$(m):$(mandir)/man5/$(notdir $(m)):644) \
	$(foreach m,$(wildcard analyzer/man/*.7),$(m):$(mandir)/man7/$(notdir $(m)):644) \
	$(foreach c,$(wildcard analyzer/completions/imptrace.bash),$(c):$(datadir)/bash-completion/completions/imptrace:644) \
	$(foreach c,$(wildcard analyzer/completions/_imptrace),$(c):$(datadir)/zsh/site-functions/_imptrace:644) \
	$(foreach c,$(wildcard analyzer/completions/imptrace.fish),$(c):$(datadir)/fish/vendor_completions.d/imptrace.fish:644)

# LD_PRELOAD=libimptrace.so, without a path, is answered by ld.so's cache.
define refresh_ld_cache
	@if [ -z '$(DESTDIR)' ] && [ "$$(id -u)" = 0 ]; then PATH="$$PATH:/sbin:/usr/sbin" ldconfig; \
	elif [ -z '$(DESTDIR)' ]; then echo 'imptrace: run ldconfig as root, so that LD_PRELOAD=libimptrace.so finds it by name'; fi
endef

.PHONY: install uninstall
install: all ## install below $(DESTDIR)$(prefix)
	@set -e; for entry in $(INSTALLED); do \
		IFS=: read -r from to mode <<<"$$entry"; \
		echo "  INSTALL $(DESTDIR)$$to"; \
		$(INSTALL) -D -m $$mode "$$from" "$(DESTDIR)$$to"; \
	done
	$(refresh_ld_cache)

uninstall: ## remove exactly what install wrote
	@set -e; for entry in $(INSTALLED); do \
		IFS=: read -r from to mode <<<"$$entry"; \
		echo "  REMOVE  $(DESTDIR)$$to"; \
		rm -f "$(DESTDIR)$$to"; \
	done
	$(refresh_ld_cache)

# ---- demo, checks, figures --------------------------------------------------------------------------

# What is missing is installed where that can be done; where it can't, the build names what it lacks and
# a test that needs more is skipped with its reason.
with_deps = $(if $(filter 0,$(DEPS)),,scripts/install-deps $(1) || echo 'imptrace: going on with what is there'; )

export IMPTRACE_BUILD := $(abspath $(O))
export IMPTRACE_PYTHON := $(PYTHON)

.PHONY: demo check check-now check-unit check-symbols check-e2e check-lab check-attach check-cpython check-suites bench
demo: ## a program that dies of a failed import, and what imptrace says about it
	+@O='$(O)' MAKE='$(MAKE)' scripts/demo

check: ## unit tests, exported and imported names, end-to-end tests
	+@$(call with_deps,build demo test) $(MAKE) check-now

check-now: all $(UNIT_PROGRAMS) $(TEST_TOOLS)
	@scripts/run-tests unit symbols e2e

check-unit: $(UNIT_PROGRAMS) ## the unit tests alone
	@scripts/run-tests unit

check-symbols: $(O)/libimptrace.so ## exported and imported names of libimptrace.so alone
	@scripts/run-tests symbols

check-e2e: all $(TEST_TOOLS) ## the end-to-end tests alone; PYTEST_ARGS='-k name'
	@scripts/run-tests e2e

check-lab: ## the masked failure in a Debian 13 root (needs root and a mirror)
	+@$(call with_deps,build lab) $(MAKE) all
	@scripts/run-tests lab

check-attach: ## attaching alone, with imptrace killed at 200 random moments of each kind
	+@$(call with_deps,build test) $(MAKE) all
	@scripts/run-tests attach

check-cpython: ## CPython's whole suite, bare and traced (CPYTHON_TESTS='test_import ...')
	+@$(call with_deps,build test) $(MAKE) all
	@scripts/check-cpython $(CPYTHON_TESTS)

check-suites: ## numpy's, lxml's, cffi's, ... own suites, bare and traced (SUITES='lxml ...')
	+@$(call with_deps,build demo test) $(MAKE) all
	@scripts/check-suites $(SUITES)

bench: ## what recording costs, beside other tools; BENCH_ARGS='--quick'
	+@$(call with_deps,build bench) $(MAKE) all
	@$(PYTHON) scripts/bench $(BENCH_ARGS)

# ---- the sources ------------------------------------------------------------------------------------

C_FILES = $(wildcard preload/*.[ch] preload/audit/*.[ch] analyzer/*.[ch] analyzer/*/*.[ch] bpf/*.[ch] tests/unit/*.[ch])

.PHONY: format lint dist clean help
format: ## let clang-format decide
	clang-format -i $(C_FILES)

lint: ## clang-format, clang-tidy, cppcheck, gcc -fanalyzer
	+@$(call with_deps,build lint) O='$(O)' MAKE='$(MAKE)' scripts/lint

dist: ## imptrace-$(VERSION).tar.gz of the last commit
	git archive --format=tar.gz --prefix=imptrace-$(VERSION)/ -o imptrace-$(VERSION).tar.gz HEAD

clean: ## remove $(O)
	rm -rf -- '$(O)'

help: ## this list
	@sed -n 's/^#   \([A-Z].*\)/  \1/p; s/^#                                  /                                 /p' Makefile
	@echo
	@sed -n 's/^\([a-z0-9-]*\):[^#]*## \(.*\)/\1\t\2/p' Makefile tests/rules.mk | while IFS=$$'\t' read -r t h; do printf '  make %-16s%s\n' "$$t" "$$h"; done

# The generated dependencies of whatever has been compiled so far.
-include $(wildcard $(O)/*.d $(O)/*/*.d $(O)/*/*/*.d $(O)/*/*/*/*.d)
