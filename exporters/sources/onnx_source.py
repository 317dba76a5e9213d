"""A user's own ONNX embedder as the source of an export: our head is put before it and our tail behind it.

    frames uint8 [N, H, W, C] -> cast -> colour -> layout -> mean/std -> the user's graph -> float32 -> pool -> metric

The reference is the user's file itself in ONNX Runtime, fed from numpy, so it does not depend on the changed graph.
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
from exporters.frames import in_batches
from exporters.onnx.finish import finish, opset_of
from exporters.onnx.session import open_session
from exporters.onnx.tail import apply_metric
from exporters.sources.onnx_chain import OnnxChain
from exporters.sources.onnx_contract import contract_of
from exporters.sources.onnx_file import OnnxFile, inputs_of, is_planar, read_onnx, size_and_channels
from exporters.sources.onnx_output import check_end
from exporters.sources.onnx_pool import append_pool, pooled
from runtime.preprocess import Preprocess

FLOATS = {TensorProto.FLOAT: np.float32, TensorProto.FLOAT16: np.float16, TensorProto.UINT8: np.uint8}


class OnnxSource:
    """A source that is an ONNX file. Use `open_onnx`; see `exporters.sources.source.Source` for the methods."""

    centres = True

    def __init__(
        self, file: OnnxFile, preprocess: Preprocess, mean: Sequence[float], std: Sequence[float], colour: str,
        metric: str, name: str, facts: Mapping[str, Any], pool: str | None = None,
    ) -> None:  # fmt: skip
        self.name, self.preprocess, self.metric, self.facts = name, preprocess, metric, facts
        self.file, self.model, self.colour, self.pool = file, file.model, colour, pool
        self.base_mean: NDArray[np.float32] | None = None
        self.mean = np.asarray(255 * np.asarray(mean), np.float32)
        self.scale = np.asarray(1 / (255 * np.asarray(std)), np.float32)
        self.input = inputs_of(file.model)[0]
        self.dtype = self.input.type.tensor_type.elem_type
        self.planar = is_planar(self.input)
        self.rank = 2  # of the output
        self._session: Any = None

    def features(self, frames: NDArray[np.uint8]) -> NDArray[np.float32]:
        rows = pooled(self.outputs(frames), self.pool, planar=self.planar)
        return rows.reshape(len(frames), -1).astype(np.float32)

    def outputs(self, frames: NDArray[np.uint8]) -> NDArray[Any]:
        """Return what the user's file answers, `[N, ...]`. Raises SourceError."""
        batch = self.file.batch
        try:
            self._session = self._session or open_session(self.file.reference.SerializeToString())
            rows = in_batches(self._run, frames) if batch is None else self._run_in_fixed_batches(frames, batch)
            if len(rows) != len(frames):
                raise ValueError(f"{len(frames)} frames give {len(rows)} rows")
        except Exception as error:  # ONNX Runtime's own kinds
            raise SourceError(
                f"{self.name} must run on any number of frames {self.preprocess.shape}, but ONNX Runtime says: "
                f"{error}; export it with a dynamic batch, or choose another --size"
            ) from error
        return rows

    def _run(self, frames: NDArray[np.uint8]) -> NDArray[Any]:
        rows: NDArray[Any] = self._session.run(None, {self.input.name: self._pixels(frames)})[0]
        return rows

    def _run_in_fixed_batches(self, frames: NDArray[np.uint8], batch: int) -> NDArray[Any]:
        """Fill the last batch with copies of the last frame."""
        missing = -len(frames) % batch
        filled = np.concatenate([frames, np.repeat(frames[-1:], missing, axis=0)])
        rows = np.concatenate([self._run(filled[i : i + batch]) for i in range(0, len(filled), batch)])
        return rows[: len(frames)]

    def _pixels(self, frames: NDArray[np.uint8]) -> NDArray[Any]:
        """Prepare with numpy what the user's file expects."""
        pixels = frames.astype(np.float32)
        if self.colour == "rgb":
            pixels = pixels[..., ::-1]
        if self.dtype != TensorProto.UINT8:
            pixels = (pixels - self.mean) * self.scale
        if self.planar:
            pixels = pixels.transpose(0, 3, 1, 2)
        return np.ascontiguousarray(pixels, FLOATS[self.dtype])

    def embed(self, frames: NDArray[np.uint8]) -> NDArray[np.float32]:
        return apply_metric(self.features(frames), self.metric, self.base_mean)

    def centred(self, base_mean: NDArray[np.float32]) -> OnnxSource:
        other = copy.copy(self)
        other.base_mean = base_mean
        return other

    def to_onnx(self, *, exporter: str = "dynamo", slim: bool = False) -> bytes:  # noqa: ARG002 - nothing to trace
        network = onnx.ModelProto()
        network.CopyFrom(self.model)
        try:
            network = compose.add_prefix(network, "net/")
            model = compose.merge_models(self._head(), network, [("pixels", f"net/{self.input.name}")])
            model = compose.merge_models(model, self._tail(), [(model.graph.output[0].name, "raw")])
            # Merging repeats the same opset entry per part, and ONNX Runtime's quantiser accepts exactly one.
            opset = opset_of(model)
            del model.opset_import[:]
            model.opset_import.append(helper.make_opsetid("", opset))
        except Exception as error:  # onnx's checker has its own kinds
            raise SourceError(
                f"{self.name} must be a valid ONNX graph, but onnx says: {error}; export it again"
            ) from error
        return finish(model, self.preprocess, self.metric, name=self.name, slim=slim)

    def layers(self, frame: NDArray[np.uint8]) -> dict[str, NDArray[Any]]:  # noqa: ARG002 - a file has no modules
        return {}

    def _head(self) -> onnx.ModelProto:
        height, width, channels = self.preprocess.shape
        sides = ["batch", height, width, channels]
        chain = OnnxChain("head", helper.make_tensor_value_info("frames", TensorProto.UINT8, sides))
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
        chain = OnnxChain("tail", helper.make_tensor_value_info("raw", kind, None))
        chain.then("Cast", to=TensorProto.FLOAT)
        append_pool(chain, self.pool, self.rank, planar=self.planar)
        chain.then("Flatten", axis=1)
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
    output: str | None = None,
    pool: str | None = None,
    crop: str | None = None,
    resampler: str = "half-area-linear",
) -> OnnxSource:
    """Open an ONNX file as an embedder.

    A file that edgefs wrote, such as the model.onnx of a bundle, brings its own contract: `colour`, `metric` and
    `resampler` are then those of its bundle.

    Args:
        path: A file with one input `[N, C, H, W]` or `[N, H, W, C]` of float32, float16 or uint8, and one output
            `[N, D]`.
        mean: Mean of the pixels in 0..1, one number or one per channel in the network's channel order; required for a
            float input. A uint8 input receives the pixels unchanged.
        std: Standard deviation of the pixels, likewise.
        size: Pixels of a side, for a file that leaves its input size open.
        colour: What the network expects: "rgb", "bgr" or "grey".
        metric: "cosine" or "euclidean".
        output: The tensor or layer at which the file ends; None means its only output.
        pool: How a map or tokens become one vector: "mean", "gem" or "cls"; see `exporters.sources.onnx_pool`.
        crop: What is used of a frame, see `runtime.preprocess.Preprocess`; None means the centred square for a square
            input, and the whole frame for any other.
        resampler: How frames are resized; see `runtime.preprocess.Preprocess`.

    Raises:
        SourceError: The file cannot be an embedder: external data, several outputs, class scores, a map without
            `pool`, a size that contradicts the file, an opset that cannot be converted.
    """
    path = Path(path)
    file = read_onnx(path, output)
    model = file.model
    if len(inputs_of(model)) != 1 or len(model.graph.output) != 1:
        names = [[value.name for value in values] for values in (inputs_of(model), model.graph.output)]
        raise SourceError(
            f"{path} must have one input and one output, but has inputs {names[0]} and outputs {names[1]}; name "
            "the embedding with --output NAME"
        )
    if known := contract_of(model, path, file.digest):
        return _own_file(file, path, *known, others=(mean, std, size, crop, output, pool))
    given = inputs_of(model)[0]
    if given.type.tensor_type.elem_type not in FLOATS:
        raise SourceError(f"the input {given.name} of {path} must be float32, float16 or uint8; export it again")
    is_bytes = given.type.tensor_type.elem_type == TensorProto.UINT8
    if is_bytes and (mean or std):
        raise SourceError(
            f"{path} takes uint8, so the normalisation must already be inside the model; drop --mean and --std"
        )
    if not is_bytes and not (mean and std):
        raise SourceError(
            f"{path} takes floats, so its normalisation must be given: --mean and --std of the pixels in 0..1 "
            "(--mean 0 --std 1 for none)"
        )
    sides, channels = size_and_channels(given, size, path)
    crop = crop or ("square" if sides[0] == sides[1] else "stretch")
    preprocess = Preprocess(sides, channels, crop, resampler)
    values = [list(numbers or [fallback]) for numbers, fallback in ((mean, 0.0), (std, 1.0))]
    if any(len(numbers) not in (1, preprocess.channels) for numbers in values):
        raise SourceError(f"--mean and --std must have 1 or {preprocess.channels} numbers; give one per channel")
    if (colour == "grey") != (preprocess.channels == 1):
        raise SourceError(
            f"{path} takes {preprocess.channels} channels, which --colour {colour} does not fit; say what it expects"
        )
    facts = {
        "onnx": path.name, "onnx_sha256": file.digest, "mean": values[0], "std": values[1], "colour": colour,
        "output": output, "pool": pool,
    }  # fmt: skip
    source = OnnxSource(file, preprocess, values[0], values[1], colour, metric, path.stem, facts, pool)
    shape = source.outputs(np.zeros((1, *preprocess.shape), np.uint8)).shape
    check_end(model, shape, path, pool=pool, chosen=output is not None)
    source.rank = len(shape)
    return source


def _own_file(
    file: OnnxFile, path: Path, preprocess: Preprocess, metric: str, *, others: Sequence[object]
) -> OnnxSource:
    """Open a file that edgefs wrote. It normalises, and was centred if it ever will be, inside its graph."""
    if any(option is not None for option in others):
        raise SourceError(
            f"{path} was written by edgefs and contains its own normalisation, size and embedding; leave out --mean, "
            "--std, --size, --crop, --output and --pool"
        )
    colour = "grey" if preprocess.channels == 1 else "bgr"
    facts = {"onnx": path.name, "onnx_sha256": file.digest, "colour": colour, "contract": "edgefs"}
    source = OnnxSource(file, preprocess, [0.0], [1.0], colour, metric, path.stem, facts)
    source.centres = False
    return source
