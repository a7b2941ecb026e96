# Two commands on a fresh machine: `make demo` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMPS := $(VENV)/.stamps
INSTALL := $(BIN)/python -m pip install --quiet --constraint constraints.txt

.PHONY: demo test test-slow lint clean

demo: $(STAMPS)/core
	$(BIN)/physml relax "CC(=O)NC1CC1" --model qm9.pt --out demo

test: lint
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m "not slow" --numprocesses auto

test-slow: $(STAMPS)/dev
	$(BIN)/python -m pytest -m slow

lint: $(STAMPS)/dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy ase_physml

# torch comes first and pinned: where a CPU wheel is at hand (PIP_FIND_LINKS,
# PIP_EXTRA_INDEX_URL) it wins over gigabytes of CUDA, and nothing later replaces it.
$(STAMPS)/torch: constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and \
		"Python 3.11 or newer is needed: make PYTHON=/path/to/python ...")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(INSTALL) torch
	mkdir -p $(STAMPS) && touch $@

$(STAMPS)/core: $(STAMPS)/torch pyproject.toml
	$(INSTALL) --editable '.[plot]'
	touch $@

$(STAMPS)/dev: $(STAMPS)/torch pyproject.toml
	$(INSTALL) --editable '.[train,xtb,dask,plot,dev]'
	touch $@ $(STAMPS)/core

clean:
	rm -rf $(VENV) demo relaxed dist build
