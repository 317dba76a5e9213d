"""Any folder of class folders: ROOT/<class>/*.png, or ROOT/{train,val,test}/<class>/*.png.

Class folders may be nested to any depth; the name of a class is then its path. Without a val folder, every fifth class
is used for validation.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from edgefs.data.images import pictures_below
from edgefs.errors import DataError, DataMissing
from runtime.errors import CameraMissing, FrameError
from runtime.gallery import check_labels
from runtime.opencv import read_image

VAL_EVERY = 5
SAMPLED = 200  # files that are read to tell grey from colour


def folder(root: Path, split: str, *, download: bool = False) -> dict[str, list[Path]]:
    """The pictures of each class of a split, "train", "val", "test" or "all". Raises DataMissing or InvalidLabel."""
    del download  # nothing to fetch
    classes = _split(root, split)
    check_labels(classes)
    return classes


def _split(root: Path, split: str) -> dict[str, list[Path]]:
    if split != "all" and (root / split).is_dir():
        return pictures_below(root / split)
    divided = [name for name in ("train", "val", "test") if (root / name).is_dir()]
    if divided and split != "all":
        have = ", ".join(f"{root}/{name}" for name in divided)
        if "train" in divided and (split == "val" or (split == "train" and "val" not in divided)):
            return _every_fifth(pictures_below(root / "train"), split)
        raise DataMissing(
            f"{root}/{split} must be a folder of class folders, but there is only {have}; add it or take another split"
        )
    classes = pictures_below(root)
    return classes if split in ("all", "test") else _every_fifth(classes, split)


def _every_fifth(classes: dict[str, list[Path]], split: str) -> dict[str, list[Path]]:
    return {
        name: files
        for i, (name, files) in enumerate(classes.items())
        if (i % VAL_EVERY == VAL_EVERY - 1) == (split == "val")
    }


def channels_of(classes: dict[str, list[Path]]) -> int:
    """The channels of a sample of the pictures: 1 when all are grey, 3 when all are in colour.

    Raises DataError when both kinds occur.
    """
    files = [path for paths in classes.values() for path in paths]
    grey: list[Path] = []
    colour: list[Path] = []
    for path in files[:: max(1, len(files) // SAMPLED)]:
        with suppress(FrameError, CameraMissing):  # unreadable files are reported, all at once, by the decoder
            (grey if read_image(path, grey_stays=True).ndim == 2 else colour).append(path)
    if grey and colour:
        raise DataError(
            f"pictures must be all grey or all colour, but {grey[0]} is grey and {colour[0]} is colour; "
            "say --channels 1 (everything becomes grey) or --channels 3"
        )
    return 1 if grey else 3
