"""Omniglot (Lake et al. 2015, Science 350): 50 alphabets, 1623 characters, 20 drawers each; black ink on white paper.

Two splits, both over ROOT/images_background and ROOT/images_evaluation (`<alphabet>/<character>/*.png`):

lake     train and val from the 30 background alphabets (25 + 5), test: the 20 evaluation alphabets
vinyals  train 1028, val 172, test 423 characters (Vinyals et al. 2016, arXiv:1606.04080, as Snell et al. published it):
         all characters in order, the first 1200 to train and validate, the last 423 to test

Both validate on the same five alphabets, the published ones. Each character counts as 4 classes, one for each quarter
turn; the episode sampler turns the images (`rotations=4`).
"""

from __future__ import annotations

from pathlib import Path

from edgefs.data.download import Archive, fetch
from edgefs.data.images import pictures_below
from edgefs.errors import ConfigError, DataMissing

SPLITS = ("lake", "vinyals")
VALIDATION = ("Armenian", "Bengali", "Early_Aramaic", "Hebrew", "Mkhedruli_(Georgian)")
VINYALS_TEST = 423  # characters
HALVES = ("images_background", "images_evaluation")
CHARACTERS = {"images_background": 964, "images_evaluation": 659}
URL = "https://raw.githubusercontent.com/brendenlake/omniglot/master/python/{}.zip"
MD5 = {"images_background": "68d2efa1b9178cc56df9314c21c6e718", "images_evaluation": "6b91aef0f799c5bb55b94e3f2daec811"}


def omniglot(root: Path, split: str, *, variant: str = "lake", download: bool = False) -> dict[str, list[Path]]:
    """The pictures of each class ("alphabet/character") of a split, "train", "val" or "test". Raises DataMissing."""
    if variant not in SPLITS:
        raise ConfigError(f"the Omniglot split must be one of {SPLITS}, but is {variant!r}")
    if variant == "lake":
        classes = _half(root, HALVES[1] if split == "test" else HALVES[0], download)
        if split == "test":
            return classes
        return {name: files for name, files in classes.items() if _validates(name) == (split == "val")}
    classes = {name: files for half in HALVES for name, files in _half(root, half, download).items()}
    names = list(classes)
    if split == "test":
        return {name: classes[name] for name in names[-VINYALS_TEST:]}
    return {name: classes[name] for name in names[:-VINYALS_TEST] if _validates(name) == (split == "val")}


def _validates(name: str) -> bool:
    return name.split("/")[0] in VALIDATION


def _half(root: Path, half: str, download: bool) -> dict[str, list[Path]]:
    expected = f"{root}/{half}/<alphabet>/<character>/*.png"
    for folder in (root / half, root / "omniglot" / half):
        if folder.is_dir():
            return pictures_below(folder)
    if not download:
        raise DataMissing(
            f"Omniglot must lie in {expected}, but nothing is there; lay it out so, or run with --download"
        )
    fetch(Archive(URL.format(half), MD5[half]), root, expected=expected)
    return pictures_below(root / half)
