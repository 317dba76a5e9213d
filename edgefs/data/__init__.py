"""Few-shot image sets by name: `load("omniglot", root, "train")`. A new one is one file and one line in DATA."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from edgefs.data.cifar_fs import cifar_fs
from edgefs.data.duplicates import Duplicates, find_duplicates
from edgefs.data.folder import channels_of, folder
from edgefs.data.images import CACHE, ImageSet, open_images
from edgefs.data.mini_imagenet import mini_imagenet
from edgefs.data.omniglot import omniglot
from edgefs.errors import ConfigError, DataMissing
from runtime.preprocess import Preprocess

__all__ = ["DATA", "DataSpec", "Duplicates", "ImageSet", "find_duplicates", "load", "spec_of"]


@dataclass(frozen=True)
class DataSpec:
    """How a set is found, prepared and normalised.

    Attributes:
        find: `find(root, split, download=…)` returns the files of each class by its name.
        mean: Of pixels in 0..1, RGB order.
        std: Standard deviation likewise.
        rotations: Quarter turns that count as classes (4 for characters, 1 for photos).
    """

    find: Callable[..., dict[str, list[Path]]]
    preprocess: Preprocess
    mean: tuple[float, ...]
    std: tuple[float, ...]
    rotations: int = 1


IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
DATA = {
    # mean 1 and std -1 turn black ink on white paper into 1 on 0, so zero padding is blank paper
    "omniglot": DataSpec(omniglot, Preprocess((28, 28), 1, resampler="area"), (1.0,), (-1.0,), rotations=4),
    "cifar_fs": DataSpec(
        cifar_fs, Preprocess((32, 32), resampler="area"), (0.507, 0.487, 0.441), (0.267, 0.256, 0.276)
    ),
    "mini_imagenet": DataSpec(mini_imagenet, Preprocess((84, 84), resampler="area"), *IMAGENET),
    "folder": DataSpec(folder, Preprocess((84, 84), resampler="area"), *IMAGENET),
}


def spec_of(name: str, *, size: int | None = None, channels: int | None = None) -> DataSpec:
    """The spec of a named set, with another image size or channel count when asked for. Raises ConfigError."""
    if name not in DATA:
        raise ConfigError(f"data must be one of {', '.join(DATA)}, but is {name!r}")
    spec = DATA[name]
    if channels not in (None, 1, 3):
        raise ConfigError(f"channels must be 1 (grey) or 3 (colour), but is {channels}")
    if channels not in (None, spec.preprocess.channels):
        spec = replace(
            spec, preprocess=replace(spec.preprocess, channels=channels), mean=(0.5,) * channels, std=(0.25,) * channels
        )
    if size:
        spec = replace(spec, preprocess=replace(spec.preprocess, size=(size, size)))
    return spec


def load(
    name: str,
    root: str | Path,
    split: str,
    *,
    preprocess: Preprocess | None = None,
    policy: str = "fail",
    download: bool = False,
    cache: bool = True,
    **options: Any,
) -> ImageSet:
    """Find, decode and cache one split of a named set.

    Args:
        preprocess: How images are prepared, if not as the set's own spec says.
        policy: "fail" or "skip" unreadable files.
        cache: Whether to keep the decoded pixels below `root`.
        options: Of the set itself, as `variant="vinyals"` for Omniglot.

    Raises:
        DataMissing: Showing the layout that is expected; DataCorrupt: naming every unreadable file.
        ConfigError: There is no set of that name.
    """
    spec, root = spec_of(name), Path(root)
    classes = spec.find(root, split, download=download, **options)
    if not classes:
        raise DataMissing(
            f"the {split} split of {name} in {root} must have classes, but has none; check the layout and the split"
        )
    if preprocess is None:
        preprocess = spec.preprocess
        if name == "folder":
            preprocess = replace(preprocess, channels=channels_of(classes))
    return open_images(classes, preprocess, cache=root / CACHE if cache else None, policy=policy)
