# make demo, make test: each makes its own .venv with what it needs, pinned by constraints.txt.
# PYTHON=python3.12 chooses another interpreter.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip --disable-pip-version-check --quiet
INPUTS := pyproject.toml constraints.txt

.DEFAULT_GOAL := help
.PHONY: help demo test real-tests pure-tests check clean
.DELETE_ON_ERROR:

help:
	@echo 'make demo    watch small networks train on four logical nodes (installs once; DEMO="--tasks 4" adds options)'
	@echo 'make test    format, lint, types, import rules and all tests (installs once; TESTS="-k store" chooses)'
	@echo 'make check   all of that but the tests'
	@echo 'make clean   remove .venv, caches and build products'

demo: $(VENV)/demo.stamp
	@$(BIN)/python -m trainmaster.cli.main demo $(DEMO)

test: check
	@echo '== tests'
ifdef TESTS
	@$(BIN)/python -m pytest $(TESTS)
else
	@$(MAKE) --no-print-directory -j 2 real-tests pure-tests
endif

# What starts services mostly waits. The other tests only compute, on what those leave of the processor.
PURE := tests/unit tests/naive tests/properties

real-tests:
	@$(BIN)/python -m pytest $(addprefix --ignore=,$(PURE))

pure-tests:
	@nice -n 19 $(BIN)/python -m pytest $(PURE) >$(VENV)/pure-tests.log 2>&1; \
	    status=$$?; echo; echo '== tests that only compute'; cat $(VENV)/pure-tests.log; exit $$status

check: $(VENV)/dev.stamp
	@echo '== format'
	@$(BIN)/ruff format --check .
	@echo '== lint'
	@$(BIN)/ruff check .
	@echo '== types'
	@$(BIN)/mypy
	@echo '== imports'
	@$(BIN)/lint-imports --no-logo

clean:
	rm -rf $(VENV) build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	find src tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true

$(VENV)/python.stamp:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	    { echo 'error: Python 3.11 or newer is needed, $(PYTHON) is older or missing.' >&2; \
	      echo '  name another one: make PYTHON=python3.12 …' >&2; exit 1; }
	@echo 'making $(VENV) …'
	@$(PYTHON) -m venv $(VENV) || \
	    { echo 'error: this Python cannot make virtual environments.' >&2; \
	      echo '  on Debian: apt install python3-venv' >&2; exit 1; }
	@touch $@

# An extra is installed again when the pins change; pip then has little to do.
$(VENV)/%.stamp: $(VENV)/python.stamp $(INPUTS)
	@echo 'installing trainmaster[$*]: once, a few minutes, most of them for torch …'
	@$(PIP) install -c constraints.txt -e '.[$*]'
	@touch $@
