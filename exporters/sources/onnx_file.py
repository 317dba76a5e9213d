"""Read an ONNX file of a user and find what it takes, or say why it cannot be an embedder."""

from __future__ import annotations

import hashlib
from pathlib import Path

import onnx
from onnx import helper, version_converter

from exporters.errors import SourceError
from exporters.onnx.finish import MAX_OPSET, opset_of
from runtime.bundle.onnx_guard import check_onnx
from runtime.errors import BundleError

OPSET = 18
MIN_OPSET = 13  # from here to MAX_OPSET the operators of head and tail mean the same


def read_onnx(path: Path) -> tuple[onnx.ModelProto, str]:
    """Return the model, converted to an opset from MIN_OPSET to MAX_OPSET if needed, and the sha256 of the file.

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


def inputs_of(model: onnx.ModelProto) -> list[onnx.ValueInfoProto]:
    """Return the inputs that must be fed: older files list their weights among the inputs too."""
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


def free_batch(model: onnx.ModelProto) -> None:
    """Make the batch size dynamic, in place. Whether the graph accepts any batch size is tested later."""
    for value in (*model.graph.input, *model.graph.output):
        if value.type.tensor_type.shape.dim:
            value.type.tensor_type.shape.dim[0].dim_param = "batch"
        else:  # an output without a stated shape
            value.CopyFrom(helper.make_tensor_value_info(value.name, value.type.tensor_type.elem_type, ["batch", None]))
    del model.graph.value_info[:]  # shapes with the old batch size


def _sides(value: onnx.ValueInfoProto) -> list[int | None]:
    return [dim.dim_value or None for dim in value.type.tensor_type.shape.dim]
