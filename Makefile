# make demo   from nothing to lesion masks: environment, installation, synthetic patients, training, export, inference
# make test   environment, installation, tests
# make bench  the README's figures measured again, beside what it says; WIDTH=16 is a quick look, 64 what it speaks of
# make campaign  N spoiled cases from SEED on, none of which may give a wrong mask unsaid; N / 2 wrong bundles on each
#             engine of the CPU; N / 100 killed runs, N / 10 kills of a node, 5 N / 2 attacks on it; a soak
# make lint   style, types, import contracts
# make docs   the documents as a site, in site/
# make wheels what an index takes, in dist/, checked and installed
# make locks  the requirements of each extra with their hashes, in requirements/; UPGRADE=--upgrade takes later versions
# make sbom   what an installation with EXTRAS=cpu,dicom holds, as CycloneDX, in dist/
# make wheelhouse  all that installing with EXTRAS takes, for a machine without a network, in wheelhouse/

VENV ?= .venv
PYTHON ?= python3
OUT ?= demo
BENCH ?= bench
WIDTH ?= 64
CAMPAIGN ?= campaign
N ?= 2000
SEED ?= 1
DIST ?= dist
EXTRAS ?= cpu
WHEELHOUSE ?= wheelhouse
UPGRADE ?=
BIN := $(VENV)/bin
RELEASE := $(VENV)-release

.PHONY: demo test bench campaign lint docs wheels locks sbom wheelhouse clean
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

$(RELEASE)/installed: requirements/release.txt
	$(PYTHON) -m venv $(RELEASE)
	$(RELEASE)/bin/pip install --quiet --require-hashes --requirement $<
	touch $@

# Both wheels are made from the sdist alone, by what the lock names. Without hooks nothing is compiled. auditwheel finds
# patchelf on the path, and dates what it writes as hatchling does: who builds again gets the same files.
WHEEL = $(RELEASE)/bin/pip wheel --quiet --no-deps --no-build-isolation

wheels: $(RELEASE)/installed
	rm -rf $(DIST)/ctpdeploy-* $(DIST)/unrepaired
	$(RELEASE)/bin/python -m build --quiet --no-isolation --sdist --outdir $(DIST)
	HATCH_BUILD_NO_HOOKS=true $(WHEEL) --wheel-dir $(DIST) $(DIST)/ctpdeploy-*.tar.gz
	$(WHEEL) --wheel-dir $(DIST)/unrepaired $(DIST)/ctpdeploy-*.tar.gz
	PATH="$(abspath $(RELEASE)/bin):$$PATH" SOURCE_DATE_EPOCH=1580601600 \
	  $(RELEASE)/bin/auditwheel repair --wheel-dir $(DIST) $(DIST)/unrepaired/*.whl
	rm -r $(DIST)/unrepaired
	$(RELEASE)/bin/auditwheel show $(DIST)/*-manylinux_*.whl
	$(RELEASE)/bin/twine check --strict $(DIST)/*.whl $(DIST)/*.tar.gz
	$(RELEASE)/bin/python claims/distributions.py $(DIST)

# The one for developers comes first: all others have the versions that tests run with.
COMPILE = $(RELEASE)/bin/uv pip compile --universal --generate-hashes --no-annotate --quiet $(UPGRADE) \
  --custom-compile-command 'make locks' --constraint constraints.txt
EVERY_EXTRA = import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["project"]["optional-dependencies"])

locks: $(RELEASE)/installed
	$(COMPILE) --group release --output-file requirements/release.txt
	$(COMPILE) pyproject.toml --extra dev --output-file requirements/dev.txt
	for extra in $$($(PYTHON) -c '$(EVERY_EXTRA)'); do $(COMPILE) pyproject.toml --constraint requirements/dev.txt \
	  --extra $$extra --output-file requirements/$$extra.txt || exit 1; done

COMMA := ,
LOCKED = --require-hashes $(patsubst %,--requirement requirements/%.txt,$(subst $(COMMA), ,$(EXTRAS)))

$(DIST):
	$(MAKE) wheels

sbom: $(RELEASE)/installed | $(DIST)
	rm -rf build/sbom
	$(PYTHON) -m venv --without-pip build/sbom
	$(RELEASE)/bin/pip --python build/sbom/bin/python install --quiet $(LOCKED)
	$(RELEASE)/bin/pip --python build/sbom/bin/python install --quiet --no-deps --no-index --find-links $(DIST) ctpdeploy
	$(RELEASE)/bin/cyclonedx-py environment --pyproject pyproject.toml --output-reproducible --output-format JSON \
	  --output-file $(DIST)/ctpdeploy-$(EXTRAS).cdx.json build/sbom/bin/python

wheelhouse: $(RELEASE)/installed | $(DIST)
	rm -f $(WHEELHOUSE)/*.whl
	$(RELEASE)/bin/pip wheel --quiet --wheel-dir $(WHEELHOUSE) $(LOCKED)
	cp $(DIST)/*.whl $(WHEELHOUSE)
	cd $(WHEELHOUSE) && sha256sum *.whl >SHA256SUMS

clean:
	rm -rf $(VENV) $(RELEASE) build dist wheelhouse site .pytest_cache .mypy_cache .ruff_cache .import_linter_cache
