"""Two domains of the same classes: a labelled source, a target without labels, and perhaps labels to measure by.

Labels of the target never influence training or selection; the result is measured with them at the end.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from edgefs.data import DataSpec
from edgefs.data.augment import augments_of
from edgefs.data.images import pictures_below
from edgefs.data.tasks import normalised
from edgefs.errors import DataError
from edgefs.methods import AdaptConfig
from runtime.gallery import check_labels
from runtime.pictures import pictures_in

SHOWN = 5
UNLABELLED = ""  # the only class of a target without labels


@dataclass(frozen=True)
class DomainFiles:
    """The pictures of each class. An unlabelled target has the single class ""; `labelled` is measured on."""

    source: Mapping[str, list[Path]]
    target: Mapping[str, list[Path]]
    labelled: Mapping[str, list[Path]] | None


def find_domains(config: AdaptConfig) -> DomainFiles:
    """The pictures of both domains. Raises DataMissing, or DataError when their classes are not the same."""
    source = _classes(Path(config.source))
    if len(source) < 2:
        raise DataError(f"{config.source} must have at least two classes to tell apart, but has {len(source)}")
    target = _target(Path(config.target))
    labelled = None if UNLABELLED in target else target
    if labelled:
        _same_classes(source, labelled, config.source, config.target)
    if config.target_labels:
        labelled = _classes(Path(config.target_labels))
        _same_classes(source, labelled, config.source, config.target_labels)
    return DomainFiles(source, target, labelled)


def _target(place: Path) -> dict[str, list[Path]]:
    """Class folders, or unlabelled pictures directly in the folder. Raises DataError for both, or for one picture."""
    if not place.is_dir():
        return _classes(place)
    found = pictures_in(place)
    flat = found.pictures
    folders = [path.name for path in found.skipped if path.is_dir()]
    if flat and folders:
        raise DataError(
            f"{place} must hold class folders, or pictures without labels, but holds {len(flat)} pictures beside the "
            f"folders {', '.join(sorted(folders)[:SHOWN])}; put one of them elsewhere"
        )
    target = {UNLABELLED: found.tell().pictures} if flat else _classes(place)
    if sum(map(len, target.values())) < 2:
        raise DataError(f"{place} must have at least two pictures, but has fewer; add some")
    return target


def _classes(root: Path) -> dict[str, list[Path]]:
    classes = pictures_below(root / "train" if (root / "train").is_dir() else root)
    check_labels(classes)
    return classes


def _same_classes(
    source: Mapping[str, list[Path]], other: Mapping[str, list[Path]], source_root: str, other_root: str
) -> None:
    lacks, extra = sorted(set(source) - set(other)), sorted(set(other) - set(source))
    if lacks or extra:
        words = [f"{other_root} lacks {', '.join(lacks[:SHOWN])}"] if lacks else []
        words += [f"{source_root} lacks {', '.join(extra[:SHOWN])}"] if extra else []
        raise DataError(
            f"source and target must have the same classes, but {' and '.join(words)}; leave such classes out, or, if "
            "the target has no labels, put its pictures straight into the folder"
        )


@dataclass(frozen=True, eq=False)
class Pool:
    """The pictures, or the features, that batches of one domain are drawn from.

    Attributes:
        inputs: Pictures `uint8 [N, H, W, C]`, or features `float32 [N, D]` of a frozen network.
        labels: `int64 [N]`.
        prepare: From some of the inputs to what the network takes; the generator is that of the augmentation.
    """

    inputs: NDArray[np.uint8] | NDArray[np.float32]
    labels: NDArray[np.int64]
    prepare: Callable[[Any, np.random.Generator | None], Tensor]

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, rows: NDArray[np.int64], rng: np.random.Generator | None = None) -> Tensor:
        """Inputs of the network for some rows, augmented when there is a generator."""
        return self.prepare(self.inputs[rows], rng)

    def part(self, rows: NDArray[np.int64]) -> Pool:
        return Pool(self.inputs[rows], self.labels[rows], self.prepare)


def picture_maker(
    spec: DataSpec, augment: tuple[str, ...], device: str
) -> Callable[[NDArray[np.uint8], np.random.Generator | None], Tensor]:
    """The `prepare` of a pool of pictures. Raises ConfigError."""
    changes = augments_of(augment)

    def prepare(pixels: NDArray[np.uint8], rng: np.random.Generator | None) -> Tensor:
        images = normalised(pixels, spec, device)
        if rng is not None:
            for change in changes:
                images = change(images, (len(pixels), 1, 1), rng)
        return images

    return prepare


def feature_maker(device: str) -> Callable[[NDArray[np.float32], np.random.Generator | None], Tensor]:
    """The `prepare` of a pool of features, which are not augmented."""
    return lambda rows, _rng: torch.from_numpy(np.ascontiguousarray(rows)).to(device)
