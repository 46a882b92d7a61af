# make demo     builds the router and plays the sample tables through it
# make test     builds and runs every test
# make bench    prints the figures as name=value lines (release build; about half an hour)
# make crash    kills the program 100 times and checks every delivery against an oracle (about ten minutes)
# make bad-input  malformed and large messages, a rule that always fails, more keys than the bound
# make lint     checks the format; make format applies it
# make install  builds in release and copies the program to PREFIX/bin (default /usr/local), and what 'demo' plays to
#               PREFIX/share/alert-router
SHELL := bash
PREFIX ?= /usr/local
SWIFT ?= swift
DEMO_FLAGS ?= --once
BAD_INPUT_FLAGS ?=

.PHONY: demo test bench crash crash-short lint format install packages packages-test bad-input help

help:
	@sed -n 's/^# //p' Makefile

packages:
	@scripts/install-packages build

packages-test:
	@scripts/install-packages test

demo: packages
	@echo "building alert-router (the first build takes several minutes)"
	@$(SWIFT) build --product alert-router 2>&1 | scripts/quiet-build
	@$(SWIFT) run --skip-build alert-router demo $(DEMO_FLAGS)

test: packages-test
	$(SWIFT) build --build-tests 2>&1 | scripts/quiet-build
	$(SWIFT) test --skip-build --no-parallel

bench: packages-test
	$(SWIFT) build -c release --scratch-path .build-release 2>&1 | scripts/quiet-build
	.build-release/release/RouterBench all

crash: packages-test
	$(SWIFT) build --product alert-router 2>&1 | scripts/quiet-build
	$(SWIFT) build --product RouterBench 2>&1 | scripts/quiet-build
	.build/debug/RouterBench crash --kills 100

crash-short: packages-test
	$(SWIFT) build --build-tests 2>&1 | scripts/quiet-build
	ALERT_ROUTER_CRASH_TEST=1 $(SWIFT) test --skip-build --filter CrashHarnessTests

bad-input: packages-test
	$(SWIFT) build --product alert-router 2>&1 | scripts/quiet-build
	$(SWIFT) build --product RouterBench 2>&1 | scripts/quiet-build
	.build/debug/RouterBench bad-input $(BAD_INPUT_FLAGS)

lint:
	$(SWIFT) format lint --strict --recursive Sources Tests Package.swift

format:
	$(SWIFT) format --in-place --recursive Sources Tests Package.swift

install: packages
	$(SWIFT) build -c release --scratch-path .build-release --product alert-router 2>&1 | scripts/quiet-build
	install -D .build-release/release/alert-router $(DESTDIR)$(PREFIX)/bin/alert-router
	install -d $(DESTDIR)$(PREFIX)/share/alert-router
	cp -r .build-release/release/alert-router_Sandbox.resources/. $(DESTDIR)$(PREFIX)/share/alert-router/
