# `make help` lists the commands. Every one sets up what it needs; nothing but python, make and a package registry is assumed.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.ready
USERS  ?= 20000
EVENTS ?= 5000000
NUMBER ?= 100
SEED   ?= 1
ONLY   ?= *
# A package mirror named in pip's own configuration is handed on to uv.
MIRROR  = index=$${PIP_INDEX_URL:-$$($(BIN)/python -m pip config get global.index-url 2>/dev/null || true)}; \
	  [ -z "$$index" ] || export UV_DEFAULT_INDEX="$$index"

.DEFAULT_GOAL := help
.PHONY: help setup report report-real test lab bench promises mutants lint format new shots lock clean

help: ## list the commands
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

setup: $(STAMP) ## install everything into .venv (the other commands do it by themselves)

# The lock carries hashes for every platform; uv installs it in a tenth of pip's time and compiles the bytecode, without which
# every report costs twice as much.
$(STAMP): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed: make PYTHON=python3.13 …"; exit 2; }
	@echo "Setting up $(VENV) (once, about a minute) …"
	@$(PYTHON) -m venv $(VENV) || { echo "python has no venv module: install your system's python3-venv package"; exit 2; }
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	@$(MIRROR); export VIRTUAL_ENV=$(VENV); \
	  $(BIN)/uv pip install --quiet --require-hashes --compile-bytecode -r requirements.lock && \
	  $(BIN)/uv pip install --quiet --no-deps --no-build-isolation -e .
	@touch $(STAMP)

# A stamp, written last: an interrupted load must not look like a finished one.
data/sample/.ready: | $(STAMP)
	@$(BIN)/opslib sample data/sample-raw --users $(USERS) --source data/sample && touch $@

report: $(STAMP) data/sample/.ready ## reports on the sample product → outputs/index.html
	@$(BIN)/opslib run --all -p source=data/sample

report-real: $(STAMP) ## the same reports on a year of real shopping (The Complete Journey)
	@$(BIN)/opslib load data/samples/completejourney/pack.yml --source data/completejourney
	@$(BIN)/opslib run --all -p source=data/completejourney

test: $(STAMP) ## the tests
	@$(BIN)/python -m pytest -n 2 --dist worksteal

lab: $(STAMP) data/sample/.ready ## JupyterLab on this folder, on 127.0.0.1 only
	@$(BIN)/jupyter lab --ip=127.0.0.1 --notebook-dir=.

# ClickHouse comes for one row of the table only and is not locked; without it that row says so and the rest runs.
bench: $(STAMP) ## speed as ratios to a hand-written reference in the same run (EVENTS=50000000 for ten times the data)
	@$(BIN)/python -c 'import chdb' 2>/dev/null || $(BIN)/python -m pip install --quiet --disable-pip-version-check "chdb>=3" || echo "chdb could not be installed: the row against ClickHouse is left out"
	@$(BIN)/python -m tests.bench --events $(EVENTS)

# Minutes to an hour each; ONLY='readout*,cheating_ring' for some of them.
promises: $(STAMP) ## what is promised over many seeds, whole worlds and large data, measured anew
	@$(BIN)/python -m tests.promise --only "$(ONLY)"

# cosmic-ray and coverage come for this run only, laid over .venv and not locked; .venv stays as it was.
mutants: $(STAMP) ## do the tests notice small faults planted in the metrics? (NUMBER=200 SEED=2 ONLY=funnel*,paths)
	@$(MIRROR); VIRTUAL_ENV=$(VENV) $(BIN)/uv run --quiet --no-project --python $(BIN)/python \
	  --with "cosmic-ray>=8.7,<9" --with "pytest-cov>=6" python -m tests.mutants --number $(NUMBER) --seed $(SEED) --only "$(ONLY)"

lint: $(STAMP) ## formatting, lint and types
	@$(BIN)/ruff format --check . && $(BIN)/ruff check . && $(BIN)/mypy

format: $(STAMP) ## put the code in its format
	@$(BIN)/ruff format . && $(BIN)/ruff check --fix .

new: $(STAMP) ## start a module: make new NAME=referral
	@test -n "$(NAME)" || { echo "name it: make new NAME=referral"; exit 2; }
	@$(BIN)/opslib new $(NAME)

shots: $(STAMP) ## pictures of every page in outputs, desktop and phone, in pieces → outputs/shots
	@$(BIN)/python -m tests.shots

lock: $(STAMP) ## renew requirements.lock after a change in pyproject.toml
	@$(BIN)/uv pip compile pyproject.toml --group dev --universal --generate-hashes --python-version 3.11 --no-annotate --no-header --quiet -o requirements.lock
	@$(BIN)/python -m tests.environment

clean: ## remove outputs and loaded data (keeps .venv and data/samples)
	@rm -rf outputs/* outputs/.mutants outputs/.checked data/sample data/sample-raw data/completejourney .pytest_cache .ruff_cache .mypy_cache .hypothesis
