"""A user's own ONNX embedder: our head before it, our tail behind it, and a look at whether it embeds at all.

    frames uint8 [N, H, W, C] -> cast -> colour -> layout -> mean/std -> the user's graph -> float32 -> metric's tail

The reference is the user's file itself in ONNX Runtime, fed from numpy: independent of the surgery.
"""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, compose, helper, numpy_helper, version_converter

from exporters.errors import SourceError
from exporters.finish import MAX_OPSET, finish, session
from exporters.tail import EPS, finished
from runtime.errors import BundleError
from runtime.onnx_guard import check_onnx
from runtime.preprocess import Preprocess

OPSET = 18
MIN_OPSET = 13  # from here to 20 the operators of head and tail mean the same
COLOURS = ("rgb", "bgr", "grey")
FLOATS = {TensorProto.FLOAT: np.float32, TensorProto.FLOAT16: np.float16, TensorProto.UINT8: np.uint8}
CHUNK = 16
Steps = list[tuple[str, list[str], dict[str, Any]]]  # operator, further inputs, attributes


class OnnxSource:
    """Make one with `open_onnx`; see `exporters.source.Source` for what it answers."""

    centres = True

    def __init__(
        self, model: onnx.ModelProto, preprocess: Preprocess, mean: Sequence[float], std: Sequence[float], colour: str,
        metric: str, name: str, facts: Mapping[str, Any],
    ) -> None:  # fmt: skip
        self.name, self.preprocess, self.metric, self.facts = name, preprocess, metric, facts
        self.model, self.colour = model, colour
        self.base_mean: NDArray[np.float32] | None = None
        self.mean = np.asarray(255 * np.asarray(mean), np.float32)
        self.scale = np.asarray(1 / (255 * np.asarray(std)), np.float32)
        self.input = _inputs(model)[0]
        self.dtype = self.input.type.tensor_type.elem_type
        self.planar = _is_planar(self.input)
        self._session: Any = None

    def features(self, frames: NDArray[np.uint8]) -> NDArray[np.float32]:
        chunks = (self._pixels(frames[i : i + CHUNK]) for i in range(0, len(frames), CHUNK))
        try:
            self._session = self._session or session(self.model.SerializeToString())
            parts = [self._session.run(None, {self.input.name: pixels})[0] for pixels in chunks]
        except Exception as error:  # ONNX Runtime's own kinds
            raise SourceError(
                f"{self.name} must run on any number of frames {self.preprocess.shape}, but ONNX Runtime says: "
                f"{error}; export it with a dynamic batch, or choose another --size"
            ) from error
        return np.concatenate(parts).reshape(len(frames), -1).astype(np.float32)

    def _pixels(self, frames: NDArray[np.uint8]) -> NDArray[Any]:
        """What the user's file expects, by numpy."""
        pixels = frames.astype(np.float32)
        if self.colour == "rgb":
            pixels = pixels[..., ::-1]
        if self.dtype != TensorProto.UINT8:
            pixels = (pixels - self.mean) * self.scale
        if self.planar:
            pixels = pixels.transpose(0, 3, 1, 2)
        return np.ascontiguousarray(pixels, FLOATS[self.dtype])

    def embed(self, frames: NDArray[np.uint8]) -> NDArray[np.float32]:
        return finished(self.features(frames), self.metric, self.base_mean)

    def centred(self, base_mean: NDArray[np.float32]) -> OnnxSource:
        other = copy.copy(self)
        other.base_mean = base_mean
        return other

    def to_onnx(self, *, exporter: str = "dynamo", slim: bool = False) -> bytes:  # noqa: ARG002 - nothing to trace
        try:
            model = compose.merge_models(self._head(), self._named(), [("pixels", f"net/{self.input.name}")])
            model = compose.merge_models(model, self._tail(), [(model.graph.output[0].name, "raw")])
        except Exception as error:  # onnx's checker has its own kinds
            raise SourceError(
                f"{self.name} must be a valid ONNX graph, but onnx says: {error}; export it again"
            ) from error
        return finish(model, self.preprocess, self.metric, name=self.name, slim=slim)

    def layers(self, frame: NDArray[np.uint8]) -> dict[str, NDArray[Any]]:  # noqa: ARG002 - one piece
        return {}

    def _named(self) -> onnx.ModelProto:
        model = onnx.ModelProto()
        model.CopyFrom(self.model)
        return compose.add_prefix(model, "net/")

    def _head(self) -> onnx.ModelProto:
        steps: Steps = [("Cast", [], {"to": TensorProto.FLOAT})]
        constants: dict[str, NDArray[Any]] = {}
        if self.colour == "rgb":
            constants["reverse"] = np.array([2, 1, 0], np.int64)
            steps.append(("Gather", ["reverse"], {"axis": 3}))
        if self.dtype != TensorProto.UINT8:
            constants |= {"mean": self.mean, "scale": self.scale}
            steps += [("Sub", ["mean"], {}), ("Mul", ["scale"], {})]
        if self.planar:
            steps.append(("Transpose", [], {"perm": [0, 3, 1, 2]}))
        if self.dtype != TensorProto.FLOAT:
            steps.append(("Cast", [], {"to": self.dtype}))
        height, width, channels = self.preprocess.shape
        inside = ["batch", channels, height, width] if self.planar else ["batch", height, width, channels]
        return self._chain(
            "head", steps, constants,
            helper.make_tensor_value_info("frames", TensorProto.UINT8, ["batch", height, width, channels]),
            helper.make_tensor_value_info("pixels", self.dtype, inside),
        )  # fmt: skip

    def _tail(self) -> onnx.ModelProto:
        output = self.model.graph.output[0]
        kind = output.type.tensor_type.elem_type
        steps: Steps = [("Flatten", [], {"axis": 1}), ("Cast", [], {"to": TensorProto.FLOAT})]
        constants: dict[str, NDArray[Any]] = {}
        if self.metric == "cosine":
            if self.base_mean is not None:
                constants["base_mean"] = self.base_mean
                steps.append(("Sub", ["base_mean"], {}))
            steps.append(("L2", [], {}))
        return self._chain(
            "tail", steps, constants,
            helper.make_tensor_value_info("raw", kind, None),
            helper.make_tensor_value_info("embeddings", TensorProto.FLOAT, ["batch", None]),
        )  # fmt: skip

    def _chain(self, name: str, steps: Any, constants: Mapping[str, Any], source: Any, target: Any) -> onnx.ModelProto:
        """A graph that is one line of nodes; "L2" stands for x / sqrt(sum(x²) + eps), written out."""
        nodes, at = [], source.name
        constants = dict(constants)
        for i, (kind, more, attributes) in enumerate(steps):
            last = target.name if i == len(steps) - 1 else f"{name}.{i}"
            if kind == "L2":
                constants |= {"eps": np.float32(EPS).reshape(()), "axis": np.array([1], np.int64)}
                links = [
                    ("Mul", [at, at]),
                    ("ReduceSum", ["square", "axis"]),
                    ("Add", ["sum", "eps"]),
                    ("Sqrt", ["safe"]),
                ]
                for (step, inputs), out in zip(links, ("square", "sum", "safe", "norm"), strict=True):
                    nodes.append(helper.make_node(step, inputs, [out], f"edgefs/{step}"))
                nodes.append(helper.make_node("Div", [at, "norm"], [last], "edgefs/Div"))
            else:
                nodes.append(helper.make_node(kind, [at, *more], [last], f"edgefs/{name}/{kind}", **attributes))
            at = last
        tensors = [numpy_helper.from_array(np.asarray(value), key) for key, value in constants.items()]
        graph = helper.make_graph(nodes, name, [source], [target], tensors)
        return helper.make_model(graph, opset_imports=list(self.model.opset_import), ir_version=self.model.ir_version)


