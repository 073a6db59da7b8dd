# Bare `make` lists what there is.
SHELL := /bin/bash
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
TESTS ?= tests
WORKERS ?= 2
RUN_ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help run test lint docs lab chaos bench shots lock clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 18

run: $(VENV)/.run ## one collector with the embedded store and one local agent; prints the console's address
	@$(BIN)/tengwang up $(RUN_ARGS)

test: $(VENV)/.dev ## install what the tests need, start Elasticsearch, run everything (TESTS=path narrows it)
	@$(BIN)/python tests/setup.py
	@$(BIN)/python -m pytest -n $(WORKERS) --dist loadscope --no-loadscope-reorder $(TESTS)

lint: $(VENV)/.dev ## ruff, mypy strict, import-linter
	@$(BIN)/ruff check . && $(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache

docs: $(VENV)/.dev ## generate the references under deploy/reference
	@$(BIN)/python -m tests.docs

lab: $(VENV)/.dev ## bring up the small extranet in network namespaces, with the console and a menu (root)
	@$(BIN)/python tests/setup.py
	@$(BIN)/python -m tests.lab

chaos: $(VENV)/.dev ## random faults: make chaos FAULTS=100 SEED=n (root)
	@$(BIN)/python tests/setup.py
	@$(BIN)/python -m tests.chaos --faults $(or $(FAULTS),100) $(if $(SEED),--seed $(SEED))

bench: $(VENV)/.dev ## one benchmark: make bench NAME=alert-latency|collector|console|detect|first-run|...
	@$(BIN)/python tests/setup.py
	@$(BIN)/python -m tests.bench $(NAME)

shots: $(VENV)/.dev ## screenshots of every console page, wide and phone, zh and en
	@$(BIN)/python tests/setup.py
	@$(BIN)/python -m tests.shots

lock: ## make the hash-locked requirement files anew (needs uv)
	@for part in "run --extra agent --extra collector --extra build" "agent --extra agent" "dev --all-extras"; do set -- $$part; name=$$1; shift; \
	  uv pip compile pyproject.toml "$$@" --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	    --no-emit-find-links --no-header --upgrade -q -o requirements/$$name.txt; done

clean: ## remove the virtual environment, state and caches
	rm -rf $(VENV) var .mypy_cache .ruff_cache .pytest_cache .hypothesis

$(VENV)/bin/pip:
	@$(PYTHON) -m venv $(VENV)

$(VENV)/.run: $(VENV)/bin/pip requirements/run.txt pyproject.toml
	@echo "installing locked dependencies into $(VENV) ..."
	@$(BIN)/pip install -q --disable-pip-version-check --require-hashes -r requirements/run.txt
	@$(BIN)/pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.dev: $(VENV)/bin/pip requirements/dev.txt pyproject.toml
	@echo "installing locked dependencies into $(VENV) ..."
	@$(BIN)/pip install -q --disable-pip-version-check --require-hashes -r requirements/dev.txt
	@$(BIN)/pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@ $(VENV)/.run
