"""A user's own ONNX embedder: our head before it, our tail behind it, and a look at whether it embeds at all.

    frames uint8 [N, H, W, C] -> cast -> colour -> layout -> mean/std -> the user's graph -> float32 -> metric's tail

The reference is the user's file itself in ONNX Runtime, fed from numpy: independent of the surgery.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, compose, helper

from exporters.errors import SourceError
from exporters.onnx.finish import finish, session
from exporters.onnx.tail import finished
from exporters.sources.onnx_chain import Chain
from exporters.sources.onnx_file import channels_of, free_batch, inputs_of, is_planar, read_onnx, size_of
from runtime.preprocess import Preprocess

FLOATS = {TensorProto.FLOAT: np.float32, TensorProto.FLOAT16: np.float16, TensorProto.UINT8: np.uint8}
CHUNK = 16


class OnnxSource:
    """Make one with `open_onnx`; see `exporters.sources.source.Source` for what it answers."""

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
        self.input = inputs_of(model)[0]
        self.dtype = self.input.type.tensor_type.elem_type
        self.planar = is_planar(self.input)
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
            # one entry per part, all the same; ONNX Runtime's quantiser wants exactly one
            opset = next(entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx"))
            del model.opset_import[:]
            model.opset_import.append(helper.make_opsetid("", opset))
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
        height, width, channels = self.preprocess.shape
        sides = ["batch", height, width, channels]
        chain = Chain("head", helper.make_tensor_value_info("frames", TensorProto.UINT8, sides))
        chain.then("Cast", to=TensorProto.FLOAT)
        if self.colour == "rgb":
            chain.then("Gather", np.array([2, 1, 0], np.int64), axis=3)
        if self.dtype != TensorProto.UINT8:
            chain.then("Sub", self.mean)
            chain.then("Mul", self.scale)
        if self.planar:
            chain.then("Transpose", perm=[0, 3, 1, 2])
            sides = ["batch", channels, height, width]
        if self.dtype != TensorProto.FLOAT:
            chain.then("Cast", to=self.dtype)
        return chain.model(helper.make_tensor_value_info("pixels", self.dtype, sides), like=self.model)

    def _tail(self) -> onnx.ModelProto:
        kind = self.model.graph.output[0].type.tensor_type.elem_type
        chain = Chain("tail", helper.make_tensor_value_info("raw", kind, None))
        chain.then("Flatten", axis=1)
        chain.then("Cast", to=TensorProto.FLOAT)
        if self.metric == "cosine":
            if self.base_mean is not None:
                chain.then("Sub", self.base_mean)
            chain.normalise()
        ends = helper.make_tensor_value_info("embeddings", TensorProto.FLOAT, ["batch", None])
        return chain.model(ends, like=self.model)


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
    model, digest = read_onnx(path)
    if len(inputs_of(model)) != 1 or len(model.graph.output) != 1:
        names = [[value.name for value in values] for values in (inputs_of(model), model.graph.output)]
        raise SourceError(
            f"{path} must have one input and one output, but has inputs {names[0]} and outputs {names[1]}; cut "
            "the graph at the embedding (onnx.utils.extract_model)"
        )
    given = inputs_of(model)[0]
    if given.type.tensor_type.elem_type not in FLOATS:
        raise SourceError(f"the input {given.name} of {path} must be float32, float16 or uint8; export it again")
    is_bytes = given.type.tensor_type.elem_type == TensorProto.UINT8
    if is_bytes and (mean or std):
        raise SourceError(f"{path} takes uint8, so mean and std are its own affair; drop --mean and --std")
    if not is_bytes and not (mean and std):
        raise SourceError(
            f"{path} takes floats; say how it was trained: --mean and --std of pixels in 0..1 (0 and 1: none)"
        )
    preprocess = Preprocess(size_of(given, size, path), channels_of(given, path), resampler=resampler)
    values = [list(numbers or [fallback]) for numbers, fallback in ((mean, 0.0), (std, 1.0))]
    if any(len(numbers) not in (1, preprocess.channels) for numbers in values):
        raise SourceError(f"--mean and --std must have 1 or {preprocess.channels} numbers; give one per channel")
    if (colour == "grey") != (preprocess.channels == 1):
        raise SourceError(
            f"{path} takes {preprocess.channels} channels, which --colour {colour} does not fit; say what it expects"
        )
    free_batch(model)
    facts = {"onnx": path.name, "onnx_sha256": digest, "mean": values[0], "std": values[1], "colour": colour}
    return OnnxSource(model, preprocess, values[0], values[1], colour, metric, path.stem, facts)
