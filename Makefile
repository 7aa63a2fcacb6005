# Every target sets up what it needs, once, in .venv. `make` alone lists them.
# ARGS is handed on: make test ARGS="-k settle", make demo ARGS=--keep

BIN := .venv/bin
# A copied or moved checkout has another mark, so that it never uses the environment of the place it came from.
MARK := $(shell pwd -P | cksum | cut -d' ' -f1)
RUNTIME := .venv/.runtime-$(MARK)
DEV := .venv/.dev-$(MARK)
# Two more than there are cores: tests wait half of their time, on servers and on clocks.
WORKERS := $(shell expr $$(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2) + 2)
PYTEST := $(BIN)/python -m pytest -q -n $(WORKERS) --maxprocesses 8 --dist loadgroup
COMPILE := $(BIN)/uv pip compile --quiet --universal --generate-hashes --no-header --python-version 3.11 $(ARGS)

.DEFAULT_GOAL := help
.PHONY: help demo test test-extra lint format bench requirements clean
.NOTPARALLEL:

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-14s%s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(RUNTIME)  ## a pretend sequencer, the daemon and a real Galaxy, on this machine
	@$(BIN)/galaxy-watcher demo $(ARGS)

test: $(DEV)  ## every test but the slow ones; boots a real Galaxy
	@.ci/postgresql
	@.ci/nginx
	@.ci/strace
	@.ci/azurite
	@.ci/swift
	@$(PYTEST) -m "not slow" $(ARGS)

test-extra: $(DEV)  ## the slow tests
	@.ci/postgresql
	@.ci/nginx
	@.ci/strace
	@.ci/azurite
	@.ci/swift
	@$(PYTEST) -m slow $(ARGS) || { code=$$?; [ $$code -eq 5 ] && echo "There are no slow tests."; }

lint: $(DEV)  ## style, format and types
	@$(BIN)/ruff check --quiet --output-format concise .
	@$(BIN)/ruff format --quiet --check --output-format concise .
	@$(BIN)/mypy --no-error-summary

format: $(DEV)  ## put the code into the house's form
	@$(BIN)/ruff check --quiet --fix-only .
	@$(BIN)/ruff format --quiet .

bench: $(DEV)  ## measure, and write docs/performance.md
	@$(BIN)/python -m benchmarks $(ARGS)

requirements: $(DEV)  ## pin the requirements anew; ARGS=--upgrade takes newer versions
	@$(COMPILE) pyproject.toml --output-file requirements.txt
	@$(COMPILE) pyproject.toml --extra postgresql --group dev --constraints requirements.txt --output-file requirements-dev.txt
	@$(COMPILE) --group build --constraints requirements-dev.txt --output-file requirements-build.txt
	@$(COMPILE) --group swift --output-file requirements-swift.txt

clean:  ## remove what the targets made, but not the cached Galaxy
	@rm -rf .venv build dist .coverage .coverage.* htmlcov .hypothesis .mypy_cache .pytest_cache .ruff_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(RUNTIME): requirements.txt requirements-build.txt pyproject.toml
	@.ci/venv runtime
	@touch $@

# The development requirements hold the runtime ones.
$(DEV): requirements-dev.txt requirements-build.txt pyproject.toml
	@.ci/venv dev
	@touch $@ $(RUNTIME)
