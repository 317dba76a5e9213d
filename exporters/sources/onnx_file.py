"""Read an ONNX file of a user and find what it takes, or say why it cannot be an embedder."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import NamedTuple

import onnx
from onnx import version_converter
from onnx.external_data_helper import uses_external_data

from exporters.errors import ExportError, SourceError
from exporters.onnx.batch import fixed_batch, free_batch
from exporters.onnx.finish import MAX_OPSET, opset_of
from exporters.onnx.fold import folded
from exporters.sources.onnx_output import cut_at
from runtime.bundle.onnx_guard import check_onnx
from runtime.errors import BundleError, BundleUnsupported

OPSET = 18
MIN_IR_VERSION = 4  # in which weights need not be inputs
MIN_OPSET = 13  # from here to MAX_OPSET the operators of head and tail mean the same


class OnnxFile(NamedTuple):
    """What was read.

    Attributes:
        model: The graph to export: any batch size, operators that a device allows, an opset that head and tail share.
        reference: The graph as it was read, which states what the right answers are.
        batch: The batch size that the reference is fixed to; None if it takes any.
        digest: sha256 of the file.
    """

    model: onnx.ModelProto
    reference: onnx.ModelProto
    batch: int | None
    digest: str


def read_onnx(path: Path, output: str | None = None) -> OnnxFile:
    """Read a file and make it fit for export.

    Args:
        path: Of the file.
        output: The tensor or layer at which the graph ends; None means its own end.

    Raises:
        SourceError: The file cannot be read, converted, or used on a device.
    """
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
        opset = opset_of(model)
    except Exception as error:  # protobuf's DecodeError is no ValueError; StopIteration: no opset
        raise SourceError(f"{path} must be an ONNX file, but cannot be read ({error}); export it again") from error
    _take_weights_from_inputs(model)
    if output is not None:
        cut_at(model, output, path)
    reference = onnx.ModelProto()
    reference.CopyFrom(model)
    batch = fixed_batch(model)
    free_batch(model)
    model = _allowed(model, path)  # before onnx's converter, which would open external data
    if not MIN_OPSET <= opset <= MAX_OPSET:
        try:
            model = version_converter.convert_version(model, OPSET)
        except Exception as error:  # RuntimeError and onnx's own
            raise SourceError(
                f"{path} has opset {opset}, which must be {MIN_OPSET} to {MAX_OPSET} and cannot be converted "
                f"({error}); export it again with opset {OPSET}"
            ) from error
    return OnnxFile(model, reference, batch, hashlib.sha256(data).hexdigest())


def _take_weights_from_inputs(model: onnx.ModelProto) -> None:
    """Files of the format versions before 4 list their weights among the inputs, so that a caller can replace them."""
    inputs = inputs_of(model)
    if len(inputs) < len(model.graph.input):
        del model.graph.input[:]
        model.graph.input.extend(inputs)
        model.ir_version = max(model.ir_version, MIN_IR_VERSION)


def _allowed(model: onnx.ModelProto, path: Path) -> onnx.ModelProto:
    """Return a graph that a device accepts: itself, or what is left of it when its constants are computed."""
    try:
        check_onnx(model.SerializeToString(), str(path))
    except BundleUnsupported as error:
        if any(uses_external_data(tensor) for tensor in model.graph.initializer):
            raise SourceError(str(error)) from error
        try:
            model = folded(model)
            check_onnx(model.SerializeToString(), str(path))
        except (ExportError, BundleError) as still:
            raise SourceError(str(error if isinstance(still, ExportError) else still)) from still
    except BundleError as error:
        raise SourceError(str(error)) from error
    return model


def inputs_of(model: onnx.ModelProto) -> list[onnx.ValueInfoProto]:
    """Return the inputs that must be fed."""
    weights = {tensor.name for tensor in model.graph.initializer}
    return [value for value in model.graph.input if value.name not in weights]


def is_planar(value: onnx.ValueInfoProto) -> bool:
    """Return whether the input is NCHW. It is, unless only its last side can be the channels."""
    sides = _sides(value)
    return sides[1] in (1, 3) or sides[3] not in (1, 3)


def size_and_channels(value: onnx.ValueInfoProto, asked: int | None, path: Path) -> tuple[tuple[int, int], int]:
    """Return (height, width) and the number of channels, 1 or 3, of an input.

    Args:
        value: The input.
        asked: Pixels of a side, for a file that leaves the size open.
        path: Of the file, for messages.

    Raises:
        SourceError: The input is not a picture, its size is open, or `asked` contradicts it.
    """
    sides = _sides(value)
    channels = sides[1 if is_planar(value) else 3] if len(sides) == 4 else None
    if channels not in (1, 3):
        raise SourceError(
            f"the input of {path} must be [N, C, H, W] or [N, H, W, C] with 1 or 3 channels, but is {sides}; export it "
            "with its channels stated"
        )
    height, width = sides[2:] if is_planar(value) else sides[1:3]
    if asked and any(side not in (None, asked) for side in (height, width)):
        raise SourceError(f"{path} takes {height}×{width} pixels, which --size {asked} contradicts; leave out --size")
    if not asked and not (height and width):
        raise SourceError(f"{path} leaves the size of its input open ({sides}); state it with --size N")
    return (height or asked or 0, width or asked or 0), channels


def _sides(value: onnx.ValueInfoProto) -> list[int | None]:
    return [dim.dim_value or None for dim in value.type.tensor_type.shape.dim]