def open_onnx(
    path: str | Path,
    *,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    size: int | None = None,
    colour: str = "rgb",
    metric: str = "cosine",
    resampler: str = "half-area-linear",
) -> OnnxSource:
    """Read an ONNX file with one float (or uint8) input `[N, C, H, W]` or `[N, H, W, C]` and one output `[N, D]`.

    mean, std: of pixels in 0..1 in the network's channel order; not for a uint8 input, which gets the bytes.
    size: needed where the file leaves it open.  colour: what the network expects.
    Raises SourceError: external data, two outputs, a size that contradicts the file, an opset that cannot be converted.
    """
    path = Path(path)
    model, digest = _load(path)
    if len(_inputs(model)) != 1 or len(model.graph.output) != 1:
        names = [[value.name for value in values] for values in (_inputs(model), model.graph.output)]
        raise SourceError(
            f"{path} must have one input and one output, but has inputs {names[0]} and outputs {names[1]}; cut "
            "the graph at the embedding (onnx.utils.extract_model)"
        )
    given = _inputs(model)[0]
    if given.type.tensor_type.elem_type not in FLOATS:
        raise SourceError(f"the input {given.name} of {path} must be float32, float16 or uint8; export it again")
    is_bytes = given.type.tensor_type.elem_type == TensorProto.UINT8
    if is_bytes and (mean or std):
        raise SourceError(f"{path} takes uint8, so mean and std are its own affair; drop --mean and --std")
    if not is_bytes and not (mean and std):
        raise SourceError(
            f"{path} takes floats; say how it was trained: --mean and --std of pixels in 0..1 (0 and 1: none)"
        )
    preprocess = Preprocess(_size(given, size, path), _channels(given, path), resampler=resampler)
    values = [list(numbers or [fallback]) for numbers, fallback in ((mean, 0.0), (std, 1.0))]
    if any(len(numbers) not in (1, preprocess.channels) for numbers in values):
        raise SourceError(f"--mean and --std must have 1 or {preprocess.channels} numbers; give one per channel")
    if (colour == "grey") != (preprocess.channels == 1):
        raise SourceError(
            f"{path} takes {preprocess.channels} channels, which --colour {colour} does not fit; say what it expects"
        )
    _free_batch(model)
    facts = {"onnx": path.name, "onnx_sha256": digest, "mean": values[0], "std": values[1], "colour": colour}
    return OnnxSource(model, preprocess, values[0], values[1], colour, metric, path.stem, facts)


