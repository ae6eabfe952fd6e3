# lbctl: `make` lists what there is to do.

BIN := .venv/bin
# Without its cache: a folder that root has made would stand in a user's way.
PYTEST := $(BIN)/python -m pytest -p no:cacheprovider
BPF := $(wildcard bpf_src/*.c bpf_src/*/*.h)

.DEFAULT_GOAL := help
.PHONY: help setup demo abi reference check format test test-unit test-bpf test-netns test-vm bench docs clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' Makefile

# Every other target asks for it; when all is there it is done before you notice.
.PHONY: ready
ready:
	@tools/setup

.PHONY: ready-tests
ready-tests:
	@tools/setup tests

setup: ready ## install packages and make .venv; safe to repeat (root)
	@echo "ready: $(BIN)/lbctl --help"

demo: ready ## balance real traffic in network namespaces, in under a minute (root)
	@$(BIN)/lbctl demo

test: ready-tests ## all tests; what CI runs (root)
	@$(PYTEST)

test-unit: ready ## tests without privilege
	@$(PYTEST) -m unit

test-bpf: ready ## single packets through the real program (root)
	@$(PYTEST) -m bpf

test-netns: ready-tests ## live traffic in network namespaces (root)
	@$(PYTEST) -m netns

.PHONY: ready-vm
ready-vm:
	@tools/setup vm

test-vm: ready-vm ## lbctl on the kernels of Debian's releases, in emulated machines; 20 minutes (root)
	@$(BIN)/python -m tests.system.kernels
	@$(BIN)/python docs/generate_reference.py

check: ready ## formatting, lint, types, spelling, generated files
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/clang-format --dry-run -Werror $(BPF)
	$(BIN)/codespell
	$(BIN)/python bpf_src/generate_abi.py --check
	$(BIN)/python docs/generate_reference.py --check

format: ready ## put the source into the form that `check` wants
	$(BIN)/ruff check --fix-only
	$(BIN)/ruff format
	$(BIN)/clang-format -i $(BPF)

abi: ready ## write what is generated from bpf_src/lb/abi.h: abi.py, and the page of verdicts
	$(BIN)/python bpf_src/generate_abi.py

reference: ready ## write the pages of docs/reference that are made from the sources
	$(BIN)/python docs/generate_reference.py

bench: ready ## the measurements of bench/; each names machine, kernel and mode (root)
	@bench/run

docs: ready ## check the pages, and build them as a site into build/site
	@$(PYTEST) tests/docs
	@$(BIN)/properdocs build --strict --quiet --config-file docs/site/properdocs.yml
	@echo "ready: build/site/index.html"

.PHONY: deb check-deb
deb: ready ## build Debian packages in dist/, for the release of this machine
	@packaging/deb/build

check-deb: deb ## install and remove them in a fresh Debian; SUITE=trixie: of that release (root)
	@packaging/deb/check $(SUITE)

clean: ## remove .venv and everything else that can be made again
	rm -rf .venv build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
