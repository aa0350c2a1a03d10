# Hooker: the only Makefile. Every product goes to build/. `make help` lists the targets.
.DEFAULT_GOAL := all
.DELETE_ON_ERROR:
.SECONDARY:
MAKEFLAGS += --no-builtin-rules
SHELL := /bin/bash

V ?= 0
Q  := $(if $(filter 1,$(V)),,@)
say = @printf '  %-8s %s\n' '$(1)' '$(2)'

B       := build
CC      ?= cc
CLANG   ?= clang
BPFTOOL ?= $(firstword $(wildcard /usr/sbin/bpftool /usr/local/sbin/bpftool /usr/bin/bpftool) bpftool)
PKGCONF ?= pkg-config
VERSION := 0.1.0

WARN     := -Wall -Wextra -Werror
CFLAGS   ?= -O2 -g
CSTD     := -std=c17 -D_GNU_SOURCE
CPPFLAGS += -I. -I$(B) -DHOOKER_VERSION='"$(VERSION)"'
SANITIZE := -fsanitize=address,undefined -fno-sanitize-recover=undefined -O1 -g -fno-omit-frame-pointer

BPF_ARCH   := $(shell uname -m | sed 's/x86_64/x86/;s/aarch64/arm64/')
# clang -target bpf does not search the multiarch folder that holds asm/types.h. Worked out when it is used: at first
# there may be no compiler to ask, until `deps` has installed one.
BPF_CFLAGS = -target bpf -D__TARGET_ARCH_$(BPF_ARCH) -O2 -g -mcpu=v3 $(WARN) -I. \
             -idirafter /usr/include/$(shell $(CC) -print-multiarch)

.PHONY: all deps ready check test smoke eval bench vmtest plots install uninstall deb clean help format

# ---------------------------------------------------------------- bpf/
BPF_SRC  := $(wildcard bpf/*.bpf.c)
BPF_SKEL := $(BPF_SRC:%.bpf.c=$(B)/%.skel.h)

$(B)/%.bpf.o: %.bpf.c
	$(call say,CLANG,$@)
	@mkdir -p $(@D)
	$(Q)$(CLANG) $(BPF_CFLAGS) -MMD -MP -MF $(@:.o=.d) -MT $@ -c $< -o $@

$(B)/%.skel.h: $(B)/%.bpf.o
	$(call say,SKEL,$@)
	$(Q)$(BPFTOOL) gen skeleton $< name $(notdir $*)_bpf >$@.tmp && mv $@.tmp $@

# ---------------------------------------------------------------- hooker/
HOOKER_SRC := $(wildcard hooker/*.c hooker/*/*.c)
HOOKER_SRC := $(filter-out hooker/tests/%,$(HOOKER_SRC))
HOOKER_OBJ := $(HOOKER_SRC:%.c=$(B)/%.o)
HOOKER_LIBS = -lbpf -lpthread -levent_core -levent_extra -ljansson -lmnl

$(HOOKER_OBJ): $(BPF_SKEL)

