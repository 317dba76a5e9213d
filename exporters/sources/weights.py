"""Weights from a file into a network, or the first key that does not fit. Nothing in the file is executed."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from exporters.errors import SourceError, ToolMissing


def load_weights(network: nn.Module, path: str | Path, *, ignore: tuple[str, ...] = ()) -> dict[str, Any]:
    """Load a .safetensors file or a .pth state dict; float16 becomes float32. Returns facts for the provenance.

    ignore: beginnings of keys that may be in the file without being in the network, such as the head that was cut off.
    Raises SourceError naming the first key that is missing, unexpected or of another shape.
    """
    path = Path(path)
    state = {key.removeprefix("module."): tensor for key, tensor in _read(path).items()}
    expected = network.state_dict()
    for key, tensor in expected.items():
        if key not in state and not key.endswith("num_batches_tracked"):
            raise SourceError(_mismatch(path, network, f"{key} {tuple(tensor.shape)} is not in the file"))
        if key in state and state[key].shape != tensor.shape:
            found = tuple(state[key].shape)
            raise SourceError(_mismatch(path, network, f"{key} is {found} where {tuple(tensor.shape)} is due"))
    for key in state:
        if key not in expected and not key.startswith(ignore):
            raise SourceError(_mismatch(path, network, f"the file's {key} has no place in the network"))
    floats = {key: tensor.float() if tensor.is_floating_point() else tensor for key, tensor in state.items()}
    network.load_state_dict({key: floats[key] for key in expected if key in floats}, strict=False)
    return {"weights": path.name, "weights_sha256": hashlib.sha256(path.read_bytes()).hexdigest()}


def _mismatch(path: Path, network: nn.Module, what: str) -> str:
    return f"{path} must hold the weights of {type(network).__name__}, but {what}; check --backbone and --weights"


def _read(path: Path) -> Mapping[str, Tensor]:
    if not path.is_file():
        raise SourceError(f"--weights must be a file, DEFAULT or none, but {path} is not there; check the path")
    if path.suffix == ".safetensors":
        try:
            from safetensors.torch import load_file
        except ImportError as error:
            raise ToolMissing(f"{path} needs safetensors, but {error}; do: pip install 'edgefs[export]'") from error
        reader: Any = load_file
    else:
        reader = _torch_load
    try:
        state = reader(path)
    except Exception as error:  # both libraries raise several kinds of their own
        raise SourceError(
            f"{path} must be a .safetensors or a .pth of plain tensors, but cannot be read: {error}; save its "
            "state_dict again"
        ) from error
    if not isinstance(state, Mapping) or not all(isinstance(tensor, Tensor) for tensor in state.values()):
        raise SourceError(
            f"{path} must hold a state_dict, a table of tensors, but holds something else; save only that"
        )
    return state


def _torch_load(path: Path) -> Any:
    state = torch.load(path, map_location="cpu", weights_only=True)  # never a pickle's code
    return state.get("state_dict", state) if isinstance(state, Mapping) else state
