# make demo   export the example model, serve it, explain two photos through gRPC
# make test   every check of the project: style, types, imports, protocol, container file, tests
#
# Both make their own environment in .venv. Another interpreter: make PYTHON=/path/to/python3.12 test

VENV := .venv
BIN := $(VENV)/bin
# Only looked for when the environment is made.
PYTHON = $(shell scripts/find_python.sh)
PIP_INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check
PYTEST_WORKERS ?= 2
PYTEST_ARGS ?=
CHAOS ?=
PEERS ?=
# Programs around packages without types, of which it depends on the machine whether they are installed.
UNTYPED := architectures.py heat_on_objects.py operator_forms.py peer_programs.py peers.py serving_kserve.py serving_ray.py

.PHONY: demo test floors lint proto pages bench chaos peers clean help
.DEFAULT_GOAL := help

help:
	@sed -n 's/^# \(make .*\)/\1/p' Makefile
	@echo "make lint, make proto, make pages, make bench, make chaos, make peers, make clean: see CONTRIBUTING.md"

demo: $(VENV)/.installed-demo
	$(BIN)/python examples/demo.py

test: lint
	$(BIN)/python -m pytest -n $(PYTEST_WORKERS) --dist worksteal $(PYTEST_ARGS)

# The runtime's tests with the oldest versions that pyproject.toml allows; minutes.
floors: $(VENV)/.installed-dev
	$(BIN)/python scripts/floors.py $(PYTEST_ARGS)

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/mypy $(filter-out $(addprefix benchmarks/,$(UNTYPED)),$(wildcard benchmarks/*.py)) deploy examples scripts
	$(BIN)/lint-imports --no-logo
	$(BIN)/buf lint
	$(BIN)/python scripts/generate_stubs.py --check
	$(BIN)/python scripts/generate_operators.py --check
	$(BIN)/hadolint Dockerfile
	git ls-files -z '*.md' | xargs -0 $(BIN)/mdformat --check

# Regenerates the committed stubs of proto/.
proto: $(VENV)/.installed-dev
	$(BIN)/python scripts/generate_stubs.py

# Regenerates the pages of docs/ that say what the code has, and the types of the emitter's operators.
pages: $(VENV)/.installed-dev
	$(BIN)/python scripts/generate_pages.py
	$(BIN)/python scripts/generate_operators.py

# Explainable graph against plain forward pass; minutes.
bench: $(VENV)/.installed-demo
	$(BIN)/python benchmarks/export_vs_forward.py

# Attacks on servers of their own, with limits; see `make chaos CHAOS=--help`.
chaos: $(VENV)/.installed-dev
	PYTHONPATH=tests $(BIN)/python -m chaos $(CHAOS)

# Programs of others that some tests talk to, each in an environment of its own; without them those tests are skipped.
peers: $(VENV)/.installed-dev
	$(BIN)/python scripts/install_peers.py $(PEERS)

clean:
	rm -rf $(VENV) .peers demo-output build dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# A stamp for each set of extras: pip runs again only when pyproject.toml has changed.
$(VENV)/.installed-demo: pyproject.toml | $(BIN)/python
	$(PIP_INSTALL) --editable '.[cpu,export,client,serve]'
	touch $@

$(VENV)/.installed-dev: pyproject.toml | $(BIN)/python
	$(PIP_INSTALL) --editable '.[dev]'
	touch $@ $(VENV)/.installed-demo

$(BIN)/python:
	@test -n "$(PYTHON)"
	"$(PYTHON)" -m venv $(VENV)
