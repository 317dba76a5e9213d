# Each target creates what it needs in a virtual environment inside this folder; only `test-torch` brings torch.
PYTHON ?= python3
VENV = .venv
TORCH = .venv-torch

.PHONY: demo live test test-slow test-torch lint bench clean

demo: $(VENV)/demo.stamp  ## enrol, recognise, say "unknown": the main job in a minute
	$(VENV)/bin/edgefs demo

live: $(VENV)/live.stamp  ## the camera app on a virtual camera
	$(VENV)/bin/edgefs live --source demo --gallery live.db

test: $(VENV)/dev.stamp  ## everything a device does; minutes on 2 cores, no torch
	$(VENV)/bin/python -m pytest

test-slow: $(VENV)/dev.stamp $(TORCH)/dev.stamp  ## more cycles of the same, and large networks
	$(VENV)/bin/python -m pytest -m "slow and not torch"
	$(TORCH)/bin/python -m pytest -m "slow and torch"

test-torch: $(TORCH)/dev.stamp  ## training and export
	$(TORCH)/bin/python -m pytest -m "torch and not slow"
	$(TORCH)/bin/python -m pytest tests/exporters/targets/test_tensorrt_rtx.py  # NVIDIA's own parser and builder, on the CPU

lint: $(VENV)/dev.stamp  ## format, lint, types, the direction of imports
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/ruff check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports

bench: $(VENV)/demo.stamp  ## latency on this machine, written to benchmarks/results/
	$(VENV)/bin/python -m benchmarks.latency

$(VENV)/demo.stamp: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet -e '.[demo]'
	touch $@

$(VENV)/live.stamp: $(VENV)/demo.stamp
	$(VENV)/bin/python -m pip install --quiet -e '.[demo,app]'
	touch $@

$(VENV)/dev.stamp: $(VENV)/demo.stamp
	$(VENV)/bin/python -m pip install --quiet -e '.[dev]'
	touch $@

$(TORCH)/dev.stamp: pyproject.toml
	$(PYTHON) -m venv $(TORCH)
	$(TORCH)/bin/python -m pip install --quiet -e '.[dev,train,export,tensorrt-rtx]'
	touch $@

clean:
	rm -rf $(VENV) $(TORCH) build *.egg-info .mypy_cache .ruff_cache .pytest_cache demo-output
