# Everything runs from .venv, which `make setup` builds with nothing but Python 3.11 or newer.
# `make` alone lists the targets.

SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules --no-print-directory

VENV := .venv
BIN := $(VENV)/bin
# `make PYTHON=/path/to/python` takes your own; otherwise the first of these that is new enough.
PYTHON ?= $(shell for candidate in python3 python3.14 python3.13 python3.12 python3.11; do \
	if "$$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; \
	then echo "$$candidate"; break; fi; done)
# Two processes; `make test PYTEST_ARGS=` runs in one, `make test TESTS=tests/unit` a part.
PYTEST_ARGS ?= -n 2 --dist loadfile
TESTS ?= tests
# The modules of services/policy for `make mutation`; empty means all that decide.
MODULES ?=
# A disk image for `make demo`; empty means the ones that the demo makes.
IMAGE ?=
UV_VERSION := 0.13.9

# buf finds its plugins on the PATH.
BUF := PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/buf

# How a check ends that failed. The sentence has no comma: it would end make's argument.
define fix
{ echo >&2; echo "$(1)" >&2; exit 1; }
endef

##@ Start
.PHONY: help
help: ## List the targets
	@awk 'BEGIN { FS = ":.*## " } \
		/^##@ / { printf "\n%s\n", substr($$0, 5) } \
		/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: setup
setup: $(VENV)/.installed-dev ## Build .venv with everything that development needs
	@:

# The lock that a stamp depends on holds every package with its hashes; the project itself is then
# installed in place, which needs no network. --no-deps: the lock is complete, and what it leaves
# out is meant for other platforms.
$(VENV)/.installed-run: requirements.lock pyproject.toml | $(BIN)/python
	@echo "Installing what Stoa runs on into $(VENV)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check \
		--no-deps --require-hashes --requirement requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check \
		--no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.installed-dev: requirements-dev.lock $(VENV)/.installed-run
	@echo "Installing the development tools into $(VENV)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check \
		--no-deps --require-hashes --requirement requirements-dev.lock
	@$(BIN)/python -m pip check
	@touch $@

$(BIN)/python:
	@if [[ -z "$(PYTHON)" ]]; then \
		echo "Stoa needs Python 3.11 or newer, and none was found. Name yours: make setup PYTHON=/path/to/python" >&2; \
		exit 1; \
	fi
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "Stoa needs Python 3.11 or newer; $(PYTHON) is $$("$(PYTHON)" --version 2>&1). Name another: make setup PYTHON=/path/to/python" >&2; \
		exit 1; \
	}
	@"$(PYTHON)" -m venv $(VENV) || { \
		rm -rf $(VENV); \
		echo "$(PYTHON) cannot make a virtual environment. On Debian and Ubuntu: apt install python3-venv" >&2; \
		exit 1; \
	}

.PHONY: demo
demo: $(VENV)/.installed-run ## Run the main job on real disk images (IMAGE=path takes yours)
	@start=$$(date +%s); status=0; \
	$(BIN)/stoa demo $(if $(IMAGE),--image "$(IMAGE)") || status=$$?; \
	echo "make demo took $$(($$(date +%s) - start)) s"; \
	exit $$status

##@ Check
.PHONY: check
check: lint types imports gen-check docs-check test ## Everything that CI checks

.PHONY: lint
lint: setup ## Lint and check the format of Python and of the protos
	@$(BIN)/ruff check || $(call fix,Fix what can be fixed with: make fmt)
	@$(BIN)/ruff format --check || $(call fix,Fix with: make fmt)
	@$(BUF) lint || $(call fix,Fix the protos named above; the rules stand in buf.yaml)
	@$(BUF) format --diff --exit-code protos || $(call fix,Fix with: make fmt)

.PHONY: types
types: setup ## Check the types
	@$(BIN)/mypy services cli tools tests $(wildcard benchmarks) || $(call fix,Fix the types named above; the options stand in pyproject.toml)

.PHONY: imports
imports: setup ## Check that imports point one way
	@$(BIN)/lint-imports --no-logo || $(call fix,Fix the imports named above; the contracts stand in pyproject.toml)

.PHONY: test
test: setup ## Run the whole test suite
	@start=$$(date +%s); status=0; \
	$(BIN)/python -m pytest $(PYTEST_ARGS) $(TESTS) || status=$$?; \
	echo "make test took $$(($$(date +%s) - start)) s"; \
	exit $$status

