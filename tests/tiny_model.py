"""A small convolutional embedder made by hand, so that tests need neither torch nor a trained model.

uint8 [N, 32, 32, C] -> Cast -> Transpose -> scale -> Conv -> Relu -> AveragePool -> Flatten -> Gemm -> tail; seeded.
Its golden embeddings come from onnx's own reference evaluator, which shares no code with the engines.
"""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from runtime.bundle import Bundle
from runtime.preprocess import Preprocess

SIDE, DIM = 32, 32
# What unlike pictures of `pattern` score with this model, roughly: 0.65 at most, where like ones score 0.8 or more.
CALIBRATION = {
    "version": 2,
    "things": 40,
    "rates": [0.01, 0.05, 0.1, 0.4],
    "sizes": [1, 3, 10],
    "mean": [0.0, 0.1, 0.2],
    "excess": [[0.6, 0.5, 0.4, 0.1], [0.5, 0.4, 0.3, 0.0], [0.4, 0.3, 0.2, -0.1]],
    "cap": 0.96,
    "twin": 0.85,
}


def model(
    *, channels: int = 3, metric: str = "cosine", dim: int = DIM, seed: int = 0, base_mean: np.ndarray | None = None
) -> onnx.ModelProto:
    """The ONNX model. base_mean: `float32 [dim]`, subtracted before normalising."""
    rng = np.random.default_rng(seed)
    filters = 12
    weights = {
        "mean": np.full((1, channels, 1, 1), 120, np.float32),
        "scale": np.full((1, channels, 1, 1), 1 / 60, np.float32),
        "kernel": rng.standard_normal((filters, channels, 4, 4)).astype(np.float32) / 4,
        "bias": rng.standard_normal(filters).astype(np.float32) / 4,
        "projection": rng.standard_normal((filters * 16, dim)).astype(np.float32) / 14,
        "base_mean": np.zeros(dim, np.float32) if base_mean is None else base_mean.astype(np.float32),
        "axes": np.array([1], np.int64),
        "eps": np.array(1e-12, np.float32),
    }
    nodes = [
        helper.make_node("Cast", ["frames"], ["float"], to=TensorProto.FLOAT),
        helper.make_node("Transpose", ["float"], ["planes"], perm=[0, 3, 1, 2]),
        helper.make_node("Sub", ["planes", "mean"], ["centred"]),
        helper.make_node("Mul", ["centred", "scale"], ["scaled"]),
        helper.make_node("Conv", ["scaled", "kernel", "bias"], ["maps"], kernel_shape=[4, 4], strides=[4, 4]),
        helper.make_node("Relu", ["maps"], ["active"]),
        helper.make_node("AveragePool", ["active"], ["pooled"], kernel_shape=[2, 2], strides=[2, 2]),
        helper.make_node("Flatten", ["pooled"], ["flat"], axis=1),
        helper.make_node("Gemm", ["flat", "projection"], ["features"]),
        helper.make_node("Sub", ["features", "base_mean"], ["embeddings" if metric == "euclidean" else "z"]),
    ]
    if metric == "cosine":
        nodes += [
            helper.make_node("Mul", ["z", "z"], ["squares"]),
            helper.make_node("ReduceSum", ["squares", "axes"], ["sum"], keepdims=1),
            helper.make_node("Add", ["sum", "eps"], ["safe"]),
            helper.make_node("Sqrt", ["safe"], ["norm"]),
            helper.make_node("Div", ["z", "norm"], ["embeddings"]),
        ]
    used = {name for node in nodes for name in node.input}
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("frames", TensorProto.UINT8, ["n", SIDE, SIDE, channels])],
        [helper.make_tensor_value_info("embeddings", TensorProto.FLOAT, ["n", dim])],
        [numpy_helper.from_array(value, name) for name, value in weights.items() if name in used],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)


def reference(proto: onnx.ModelProto, inputs: np.ndarray) -> np.ndarray:
    """Embed `uint8 [N, H, W, C]` without any engine."""
    (embeddings,) = ReferenceEvaluator(proto).run(None, {"frames": inputs})
    return embeddings.astype(np.float32)


def cohort(dim: int = DIM) -> np.ndarray:
    """Directions that show no `pattern`: `float32 [32, dim]`, unit vectors."""
    rows = np.random.default_rng(0).standard_normal((32, dim)).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


@lru_cache
def bundle(
    *, channels: int = 3, metric: str = "cosine", dim: int = DIM, seed: int = 0, calibrated: bool = True
) -> Bundle:
    """A whole bundle around the model, in memory."""
    preprocess = Preprocess((SIDE, SIDE), channels=channels)
    golden = preprocess.batch([pattern(1000 + i) for i in range(6)])
    raw = reference(model(channels=channels, metric="euclidean", dim=dim, seed=seed), golden)
    proto = model(channels=channels, metric=metric, dim=dim, seed=seed, base_mean=raw.mean(axis=0))
    return Bundle.build(
        name=f"tiny-{channels}-{metric}-{dim}-{seed}",
        description="for tests",
        preprocess=preprocess,
        metric=metric,
        model=proto.SerializeToString(),
        golden_frames=golden,
        golden_embeddings=reference(proto, golden),
        calibration=CALIBRATION if calibrated and metric == "cosine" else None,
        cohort=cohort(dim) if calibrated and metric == "cosine" else None,
        provenance={"recipe": "tests/tiny_model.py"},
        extra={"MODEL_CARD.md": b"# tiny\n"},
    )


@lru_cache
def pattern(seed: int, height: int = 240, width: int = 320) -> np.ndarray:
    """An object: `uint8 [height, width, 3]` BGR, coarse coloured blobs with fine texture; no two seeds look alike."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (5, 5, 3)).astype(np.uint8)
    fine = rng.integers(0, 60, (height // 4, width // 4, 3)).astype(np.uint8)
    blobs = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    picture = cv2.add(blobs, cv2.resize(fine, (width, height), interpolation=cv2.INTER_NEAREST))
    picture.setflags(write=False)
    return picture


def views(seed: int, n: int, *, start: int = 0) -> list[np.ndarray]:
    """n different views of one object: turned, shifted and lit a little differently each time."""
    picture = pattern(seed)
    height, width = picture.shape[:2]
    frames = []
    for i in range(start, start + n):
        rng = np.random.default_rng([seed, i])
        turn = cv2.getRotationMatrix2D((width / 2, height / 2), rng.uniform(-8, 8), rng.uniform(0.95, 1.15))
        turn[:, 2] += rng.uniform(-10, 10, 2)
        turned = cv2.warpAffine(picture, turn, (width, height), borderMode=cv2.BORDER_REFLECT)
        frames.append(cv2.convertScaleAbs(turned, alpha=rng.uniform(0.85, 1.1), beta=rng.uniform(0, 10)))
    return frames
