# make demo   from nothing to lesion masks: environment, installation, synthetic patients, training, export, inference
# make test   environment, installation, tests
# make bench  speed beside other ways to run the same networks, at a quarter of the width, and of a bundle in detail
# make lint   style, types, import contracts

VENV ?= .venv
PYTHON ?= python3
OUT ?= demo
BENCH ?= bench
BIN := $(VENV)/bin

.PHONY: demo test bench lint clean
.DEFAULT_GOAL := demo

$(VENV)/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@

demo: $(VENV)/installed
	$(BIN)/ctpdeploy demo $(OUT)

test: $(VENV)/installed
	OMP_NUM_THREADS=1 $(BIN)/pytest --numprocesses auto --dist worksteal

bench: $(VENV)/installed
	mkdir -p $(BENCH)
	$(BIN)/python benchmarks/peers.py --width 16 --rounds 3 --work $(BENCH) --out $(BENCH)/peers.json
	$(BIN)/ctpdeploy benchmark $(BENCH)/random-16-256-fp32.ctpbundle --out $(BENCH)/benchmark.json

lint: $(VENV)/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

clean:
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache
