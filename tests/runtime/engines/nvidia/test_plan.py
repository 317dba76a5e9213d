"""The TensorRT engine on a simulated GPU: its results, what it refuses before deserialising, and what it frees."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from runtime.bundle import Artifact, Bundle
from runtime.engines.nvidia.passport import Passport, passport_name
from runtime.engines.nvidia.plan import PlanEngine
from runtime.errors import BundleCorrupt, BundleMissing, EngineError

PLAN, FILE = b"a plan", "tensorrt/fp16/model.plan"


def frames(count: int) -> np.ndarray:
    return np.random.default_rng(count).integers(0, 256, (count, 32, 32, 3), np.uint8)


def bundle_with(tiny, passport: bytes | None) -> Bundle:
    proto, golden = tiny.model(), frames(2)
    return Bundle.build(
        name="planned",
        description="",
        preprocess=tiny.bundle().preprocess,
        metric="cosine",
        model=proto.SerializeToString(),
        golden_frames=golden,
        golden_embeddings=tiny.reference(proto, golden),
        extra={FILE: PLAN, **({passport_name(FILE): passport} if passport is not None else {})},
        artifacts=(Artifact("tensorrt", "fp16", FILE),),
    )


def opened(tiny, passport: Passport) -> PlanEngine:
    bundle = bundle_with(tiny, passport.to_json())
    return PlanEngine(bundle, bundle.artifacts[1], 1)


@pytest.mark.parametrize("count", [0, 1, 2, 8, 9, 20])
def test_any_number_of_frames_is_embedded_into_new_arrays(trt, tiny, passport, count):
    engine = opened(tiny, passport)
    expected = tiny.reference(tiny.model(), frames(count)) if count else np.zeros((0, tiny.DIM), np.float32)
    first = engine.embed(frames(count))
    again = engine.embed(frames(count))
    assert first.dtype == np.float32
    assert not np.shares_memory(first, again)
    np.testing.assert_allclose(first, expected, atol=1e-5)
    np.testing.assert_array_equal(first, again)
    engine.close()


def test_a_single_frame_is_one_graph_from_the_second_call_on(trt, cudart, tiny, passport):
    engine = opened(tiny, passport)
    for i in range(5):
        many = frames(i + 1)[-1:]
        np.testing.assert_allclose(engine.embed(many), tiny.reference(tiny.model(), many), atol=1e-5)
    assert cudart["launches"] == 4
    engine.embed(frames(3))
    assert cudart["launches"] == 4, "a batch of changing size is not recorded"
    engine.close()


def test_layers_that_cannot_be_recorded_are_queued_for_every_call(trt, cudart, tiny, passport):
    cudart["refuse_capture"] = 1
    engine = opened(tiny, passport)
    for _ in range(3):
        np.testing.assert_allclose(engine.embed(frames(1)), tiny.reference(tiny.model(), frames(1)), atol=1e-5)
    assert cudart["launches"] == 0
    engine.close()


@pytest.mark.parametrize("count", [1, 4, 5])
def test_frames_are_padded_to_the_fixed_batch_of_a_plan(trt, tiny, passport, count):
    engine = opened(tiny, replace(passport, batch=(4, 4, 4)))
    np.testing.assert_allclose(engine.embed(frames(count)), tiny.reference(tiny.model(), frames(count)), atol=1e-5)
    engine.close()


def test_closing_frees_everything_and_can_be_repeated(trt, cudart, tiny, passport):
    engine = opened(tiny, passport)
    for count in (1, 1, 1, 5):
        engine.embed(frames(count))
    engine.close()
    engine.close()
    assert cudart["live"] == 0
    with pytest.raises(EngineError, match="was closed; open it again"):
        engine.embed(frames(1))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"library_version": "10.16.1"}, "built by tensorrt 10.16.1 and this is 10.3.0"),
        ({"compute_capabilities": ("8.9",)}, "for compute capability 8.9 and this GPU has 8.7"),
        ({"os": "windows"}, "with os windows and this is linux"),
        ({"arch": "riscv"}, "with arch riscv and this is"),
        ({"plan_sha256": "0"}, "plan's sha256 is"),
        ({"model_sha256": "0"}, "model's sha256 is"),
        ({"shape": (64, 64, 3)}, r"input is \(32, 32, 3\), not \(64, 64, 3\)"),
        ({"precision": "fp32"}, "precision is fp16, not fp32"),
        ({"target": "tensorrt-rtx"}, "target is tensorrt, not tensorrt-rtx"),
    ],
)
def test_a_passport_that_does_not_fit_is_refused_before_anything_is_deserialised(
    trt, cudart, tiny, passport, change, reason
):
    with pytest.raises(EngineError, match=f"{reason}.*Build it again here: edgefs bundle add-plan .*--precision fp16"):
        opened(tiny, replace(passport, **change))
    assert trt.deserialized == 0
    assert cudart["live"] == 0


@pytest.mark.parametrize("change", [{"driver": "540.4.0"}, {"jetpack": "R36.4"}])
def test_a_plan_runs_after_a_driver_update_and_in_a_container(trt, tiny, passport, change):
    """A container has no /etc/nv_tegra_release. If the library refuses the plan, what has changed is named."""
    engine = opened(tiny, replace(passport, **change))
    assert engine.embed(frames(1)).shape == (1, tiny.DIM)
    engine.close()
    trt.refuses = True
    with pytest.raises(EngineError, match=rf"tag does not match \(it was built with .*{next(iter(change.values()))}"):
        opened(tiny, replace(passport, **change))


@pytest.mark.parametrize("text", [b"", b"[]", b"{}", b'{"format": 1}', b'{"format": 2}', b"\xff"])
def test_an_unreadable_passport_is_corrupt(trt, tiny, text):
    bundle = bundle_with(tiny, text)
    with pytest.raises(BundleCorrupt, match="must be a passport of format 1"):
        PlanEngine(bundle, bundle.artifacts[1], 1)
    assert trt.deserialized == 0


def test_a_plan_without_passport_is_refused(trt, tiny):
    bundle = bundle_with(tiny, None)
    with pytest.raises(BundleMissing, match=r"passport\.json must be listed"):
        PlanEngine(bundle, bundle.artifacts[1], 1)
    assert trt.deserialized == 0


def test_a_plan_that_the_library_refuses_is_reported_with_its_message(trt, cudart, tiny, passport):
    trt.refuses = True
    with pytest.raises(EngineError, match="refuses it: the magic tag does not match; export it again"):
        opened(tiny, passport)
    assert cudart["live"] == 0


def test_a_plan_of_other_types_or_sizes_is_refused(trt, tiny, passport):
    trt.output_type = trt.DataType.HALF
    with pytest.raises(EngineError, match="must take uint8 frames and answer float32"):
        opened(tiny, passport)
    trt.output_type, trt.dim = trt.DataType.FLOAT, 5
    engine = opened(tiny, passport)
    with pytest.raises(EngineError, match=r"must answer \(1, 32\), but answers \(1, 5\)"):
        engine.embed(frames(1))
    engine.close()
