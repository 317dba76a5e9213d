"""mini-ImageNet with the split of Ravi and Larochelle (2017, "Optimization as a Model for Few-Shot Learning").

ROOT/{train,val,test}.csv (`filename,label`: 64, 16 and 20 classes) over ROOT/images/. The CSVs are hosted by their
authors; the images are ImageNet's and cannot be fetched without an account.
"""

from __future__ import annotations

import csv
from pathlib import Path

from edgefs.data.download import download_file
from edgefs.errors import DataCorrupt, DataMissing

URL = "https://raw.githubusercontent.com/twitter-research/meta-learning-lstm/master/data/miniImagenet/{}.csv"


def mini_imagenet(root: Path, split: str, *, download: bool = False) -> dict[str, list[Path]]:
    """The pictures of each class (ImageNet's "n01532829") of a split, "train", "val" or "test". Raises DataMissing."""
    here = root if (root / "images").is_dir() else root / "mini_imagenet"
    if not (here / "images").is_dir():
        raise DataMissing(
            f"mini-ImageNet must lie in {root}/images/*.jpg with {root}/{{train,val,test}}.csv (Ravi, Larochelle), but "
            "nothing is there; the images are ImageNet's and cannot be downloaded without an account at image-net.org"
        )
    table = here / f"{split}.csv"
    if not table.is_file() and download:
        try:
            download_file(URL.format(split), table)
        except OSError as error:
            raise DataMissing(
                f"{table} must be there or downloadable from {URL.format(split)}, but: {error}"
            ) from error
    if not table.is_file():
        raise DataMissing(
            f"{table} must list `filename,label`, but is not there; take it from {URL.format(split)} or use --download"
        )
    return read_split(table, here / "images")


def read_split(table: Path, images: Path) -> dict[str, list[Path]]:
    """The pictures of each class in a CSV of `filename,label`. Missing files are reported when they are decoded."""
    classes: dict[str, list[Path]] = {}
    with table.open(newline="") as file:
        rows = csv.DictReader(file)
        if not {"filename", "label"} <= set(rows.fieldnames or ()):
            raise DataCorrupt(
                f"{table} must have the columns filename,label, but has {rows.fieldnames}; take the authors' file"
            )
        for row in rows:
            classes.setdefault(row["label"], []).append(images / row["filename"])
    if not classes:
        raise DataCorrupt(f"{table} must list at least one image, but lists none; take the authors' file")
    return dict(sorted(classes.items()))
