"""The page of an export: every artifact with its figures and its reason, whatever could be measured."""

import re

from edgefs.reports.export_page import render

PAIRED = {"n_shot": 1, "difference": -0.25, "difference_interval": 0.1}


def made(precision, **found):
    blank = dict.fromkeys(("min_cosine", "p1_cosine", "neighbour_agreement", "latency_ms"))
    rest = {"target": "openvino", "precision": precision, "bytes": 0, "accuracy": (), "kept": False, "failed": False}
    return {**blank, **rest, "reason": "as asked", **found}


def report(*artifacts):
    verified = {"pictures": 40, "kind": "classes", "source": "photos"}
    facts = {"name": "mug <b>", "bundle": "out/b.edgefs", "fingerprint": "f" * 64, "source_ms": 8.0}
    return {**facts, "verified_on": verified, "artifacts": artifacts}


FP32 = made("fp32", bytes=9_300_000, min_cosine=0.99999, p1_cosine=1.0, neighbour_agreement=1.0, accuracy=(PAIRED,),
            latency_ms=4.0, kept=True)  # fmt: skip
INT8 = made("int8", failed=True, reason="layer 'stem' is refused")


def test_every_artifact_is_a_row_with_its_reason():
    page = render(report(FP32, INT8))
    assert "1 of 2 artifacts kept" in page
    assert "<td>kept</td><td>9.30</td><td>0.99999</td><td>1.00000</td><td>100.0%</td><td>-0.25 ± 0.10</td>" in page
    assert "<td>4.00</td></tr>" in page
    assert "<td>left out</td><td>0.00</td><td>-</td><td>-</td><td>-</td><td>-</td><td>-</td></tr>" in page
    assert "layer &#x27;stem&#x27; is refused" in page
    assert "2.0 times the speed of the source" in page


def test_what_failed_is_a_headline_of_its_own():
    assert "not built, or failed a gate" in render(report(FP32, INT8))
    assert "not built, or failed a gate" not in render(report(FP32))


def test_a_page_runs_nothing_and_fetches_nothing():
    page = render(report(FP32))
    assert "mug &lt;b&gt;" in page
    assert "mug <b>" not in page
    assert "default-src 'none'" in page


def test_nothing_kept_is_a_page_too():
    assert "0 of 1 artifacts kept" in render(report(INT8))


def test_what_triton_does_not_run_is_named_with_the_reason():
    page = render({**report(FP32), "not_served": {"tensorrt-rtx fp16": "its backend runs other plans"}})
    assert "Not served by Triton" in page
    assert "its backend runs other plans" in page
    assert "Not served" not in render({**report(FP32), "not_served": {}})


def test_the_page_is_chinese_where_that_is_asked_for(monkeypatch):
    monkeypatch.setenv("EDGEFS_LANG", "zh")
    page = render(report(FP32, INT8))
    assert "保留了 2 个产物中的 1 个" in page
    assert "速度是来源的 2.0 倍" in page
    shown = re.sub(r"<style>.*?</style>", "", page, flags=re.S).replace("layer &#x27;stem&#x27; is refused", "")
    assert re.findall(r"[A-Za-z]+ [a-z]+ [a-z]+", re.sub(r"<[^>]*>|&[^;]+;", "|", shown)) == []