$(B)/%.o: %.c
	$(call say,CC,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(CSTD) $(CFLAGS) $(WARN) $(CPPFLAGS) -MMD -MP -c $< -o $@

$(B)/hooker/hooker: $(HOOKER_OBJ)
	$(call say,LINK,$@)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(HOOKER_LIBS)

# The same again, for who looks for races between its threads: hooker/tests/ns_relay_races.sh.
RACES     := $(B)/races/hooker/hooker
RACES_OBJ := $(HOOKER_SRC:%.c=$(B)/races/%.o)

$(B)/races/%.o: %.c | $(BPF_SKEL)
	$(call say,CC,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(CSTD) -fsanitize=thread -O1 -g $(WARN) $(CPPFLAGS) -MMD -MP -c $< -o $@

$(RACES): $(RACES_OBJ)
	$(call say,LINK,$@)
	$(Q)$(CC) -fsanitize=thread -o $@ $^ $(HOOKER_LIBS)

# ---------------------------------------------------------------- manual pages and completions: what the program says of itself
MANUALS     := $(B)/hooker/doc/hooker.8 $(B)/hooker/doc/hooker.conf.5
COMPLETIONS := $(B)/hooker/doc/hooker.bash $(B)/hooker/doc/_hooker

$(B)/hooker/doc/%: hooker/doc/%.in hooker/doc/fill $(wildcard hooker/doc/*.jq) $(B)/hooker/hooker
	$(call say,DOC,$@)
	@mkdir -p $(@D)
	$(Q)hooker/doc/fill $< >$@

# ---------------------------------------------------------------- scenarios/
# Each scenarios/NAME.c is one program, build/scenarios/NAME, together with scenarios/NAME/*.c.
SCENARIO_BIN := $(patsubst %.c,$(B)/%,$(wildcard scenarios/*.c))
SCENARIO_LIBS = -lcrypto -lpcap -ljansson -lgsl -lgslcblas -lm

$(B)/obj/%.o: %.c
	$(call say,CC,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(CSTD) $(CFLAGS) $(WARN) $(CPPFLAGS) -MMD -MP -c $< -o $@

define scenario_program
$(B)/$(1): $(patsubst %.c,$(B)/obj/%.o,$(1).c $(wildcard $(1)/*.c))
endef
$(foreach p,$(SCENARIO_BIN:$(B)/%=%),$(eval $(call scenario_program,$(p))))

$(SCENARIO_BIN):
	$(call say,LINK,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ -Wl,--as-needed $(SCENARIO_LIBS)

# ---------------------------------------------------------------- tests
# Tests stand beside what they test and print TAP. The name says what they need:
#   unit_*.c  cmocka, built with sanitizers     check_*.sh  no root, seconds
#   ns_*.sh   root, namespaces                  long_*.sh   no root, longer: packages, tshark, the driver
#   vm_*.sh   a virtual machine
UNIT_SRC := $(wildcard hooker/tests/unit_*.c scenarios/tests/unit_*.c)
UNIT_BIN := $(UNIT_SRC:%.c=$(B)/%)
CHECK_SH := $(wildcard */tests/check_*.sh)
LONG_SH  := $(wildcard */tests/long_*.sh)
NS_SH    := $(wildcard */tests/ns_*.sh)
VM_ALONE := $(wildcard */tests/vm_testbed.sh */tests/vm_two.sh */tests/vm_eval_two.sh)
VM_SH    := $(filter-out $(VM_ALONE),$(wildcard */tests/vm_*.sh))
RUNTESTS := testbed/run-tests
# Side by side: what does not look at the clock, or has a virtual one. Two at a time: what has deadlines of seconds.
# Alone: what has shorter ones, or a guest in real time.
PATIENT  := $(VM_SH) $(wildcard scenarios/tests/ns_*.sh) $(LONG_SH) $(CHECK_SH)
ALONE    := $(wildcard */tests/ns_relay_paper.sh */tests/ns_testbed.sh) $(VM_ALONE)
PAIRS    := $(filter-out $(PATIENT) $(ALONE),$(NS_SH))
TOGETHER := --jobs $(shell nproc)

# prog_*.c: programs that shell tests run, built the same way.
PROG_SRC := $(wildcard */tests/prog_*.c)
PROG_BIN := $(PROG_SRC:%.c=$(B)/%)
TEST_SKEL := $(patsubst %.bpf.c,$(B)/%.skel.h,$(wildcard */tests/*.bpf.c))

$(B)/san/%.o: %.c | $(BPF_SKEL) $(TEST_SKEL)
	$(call say,CC,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(CSTD) $(SANITIZE) $(WARN) $(CPPFLAGS) -MMD -MP -c $< -o $@

# The first lines of such a program say what it is linked with:  // links: hooker/rdt/conn.c …   // libs: -lbpf …
said = $(shell sed -n 's,^// $(2): ,,p' $(1))
define sanitized_program
$(B)/$(1:.c=): $(patsubst %.c,$(B)/san/%.o,$(1) $(wildcard $(call said,$(1),links)))
	$$(call say,LINK,$$@)
	@mkdir -p $$(@D)
	$$(Q)$$(CC) $$(SANITIZE) -o $$@ $$(filter %.o,$$^) -lcmocka -ljansson -lgsl -lgslcblas -lm $(call said,$(1),libs)
endef
$(foreach p,$(UNIT_SRC) $(PROG_SRC),$(eval $(call sanitized_program,$(p))))

all: $(B)/hooker/hooker $(SCENARIO_BIN) $(MANUALS) $(COMPLETIONS)

deps:
	@testbed/deps

# What is missing is installed first; only then can anything be built, on all processors.
in_parallel = +$(Q)$(MAKE) --no-print-directory -j$(shell nproc)

ready: deps
	$(in_parallel) all

check: deps
	$(in_parallel) all $(UNIT_BIN)
	@$(RUNTESTS) $(TOGETHER) $(UNIT_BIN) $(CHECK_SH)

test: deps
	$(in_parallel) all $(UNIT_BIN) $(PROG_BIN) $(RACES)
	@$(RUNTESTS) --timeout 1200 $(TOGETHER) $(PATIENT) $(UNIT_BIN) --timeout 600 --jobs 2 $(PAIRS) --jobs 1 $(ALONE)

# ---------------------------------------------------------------- evaluation
SCENARIO ?= paper
eval_options = $(if $(BACKEND),--backend '$(BACKEND)') $(if $(KERNEL),--kernel '$(KERNEL)') \
               $(if $(REPS),--reps '$(REPS)') $(if $(MODES),--modes '$(MODES)') \
               $(if $(JOBS),--jobs '$(JOBS)') $(if $(WORKERS),--workers '$(WORKERS)')

eval: ready
	$(if $(filter peers all,$(SCENARIO)),@testbed/deps peers)
	@scenarios/run '$(SCENARIO)' $(eval_options)

smoke: ready
	@scenarios/smoke

# BENCH='--quick' and other options of scenarios/bench.
bench: ready
	@scenarios/bench $(BENCH)

plots: $(B)/scenarios/summarise
	@scenarios/redraw

# ---------------------------------------------------------------- other kernels
KERNELS ?= 5.10 6.1 6.12 7.2

vmtest: ready
	@scenarios/vmtest $(KERNELS)

# ---------------------------------------------------------------- installing
PREFIX       ?= /usr/local
BINDIR       ?= $(PREFIX)/bin
LIBDIR       ?= $(PREFIX)/lib
DATADIR      ?= $(PREFIX)/share
MANDIR       ?= $(DATADIR)/man
SYSCONFDIR   ?= /etc
UNITDIR      ?= $(LIBDIR)/systemd/system
WIRESHARKDIR ?= $(LIBDIR)/wireshark/plugins
DEB_MAINTAINER ?= Hooker maintainers <maintainers@hooker.example>
places = $(foreach v,DESTDIR BINDIR LIBDIR DATADIR MANDIR SYSCONFDIR UNITDIR WIRESHARKDIR,$(v)='$($(v))')

install: all
	@$(places) hooker/package/install

uninstall:
	@$(places) hooker/package/install --uninstall

deb: all
	@VERSION='$(VERSION)' DEB_MAINTAINER='$(DEB_MAINTAINER)' hooker/package/deb

format:
	@git ls-files '*.c' '*.h' | xargs clang-format -i

clean:
	rm -rf $(B)

help:
	@sed -n 's/^#: //p' Makefile

#: make            build everything into build/
#: make deps       install what is missing (Debian, Ubuntu), or print the list
#: make eval       the paper's evaluation: figures, tables, report (SCENARIO=paper|…|all BACKEND= KERNEL= REPS= MODES= JOBS= WORKERS=)
#: make test       every test: unit, namespaces, virtual machine
#: make check      unit tests, warnings, shellcheck, format; no root, seconds
#: make smoke      every mode in namespaces on the running kernel, protocol proven; root, under 60 s
#: make bench      native micro-benchmarks on the running kernel; root, four minutes (BENCH="--quick")
#: make vmtest   smoke inside virtual machines of KERNELS="5.10 6.1 6.12 7.2", and what works where
#: make plots      redraw the figures from recorded data
#: make install    hooker, testbed, manual pages, completions, service into DESTDIR PREFIX (BINDIR, MANDIR, UNITDIR …)
#: make uninstall  takes them away again
#: make deb        a package for Debian and Ubuntu: build/hooker_VERSION_ARCH.deb
#: make clean      remove build/

-include $(shell find $(B) -name '*.d' 2>/dev/null)
