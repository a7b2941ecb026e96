# Two commands on a fresh machine: `make demo` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMPS := $(VENV)/.stamps

.PHONY: demo test test-slow lint clean

demo: $(STAMPS)/core
	$(BIN)/physml relax "CC(=O)NC1CC1" --model qm9.pt --out demo

lint: $(STAMPS)/dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

test: lint
	$(BIN)/python -m pytest -m "not slow"

test-slow: $(STAMPS)/dev
	$(BIN)/python -m pytest -m slow

# torch comes first and pinned: a looser requirement pulls gigabytes of CUDA.
$(STAMPS)/torch: constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt torch
	mkdir -p $(STAMPS) && touch $@

$(STAMPS)/core: $(STAMPS)/torch pyproject.toml
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[plot]'
	touch $@

$(STAMPS)/dev: $(STAMPS)/torch pyproject.toml
	$(BIN)/python -m pip install --quiet --constraint constraints.txt \
		--editable '.[train,xtb,plot,dev]'
	touch $@ $(STAMPS)/core

clean:
	rm -rf $(VENV) demo dist build
