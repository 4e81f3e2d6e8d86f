# Two commands: `make demo` and `make test`. Everything else is for those who build Nigiwai.
#
#   make demo          see people counted, from camera to broker, on this machine
#   make demo ONCE=1   the same as fast as it goes, one JSON line, exit code 0 if every number arrived
#   make test          install what the tests need and run all of them
#   make proof         the long campaigns; results go to docs/verification.md
#   make machines      make the Debian machines that tests/system boots (root, some minutes, 1.5 GB, once)
#   make lint          ruff, mypy, shellcheck
#   make docs          write the generated pages again (settings, schemas)
#   make sbom          write sbom.cdx.json
#   make clean         remove what the others made

PYTHON ?= python3
VENV   := .venv
# So many tests run beside each other: one for each core, four at most.
WORKERS ?= $(shell n=$$(nproc 2>/dev/null || echo 1); [ $$n -lt 4 ] && echo $$n || echo 4)
BIN    := $(VENV)/bin
PIP    := PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pip --disable-pip-version-check install --quiet

.PHONY: demo test proof machines lint docs sbom clean broker
.DEFAULT_GOAL := demo

demo: $(VENV)/.core broker
	@$(BIN)/nigiwai demo $(if $(ONCE),--once)

test: $(VENV)/.dev broker lint
	@$(BIN)/python -m pytest --numprocesses=$(WORKERS) --dist=loadgroup $(ARGS)

proof: $(VENV)/.dev broker
	@NIGIWAI_PROOF=1 $(BIN)/python -m pytest --timeout=7200 $(ARGS)

machines: $(VENV)/.dev
	@PYTHON=$(BIN)/python provisioning/virtual/prepare.sh
	@$(BIN)/python -m tests.system.machine

lint: $(VENV)/.dev
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/ruff check --quiet .
	@$(BIN)/mypy
	@scripts/shellcheck.sh

docs: $(VENV)/.dev
	@$(BIN)/python scripts/write_docs.py

sbom: $(VENV)/.dev
	@$(BIN)/cyclonedx-py environment $(BIN)/python --pyproject pyproject.toml --output-file sbom.cdx.json
	@echo "sbom.cdx.json written"

clean:
	rm -rf $(VENV) .demo dist build .mypy_cache .ruff_cache .pytest_cache .hypothesis

# The environment. A stamp is older than pyproject.toml when the dependencies may have changed.
$(VENV)/.core: pyproject.toml
	@echo "Making the environment in $(VENV) (about 120 MB to download, once) ..."
	@$(PYTHON) -m venv $(VENV) || { echo "python3-venv is missing: sudo apt install python3-venv"; exit 1; }
	@$(PIP) --editable .
	@touch $@

$(VENV)/.dev: $(VENV)/.core pyproject.toml
	@echo "Installing what the tests need ..."
	@$(PIP) --editable '.[dev]'
	@touch $@

# Mosquitto where it is installed; root may install it; everybody else gets a small broker in Python.
broker: $(VENV)/.core
	@scripts/ensure-broker.sh $(BIN)/python
