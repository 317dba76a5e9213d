"""Opening a bundle is measured in new processes."""

import pytest

from edgefs.bench.opening import openings
from edgefs.errors import BenchError

pytest.importorskip("onnxruntime")


def test_opening_is_measured_without_and_with_a_filled_cache(report):
    found = report["results"][0]["opening"]
    assert list(found) == ["cold", "cached"]
    parts = ("import_ms", "load_ms", "compile_ms", "first_call_ms")
    assert sum(found["cold"][part] for part in parts) <= found["cold"]["until_first_answer_ms"]


def test_a_process_that_fails_is_reported_with_what_it_printed(tiny_bundle):
    with pytest.raises(BenchError, match=r"(?s)opening abacus fp32 in a new process must succeed, .*abacus"):
        openings(tiny_bundle, "abacus", "fp32", 1)
