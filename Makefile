# make demo    the main job on demo recordings, on this machine: a report in a few minutes
# make test    the tests
# Both make the environment in .venv first; they need Python 3.11 or newer and nothing else.

PYTHON ?= $(shell command -v python3.11 || command -v python3.12 || command -v python3)
BIN := .venv/bin
READY := .venv/.ready

.PHONY: demo test test-slow test-cluster test-real lint format types audit lock clean

demo: $(READY)
	$(BIN)/python jobs/pretrain.py

test: $(READY)
	$(BIN)/pytest

test-slow: $(READY)  ## the tests that take long
	$(BIN)/pytest -m slow --timeout 600

TESTS ?= tests
test-cluster: $(READY)  ## jobs on several nodes, made of network namespaces: needs root; TESTS=FILE for some
	$(BIN)/pytest -m cluster $(TESTS) --timeout 1800

test-real: $(READY)  ## tests on real recordings: PHYSIOCLR_DATA=FOLDER make test-real
	$(BIN)/pytest -m real

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: $(READY)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

types: $(READY)
	$(BIN)/mypy

audit: $(READY)  ## the image's versions against published weaknesses; says so when it has to be skipped
	.ci/audit

lock:  ## the versions of the image; needs uv
	uv pip compile pyproject.toml --extra cluster --python-version 3.11 --python-platform x86_64-manylinux_2_28 \
		--no-annotate --no-header --output-file cluster/requirements.lock

clean:
	rm -rf .venv work

$(READY): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed; give it as PYTHON=/path/to/python3.11"; exit 2; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	touch $(READY)
