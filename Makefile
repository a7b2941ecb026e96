# Two commands on a fresh machine: `make demo` and `make test`; `make docs` for the site.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMPS := $(VENV)/.stamps
INSTALL := $(BIN)/python -m pip install --quiet --constraint constraints.txt

TEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses auto

# Tests whose numbers another processor may round otherwise.
NUMERIC := --ignore-glob="*_scripts.py" $(addprefix tests/, models calculators engines \
	native store workflows training test_graph.py test_neighbours.py test_segment.py)

# A kind of torch's kernels that this machine has, but would not choose.
OTHER := import torch; own = torch.backends.cpu.get_cpu_capability(); \
	print("avx2" if own == "AVX512" else "default")

.PHONY: demo docs test test-portable test-scatter test-slow lint clean

demo: $(STAMPS)/core
	$(BIN)/physml relax "CC(=O)NC1CC1" --model qm9.pt --out demo

# Examples are run for what they print and draw; those that are newer stay.
docs: $(STAMPS)/docs
	OMP_NUM_THREADS=1 $(BIN)/python docs/scripts/gallery.py
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

test: lint
	$(TEST) -m "not slow and not scatter"

test-portable: $(STAMPS)/dev
	ATEN_CPU_CAPABILITY=$$($(BIN)/python -c '$(OTHER)') \
		$(TEST) -m "not slow and not scatter" $(NUMERIC)

# torch-scatter has no wheels, and needs a C++ compiler.
test-scatter: $(STAMPS)/dev
	$(INSTALL) --no-build-isolation torch-scatter
	ASE_PHYSML_SCATTER=1 $(TEST) -m "not slow" $(NUMERIC)

test-slow: $(STAMPS)/dev
	$(TEST) -m slow

lint: $(STAMPS)/dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

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
	$(INSTALL) --editable '.[dev]'
	touch $@ $(STAMPS)/core

$(STAMPS)/docs: $(STAMPS)/torch pyproject.toml
	$(INSTALL) --editable '.[docs]'
	touch $@ $(STAMPS)/core

clean:
	rm -rf $(VENV) demo relaxed dist build docs/made
