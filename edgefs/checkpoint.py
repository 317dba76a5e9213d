"""Checkpoints: a trained network in one file, and the state of a run in another.

NAME.safetensors   the weights, and in the header a JSON card with everything that is needed to rebuild the network and
                   to feed it: config, input contract, measured figures, and a sha256 of the weights, because a flipped
                   bit would load silently. It holds no pickle.
state.pt           what a resumed run needs to continue bit by bit: weights, optimiser, random state, position. It is
                   read with `weights_only=True`: tensors, numbers and strings, which cannot run code.

Both are written beside their place and renamed, so that no half file is ever found.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from edgefs.data import DataSpec, spec_of
from edgefs.errors import CheckpointError, CheckpointMissing, ConfigError
from edgefs.methods import METHODS
from edgefs.methods.options import Config
from edgefs.networks import build
from runtime.durable import write_file
from runtime.errors import BundleCorrupt
from runtime.preprocess import Preprocess

FORMAT, VERSION = "edgefs-checkpoint", 1
BASE_MEAN = "base_mean"  # mean feature of the training classes, float32 [D]


@dataclass(frozen=True)
class Checkpoint:
    """A trained network.

    Attributes:
        method: The network with its weights, in evaluation mode.
        config: The config it was trained with.
        spec: How images are prepared for it.
        base_mean: Mean feature `float32 [D]` of the training images.
        card: What the file says about itself.
    """

    method: Any
    config: Any
    spec: DataSpec
    base_mean: Tensor | None
    card: Mapping[str, Any]


def new_method(config: Config, spec: DataSpec, *, workers: int = 1) -> Any:
    """The network of a config with random weights."""
    backbone = build(config.backbone, channels=spec.preprocess.channels, size=min(spec.preprocess.size))  # type: ignore[attr-defined]
    return config.build(backbone, workers=workers)


def save_checkpoint(
    path: str | Path,
    method: torch.nn.Module,
    config: Any,
    spec: DataSpec,
    *,
    base_mean: Tensor | None = None,
    figures: Mapping[str, Any] | None = None,
    half: bool = False,
) -> Path:
    """Write a network.

    Args:
        base_mean: Mean feature `float32 [D]` of the training images.
        figures: What was measured, for the card.
        half: Store the weights as float16: half the size, with the same measured accuracy.
    """
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in method.state_dict().items()}
    if base_mean is not None:
        tensors[BASE_MEAN] = base_mean.detach().cpu().contiguous()
    if half:
        tensors = {name: tensor.half() if tensor.dtype == torch.float32 else tensor for name, tensor in tensors.items()}
    card = {
        "format": FORMAT,
        "version": VERSION,
        "config": config.public().to_json(),  # no paths of the training machine
        "input": {
            "preprocess": spec.preprocess.to_json(),
            "colour": "grey" if spec.preprocess.channels == 1 else "rgb",
            "mean": list(spec.mean),
            "std": list(spec.std),
        },
        "figures": dict(figures or {}),
        "sha256": _digest(tensors),
        "torch": torch.__version__,
    }
    write_file(Path(path), save(tensors, {"edgefs": json.dumps(card)}))
    return Path(path)


def load_checkpoint(path: str | Path, *, workers: int = 1) -> Checkpoint:
    """Rebuild the network that `save_checkpoint` wrote.

    Args:
        workers: Tasks that a method which adapts works on at once.

    Raises:
        CheckpointMissing: No file is there.
        CheckpointError: The file is no checkpoint, is damaged, of a newer format, or of another network.
    """
    tensors, card = _read(Path(path))
    try:
        kind = METHODS[card["config"]["method"]]
        known = {each.name for each in fields(kind)}  # older cards also have options of other methods
        config: Any = kind(**{name: value for name, value in card["config"].items() if name in known})
        facts = card["input"]
        preprocess = Preprocess.from_json(facts["preprocess"])
        spec = replace(
            spec_of(getattr(config, "data", "folder")),
            preprocess=preprocess,
            mean=tuple(facts["mean"]),
            std=tuple(facts["std"]),
        )
    except (KeyError, TypeError, ConfigError, BundleCorrupt) as error:
        raise CheckpointError(
            f"{path} must have a sound card, but: {error}; it needs the edgefs that wrote it"
        ) from error
    method = new_method(config, spec, workers=workers)
    base_mean = tensors.pop(BASE_MEAN, None)
    load_weights(method, tensors, f"{path} ({config.method}, {config.backbone})")
    return Checkpoint(method.eval(), config, spec, None if base_mean is None else base_mean.float(), card)


def load_weights(method: torch.nn.Module, tensors: Mapping[str, Tensor], where: str) -> None:
    """Fill a network with weights. Raises CheckpointError naming those that do not fit."""
    try:
        method.load_state_dict(tensors)
    except RuntimeError as error:
        wrong = "; ".join(line.strip() for line in str(error).splitlines()[1:4])
        raise CheckpointError(
            f"{where} must hold the weights of a {type(method).__name__} as configured, but they do not fit ({wrong}); "
            "it is of another architecture: use its own config"
        ) from error


def save_state(path: Path, state: Mapping[str, Any]) -> None:
    """Write the state of a run."""
    data = io.BytesIO()
    torch.save(dict(state), data)
    write_file(path, data.getbuffer())


def load_state(path: Path) -> dict[str, Any]:
    """Read the state of a run. Raises CheckpointMissing or CheckpointError."""
    if not path.is_file():
        raise CheckpointMissing(f"{path} must be there to resume, but is not; start without --resume")
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # zip, pickle and torch each have their own kind
        raise CheckpointError(
            f"{path} must be the state of a run, but cannot be read ({error}); start without --resume"
        ) from error
    if not isinstance(state, dict) or state.get("version") != VERSION:
        raise CheckpointError(
            f"{path} must be of format {VERSION}, but is of another; resume with the edgefs that wrote it"
        )
    return state


def _read(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    if not path.is_file():
        raise CheckpointMissing(f"{path} must be a checkpoint file, but nothing is there; check the path")
    try:
        with safe_open(str(path), framework="pt") as file:
            card = json.loads((file.metadata() or {})["edgefs"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
    except (SafetensorError, KeyError, ValueError, OSError) as error:
        raise CheckpointError(f"{path} must be a checkpoint of edgefs, but is not or is damaged: {error}") from error
    if card.get("format") != FORMAT or card.get("version", 0) > VERSION:
        raise CheckpointError(
            f"{path} must be {FORMAT} of version ≤ {VERSION}, but is {card.get('format')} {card.get('version')}; "
            "update edgefs"
        )
    if card["sha256"] != _digest(tensors):
        raise CheckpointError(f"{path} does not fit its sha256: it is damaged or was edited; copy it again")
    return tensors, card


def _digest(tensors: Mapping[str, Tensor]) -> str:
    digest = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name}:{tensor.dtype}:{tuple(tensor.shape)}".encode())
        digest.update(tensor.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def check_folder(out: str | Path) -> None:
    """Check, before a run, that its results can be written. Raises ConfigError."""
    place = Path(out).absolute()
    while not place.exists():
        place = place.parent
    if not place.is_dir() or not os.access(place, os.W_OK | os.X_OK):
        why = "is not writable" if place.is_dir() else "is a file"
        raise ConfigError(f"{out} must be a folder that can be written to, but {place} {why}; choose another --out")
