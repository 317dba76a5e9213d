"""Load weights from a file into a network, or name the first key that does not fit. Nothing in the file is executed."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from exporters.errors import SourceError
from exporters.tools import load_tool


def load_weights(network: nn.Module, path: str | Path, *, ignore: tuple[str, ...] = ()) -> dict[str, Any]:
    """Load a .safetensors file or a .pth state dict; float16 becomes float32.

    Args:
        network: The network, which is changed in place.
        path: The file.
        ignore: Beginnings of keys that may be in the file but not in the network, such as a head that was cut off.

    Returns:
        The file's name and sha256, for the provenance.

    Raises:
        SourceError: A key is missing, unexpected or of another shape; the message names the first one.
    """
    path = Path(path)
    state = {key.removeprefix("module."): tensor for key, tensor in read_weights(path).items()}
    expected = network.state_dict()
    for key, tensor in expected.items():
        if key not in state and not key.endswith("num_batches_tracked"):
            raise SourceError(_mismatch(path, network, f"{key} {tuple(tensor.shape)} is not in the file"))
        if key in state and state[key].shape != tensor.shape:
            found = tuple(state[key].shape)
            raise SourceError(_mismatch(path, network, f"{key} is {found} where {tuple(tensor.shape)} is needed"))
    for key in state:
        if key not in expected and not key.startswith(ignore):
            raise SourceError(_mismatch(path, network, f"the file's {key} has no place in the network"))
    floats = {key: tensor.float() if tensor.is_floating_point() else tensor for key, tensor in state.items()}
    network.load_state_dict({key: floats[key] for key in expected if key in floats}, strict=False)
    return {"weights": path.name, "weights_sha256": hashlib.sha256(path.read_bytes()).hexdigest()}


def _mismatch(path: Path, network: nn.Module, what: str) -> str:
    return f"{path} must hold the weights of {type(network).__name__}, but {what}; check --backbone and --weights"


def read_weights(path: Path) -> Mapping[str, Tensor]:
    """Read a table of tensors from a .safetensors or .pth file, executing nothing in it. Raises SourceError."""
    if not path.is_file():
        raise SourceError(f"--weights must be a file, DEFAULT or none, but {path} is not there; check the path")
    if path.suffix == ".safetensors":
        reader: Any = load_tool("safetensors.torch", str(path)).load_file
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
