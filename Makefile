# make demo   from nothing to lesion masks: environment, installation, synthetic patients, training, export, inference
# make test   environment, installation, tests
# make bench  the README's figures measured again, beside what it says; WIDTH=16 is a quick look, 64 what it speaks of
# make campaign  N spoiled cases from SEED on, none of which may give a wrong mask unsaid; N / 2 wrong bundles on each
#             engine of the CPU; N / 100 killed runs, N / 10 kills of a node, 5 N / 2 attacks on it; a soak
# make lint   style, types, import contracts
# make docs   the documents as a site, in site/

VENV ?= .venv
PYTHON ?= python3
OUT ?= demo
BENCH ?= bench
WIDTH ?= 64
CAMPAIGN ?= campaign
N ?= 2000
SEED ?= 1
BIN := $(VENV)/bin

.PHONY: demo test bench campaign lint docs clean
.DEFAULT_GOAL := demo

$(VENV)/installed: pyproject.toml constraints.txt hatch_build.py $(wildcard ctpdeploy/runtime/backends/native/cpp/*)
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@

demo: $(VENV)/installed
	$(BIN)/ctpdeploy demo $(OUT)

test: $(VENV)/installed
	OMP_NUM_THREADS=1 $(BIN)/pytest --numprocesses auto --dist worksteal

# nnU-Net brings torchvision and needs none of it; one made for another torch breaks whatever imports it
$(VENV)/installed-bench: $(VENV)/installed
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[bench]'
	$(BIN)/python -c 'import torchvision' 2>/dev/null || $(BIN)/pip uninstall --quiet --yes torchvision
	touch $@

bench: $(VENV)/installed-bench
	mkdir -p $(BENCH)
	$(BIN)/python claims/peers.py --width $(WIDTH) --work $(BENCH) --out $(BENCH)/peers.json >/dev/null
	$(BIN)/ctpdeploy benchmark $(BENCH)/random-$(WIDTH)-256-fp32.ctpbundle $(BENCH)/patients-256-4-45/case_1 --rounds 5 \
	  --out $(BENCH)/benchmark.json
	$(BIN)/python claims/folder.py --backend native --width $(WIDTH) --work $(BENCH) --out $(BENCH)/folder.json >/dev/null
	$(BIN)/python claims/compare.py $(BENCH)

campaign: $(VENV)/installed
	PYTHONPATH=tests $(BIN)/python -m campaign cases --count $(N) --seed $(SEED) --work $(CAMPAIGN)
	PYTHONPATH=tests $(BIN)/python -m campaign studies --count $$(( $(N) / 4 )) --seed $(SEED) --work $(CAMPAIGN)
	PYTHONPATH=tests $(BIN)/python -m campaign maps --count $$(( $(N) / 4 )) --seed $(SEED) --work $(CAMPAIGN)
	for backend in ort-cpu native ncnn openvino; do PYTHONPATH=tests $(BIN)/python -m campaign bundles \
	  --backend $$backend --count $$(( $(N) / 2 )) --seed $(SEED) --work $(CAMPAIGN) || exit 1; done
	PYTHONPATH=tests $(BIN)/python -m campaign kills --count $$(( $(N) / 100 )) --seed $(SEED) --work $(CAMPAIGN)
	PYTHONPATH=tests $(BIN)/python -m campaign node --count $$(( $(N) / 10 )) --seed $(SEED) --work $(CAMPAIGN)
	PYTHONPATH=tests $(BIN)/python -m campaign hostile --count $$(( $(N) * 5 / 2 )) --seed $(SEED) --work $(CAMPAIGN)
	PYTHONPATH=tests $(BIN)/python -m campaign node-soak --count $$(( $(N) / 4 )) --seed $(SEED) --work $(CAMPAIGN)
	PYTHONPATH=tests $(BIN)/python -m campaign soak --count 300 --work $(CAMPAIGN)

lint: $(VENV)/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# the variable silences the theme's advertisement for its successor
docs: $(VENV)/installed
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

clean:
	rm -rf $(VENV) build dist site .pytest_cache .mypy_cache .ruff_cache .import_linter_cache