.PHONY: test-long
test-long: setup ## Run what is random for longer: 100,000 fuzzed calls, 10,000 steps of the model, 500,000 decisions, 100 kills
	@STOA_FUZZ_FACTOR=20 STOA_MODEL_STEPS=10000 STOA_ORACLE_DECISIONS=500000 STOA_KILLS=100 \
		$(BIN)/python -m pytest --timeout 14400 $(PYTEST_ARGS) \
		tests/system/test_fuzzed.py tests/wire/catalog/model tests/unit/policy/test_oracle.py \
		tests/system/test_random_kills.py

.PHONY: mutation
mutation: setup ## Change one thing of what decides access at a time; the tests have to notice (MODULES=evaluation)
	@$(BIN)/python tools/mutation.py $(MODULES)

.PHONY: compose-test
compose-test: setup ## Run the system test against docker compose
	@$(BIN)/python tools/compose_test.py

.PHONY: bench
bench: setup ## Measure against the goals and print the ratios
	@tools/bench_tools.sh
	@$(BIN)/python -m benchmarks

##@ Change
.PHONY: fmt
fmt: setup ## Format Python and protos, and fix what the linter can
	@$(BIN)/ruff check --fix --exit-zero --quiet
	@$(BIN)/ruff format
	@$(BUF) format --write protos

# Takes the place of the old gen/ only when it is complete: protos that do not compile leave it as
# it was, and what runs meanwhile does not see it empty.
.PHONY: gen
gen: setup ## Generate gen/ from the protos
	@mkdir -p .cache; scratch=$$(mktemp -d .cache/gen.XXXXXX); trap 'rm -rf "$$scratch"' EXIT; \
	$(BUF) generate --output "$$scratch"; \
	if [[ -d gen ]]; then mv gen "$$scratch/previous"; fi; \
	mv "$$scratch/gen" gen

# Generates into a scratch folder, so that a check changes nothing here.
.PHONY: gen-check
gen-check: setup ## Check that gen/ is what the protos generate, and that git knows all of it
	@scratch=$$(mktemp -d); trap 'rm -rf "$$scratch"' EXIT; \
	$(BUF) generate --output "$$scratch"; \
	diff --recursive --brief --exclude=__pycache__ gen "$$scratch/gen" \
		|| $(call fix,gen/ is not what the protos generate. Fix with: make gen && git add gen)
	@untracked=$$(git ls-files --others --exclude-standard -- gen 2>/dev/null || true); \
	[[ -z "$$untracked" ]] \
		|| { echo "$$untracked"; $(call fix,git does not know these files. Fix with: git add gen); }

# A release is compared with the newest release; before the first one there is no promise to keep.
.PHONY: breaking
breaking: setup ## Check that the contract breaks no client of the newest release
	@tag=$$(git describe --tags --abbrev=0 --match 'v*' 2>/dev/null || true); \
	if [[ -n "$$tag" ]]; then \
		$(BUF) breaking protos --against ".git#tag=$$tag,subdir=protos" \
			|| $(call fix,Keep what $$tag promised: add; and reserve what goes); \
	elif git rev-parse --quiet --verify HEAD~1:protos >/dev/null; then \
		echo "No release yet; the difference from the previous commit, for information:"; \
		$(BUF) breaking protos --against '.git#ref=HEAD~1,subdir=protos' || true; \
	else \
		echo "No release and no previous commit to compare with."; \
	fi

.PHONY: docs
docs: setup ## Generate docs/reference from the contract and the settings
	@$(BIN)/python tools/reference_docs.py

.PHONY: docs-check
docs-check: setup ## Check that docs/reference is up to date
	@if [[ -f tools/reference_docs.py ]]; then \
		$(BIN)/python tools/reference_docs.py --check || $(call fix,Fix with: make docs); \
	fi

UV := .cache/uv/bin/uv
$(UV):
	@"$(PYTHON)" -m venv .cache/uv
	@.cache/uv/bin/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)

# `make lock UPGRADE=--upgrade` takes newer versions. The locks hold for every platform and every
# Python from 3.11 on, and name no package index.
UPGRADE ?=
LOCK = UV_CUSTOM_COMPILE_COMMAND="make lock" $(UV) pip compile --quiet --universal \
	--python-version 3.11 --no-config --generate-hashes --no-emit-index-url --no-emit-find-links \
	--no-annotate $(UPGRADE)
.PHONY: lock
lock: $(UV) ## Resolve the dependencies into requirements.lock and requirements-dev.lock
	@$(LOCK) --output-file requirements.lock pyproject.toml requirements.in
	@$(LOCK) --output-file requirements-dev.lock --constraint requirements.lock \
		--extra dev pyproject.toml requirements.in
