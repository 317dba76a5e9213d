"""Single-stream calls the engine, recognize() and the library in turn, in blocks."""

from edgefs.bench.clock import Sample
from edgefs.bench.single_stream import PAIRS, PATIENCE, Run, cpu_ms, single_stream
from edgefs.bench.subjects import open_subjects


def never_waits(call):
    call()
    return Sample(2.0)


never_waits.refresh = lambda: None


def test_a_block_has_the_same_number_of_calls_of_each_kind(tiny_bundle):
    with open_subjects(tiny_bundle, ["onnxruntime"], ["fp32"], threads=1) as (subjects, _):
        run = Run(subjects[0])
        run.block(never_waits)
        found = run.report()
    assert {kind: len(blocks[0]) for kind, blocks in run.samples.items()} == dict.fromkeys(run.samples, PAIRS)
    assert set(run.samples) == {"engine", "recognize", "library"}
    assert run.uncontended_blocks == 1
    assert found["blocks"]["engine_ms"] == [2.0]
    assert found["samples_ms"]["recognize"] == [2.0] * PAIRS
    assert found["p90_ms"] is None  # eight samples are too few


def test_an_inconclusive_run_goes_on_until_its_patience_ends(tiny_bundle):
    asked = []
    with open_subjects(tiny_bundle, ["onnxruntime"], ["fp32"], threads=1) as (subjects, _):
        rounds = list(single_stream(subjects, 0.02, never_waits, lambda runs: bool(asked.append(len(runs)))))
    assert PATIENCE == 4
    assert len(rounds) >= 1


def test_cpu_time_is_per_call():
    calls = []
    assert cpu_ms(calls.append, 5) >= 0
    assert calls == [0, 1, 2, 3, 4]
