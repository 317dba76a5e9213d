"""Checkpoints: a trained network in one file, and the state of a run in another.

NAME.safetensors   weights, and in its header a JSON card with everything needed to rebuild the network and to feed it:
                   config, input contract, measured figures, and a sha256 over the weights (one flipped bit loads
                   silently otherwise). No pickle.
state.pt           what a resumed run needs to go on bit by bit: weights, optimiser, random state, position. Read with
                   `weights_only=True`, so it holds tensors, numbers and strings and can run no code.

Both are written aside and renamed: never half a file.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from edgefs.data import DataSpec, spec_of
from edgefs.errors import CheckpointError, CheckpointMissing, ConfigError
from edgefs.meta import build_method
from edgefs.networks import build
from edgefs.networks.classifier import new_classifier
from edgefs.training.config import TrainConfig
from edgefs.transfer.config import ADAPT_METHODS, FINETUNE_METHODS, AdaptConfig, FinetuneConfig
from runtime.errors import BundleCorrupt
from runtime.preprocess import Preprocess

FORMAT, VERSION = "edgefs-checkpoint", 1
BASE_MEAN = "base_mean"  # mean feature of the training classes, float32 [D]
CONFIGS: dict[str, type[Any]] = {
    **dict.fromkeys(FINETUNE_METHODS, FinetuneConfig),
    **dict.fromkeys(ADAPT_METHODS, AdaptConfig),
}


@dataclass(frozen=True)
class Checkpoint:
    """A method with its weights, the config it was trained with, how images reach it, and the card as written."""

    method: Any
    config: Any  # TrainConfig, FinetuneConfig or AdaptConfig
    spec: DataSpec
    base_mean: Tensor | None
    card: Mapping[str, Any]


def new_method(config: Any, spec: DataSpec, *, workers: int = 1) -> Any:
    """The network of a config, with fresh random weights."""
    if not isinstance(config, TrainConfig):
        return new_classifier(config, spec)
    backbone = build(config.backbone, channels=spec.preprocess.channels, size=min(spec.preprocess.size))
    return build_method(backbone, config, workers=workers)


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
    """Write a network.  half: store weights as float16 (half the size; accuracy is measured to be the same)."""
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
    write_aside(Path(path), save(tensors, {"edgefs": json.dumps(card)}))
    return Path(path)


def load_checkpoint(path: str | Path, *, workers: int = 1) -> Checkpoint:
    """Read what `save_checkpoint` wrote and rebuild the network, in evaluation mode.

    Raises CheckpointMissing, or CheckpointError: not a checkpoint, damaged, of a newer format, or of another network.
    """
    tensors, card = _read(Path(path))
    try:
        config = CONFIGS.get(card["config"]["method"], TrainConfig)(**card["config"])
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
    """Fill a network. Raises CheckpointError naming what does not fit."""
    own = method.state_dict()
    wrong = [f"{name} is missing" for name in own.keys() - tensors.keys()]
    wrong += [f"{name} is unknown" for name in tensors.keys() - own.keys()]
    wrong += [
        f"{name} must be {tuple(own[name].shape)} but is {tuple(tensors[name].shape)}"
        for name in own.keys() & tensors.keys()
        if own[name].shape != tensors[name].shape
    ]
    if wrong:
        raise CheckpointError(
            f"{where} must hold the weights of a {type(method).__name__} as configured, but {len(wrong)} do not "
            f"fit ({'; '.join(sorted(wrong)[:4])}); it is of another architecture: use its own config"
        )
    method.load_state_dict({name: tensor.to(own[name].dtype) for name, tensor in tensors.items()})


def save_state(path: Path, state: Mapping[str, Any]) -> None:
    """Write the state of a run."""
    aside = path.with_name(f"{path.name}.{os.getpid()}.part")
    torch.save(dict(state), aside)
    with aside.open("rb") as file:
        os.fsync(file.fileno())
    aside.replace(path)


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


def write_aside(path: Path, data: bytes) -> None:
    """Write a whole file or nothing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f"{path.name}.{os.getpid()}.part")
    with aside.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    aside.replace(path)


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