def _load(path: Path) -> tuple[onnx.ModelProto, str]:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise SourceError(f"--onnx must name a readable file, but {path}: {error.strerror}; check the path") from error
    try:
        model = onnx.load_from_string(data)
        if not model.graph.node:
            raise ValueError("it holds no graph")
        if model.functions:
            model = onnx.inliner.inline_local_functions(model)
        opset = next(entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx"))
    except Exception as error:  # protobuf's DecodeError is no ValueError; StopIteration: no opset
        raise SourceError(f"{path} must be an ONNX file, but cannot be read ({error}); export it again") from error
    try:
        check_onnx(model.SerializeToString(), str(path))  # before onnx's converter, which would open external data
    except BundleError as error:
        raise SourceError(str(error)) from error
    if not MIN_OPSET <= opset <= MAX_OPSET:
        try:
            model = version_converter.convert_version(model, OPSET)
        except Exception as error:  # RuntimeError and onnx's own
            raise SourceError(
                f"{path} has opset {opset}, which must be {MIN_OPSET} to {MAX_OPSET} and cannot be converted "
                f"({error}); export it again with opset {OPSET}"
            ) from error
    return model, hashlib.sha256(data).hexdigest()


def _inputs(model: onnx.ModelProto) -> list[onnx.ValueInfoProto]:
    weights = {tensor.name for tensor in model.graph.initializer}
    return [value for value in model.graph.input if value.name not in weights]


def _sides(value: onnx.ValueInfoProto) -> list[int | None]:
    return [dim.dim_value or None for dim in value.type.tensor_type.shape.dim]


def _is_planar(value: onnx.ValueInfoProto) -> bool:
    """NCHW, unless only the last side looks like channels."""
    sides = _sides(value)
    return sides[1] in (1, 3) or sides[3] not in (1, 3)


def _channels(value: onnx.ValueInfoProto, path: Path) -> int:
    sides = _sides(value)
    found = sides[1 if _is_planar(value) else 3] if len(sides) == 4 else None
    if found not in (1, 3):
        raise SourceError(
            f"the input of {path} must be [N, C, H, W] or [N, H, W, C] with 1 or 3 channels, but is {sides}; export it "
            "with its channels stated"
        )
    return found


def _size(value: onnx.ValueInfoProto, asked: int | None, path: Path) -> tuple[int, int]:
    sides = _sides(value)
    if len(sides) != 4:
        raise SourceError(f"the input of {path} must be [N, C, H, W] or [N, H, W, C], but is {sides}; export it so")
    height, width = sides[2:] if _is_planar(value) else sides[1:3]
    if asked and any(side not in (None, asked) for side in (height, width)):
        raise SourceError(f"{path} takes {height}×{width} pixels, which --size {asked} contradicts; leave --size away")
    if not asked and not (height and width):
        raise SourceError(f"{path} leaves the size of its input open ({sides}); say it with --size N")
    return (height or asked or 0, width or asked or 0)


def _free_batch(model: onnx.ModelProto) -> None:
    """Make the batch a free dimension; whether the graph really takes any is tried later."""
    for value in (*model.graph.input, *model.graph.output):
        if value.type.tensor_type.shape.dim:
            value.type.tensor_type.shape.dim[0].dim_param = "batch"
        else:  # an output whose shape nobody stated
            value.CopyFrom(helper.make_tensor_value_info(value.name, value.type.tensor_type.elem_type, ["batch", None]))
    del model.graph.value_info[:]  # shapes with the old batch
