"""A real but very short run of every scenario, for the tests of what is made of it."""

import copy

import pytest

from edgefs.bench.run import Plan, bench
from edgefs.reports.progress import silent


@pytest.fixture(scope="session")
def measured(tiny_bundle):
    """The report of a run on ONNX Runtime."""
    pytest.importorskip("onnxruntime")
    scenarios = ("single-stream", "multi-stream", "offline", "camera")
    plan = Plan(engines=("onnxruntime",), scenarios=scenarios, batches=(1, 4), threads=1, seconds=0.2, cameras=2)
    return bench(tiny_bundle, plan, silent)


@pytest.fixture
def report(measured):
    """A copy of the report, which a test may change."""
    return copy.deepcopy(measured)
