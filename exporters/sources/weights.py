"""Load weights from a file into a network, or name the first key that does not fit. Nothing in the file is executed."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from exporters.errors import SourceError
from exporters.sources.layouts import adopt_epsilon, layout_hint, translated
from exporters.tools import load_tool

# Beginnings that a wrapper adds to every key: DataParallel, torch.compile, Lightning.
PREFIXES = ("module.", "_orig_mod.", "model.")
# Tables inside a training checkpoint, the first that is found; EMA weights only when asked for.
TABLES = ("state_dict", "model_state_dict", "model")
EMA_TABLES = ("model_ema", "state_dict_ema", "ema_state_dict", "ema")


def load_weights(network: nn.Module, path: str | Path, *, ignore: tuple[str, ...] = ()) -> dict[str, Any]:
    """Load a .safetensors file or a .pth state dict; float16 becomes float32.

    Args:
        network: The network, which is changed in place.
        path: The file; "FILE@ema" takes the moving average of the weights from a training checkpoint.
        ignore: Beginnings of keys that may be in the file but not in the network, such as a head that was cut off.

    Returns:
        The file's name and sha256, for the provenance.

    Raises:
        SourceError: A key is missing, unexpected or of another shape; the message names the first one.
    """
    path, ema = split_ema(path)
    expected = network.state_dict()
    given = without_prefixes(read_weights(path, ema=ema), expected)
    state = translated(given, expected)
    strange = [key for key in state if key not in expected and not key.startswith(ignore)]
    hint = _first(strange) + layout_hint(state, expected)
    for key, tensor in expected.items():
        if key not in state and not key.endswith("num_batches_tracked"):
            raise SourceError(_mismatch(path, network, f"{key} {tuple(tensor.shape)} is not in the file", hint))
        if key in state and state[key].shape != tensor.shape:
            found = tuple(state[key].shape)
            raise SourceError(_mismatch(path, network, f"{key} is {found} where {tuple(tensor.shape)} is needed", hint))
    if strange:
        raise SourceError(_mismatch(path, network, f"the file's {strange[0]} has no place in the network", hint))
    floats = {key: tensor.float() if tensor.is_floating_point() else tensor for key, tensor in state.items()}
    expected.update((key, floats[key]) for key in list(expected) if key in floats)  # it carries the versions of layers
    network.load_state_dict(expected)
    adopt_epsilon(network, given)
    return {"weights": path.name, "weights_sha256": hashlib.sha256(path.read_bytes()).hexdigest()}


def _mismatch(path: Path, network: nn.Module, what: str, hint: str) -> str:
    advice = f"check --backbone and --weights.{hint}"
    return f"{path} must hold the weights of {type(network).__name__}, but {what}; {advice}"


def _first(strange: list[str], count: int = 3) -> str:
    """Return the first keys of a file that have no place in the network, as a sentence, or ""."""
    return f" The first names without a place are {', '.join(strange[:count])}." if strange else ""


def split_ema(path: str | Path) -> tuple[Path, bool]:
    """Split "FILE@ema" into the file and whether its moving average is asked for."""
    text = str(path)
    return Path(text.removesuffix("@ema")), text.endswith("@ema")


def without_prefixes(state: Mapping[str, Tensor], expected: Collection[str]) -> dict[str, Tensor]:
    """Take away the prefixes that wrappers added to all keys of a state, unless the network's own keys have them."""
    found = dict(state)
    while prefix := next((each for each in PREFIXES if _is_added(each, found, expected)), None):
        found = {key.removeprefix(prefix): tensor for key, tensor in found.items() if key.startswith(prefix)}
    return found


def _is_added(prefix: str, state: Mapping[str, Tensor], expected: Collection[str]) -> bool:
    """Whether keys with a prefix fit only without it; a loss beside "model." may have keys of its own."""
    keys = [key for key in state if key.startswith(prefix)]
    own = any(key.startswith(prefix) for key in expected)
    return bool(keys) and not own and not any(key in expected for key in state)


def read_weights(path: Path, *, ema: bool = False) -> Mapping[str, Tensor]:
    """Read a table of tensors from a .safetensors or .pth file, executing nothing in it.

    Args:
        path: The file.
        ema: Whether to take the moving average of the weights from a training checkpoint.

    Raises:
        SourceError: There is no file, or it holds something else.
    """
    if not path.is_file():
        raise SourceError(f"--weights must be a file, DEFAULT or none, but {path} is not there; check the path")
    if path.suffix == ".safetensors":
        reader: Any = load_tool("safetensors.torch", str(path)).load_file
    else:
        reader = _torch_load
    try:
        state = _table(reader(path), path, ema=ema)
    except SourceError:
        raise
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
    return torch.load(path, map_location="cpu", weights_only=True)  # never a pickle's code


def _table(checkpoint: Any, path: Path, *, ema: bool) -> Any:
    """Return the table of weights inside a training checkpoint, or the checkpoint itself if it is that table."""
    tables = (
        [key for key, value in checkpoint.items() if isinstance(value, Mapping)]
        if isinstance(checkpoint, Mapping)
        else []
    )
    wanted = EMA_TABLES if ema else TABLES
    chosen = next((key for key in wanted if key in tables), None)
    if chosen is not None:
        return checkpoint[chosen]
    if ema:
        raise SourceError(
            f"{path} must hold a moving average under one of {', '.join(EMA_TABLES)}, but holds "
            f"{', '.join(tables) or 'one table of weights'}; leave out @ema"
        )
    return checkpoint
