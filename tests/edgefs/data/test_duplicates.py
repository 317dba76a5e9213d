"""Repeated images, within a split and across two."""

import dataclasses

from edgefs.data import find_duplicates, load
from runtime.preprocess import Preprocess

SMALL = Preprocess((16, 16), resampler="area")
NAMES = [f"class{i}" for i in range(10)]


def test_duplicates_are_found_within_and_across_splits(tmp_path, write_classes):
    write_classes(tmp_path / "train", NAMES[:4])
    write_classes(tmp_path / "val", ["v", "w"])
    copy = (tmp_path / "train" / "class0" / "00.png").read_bytes()
    (tmp_path / "train" / "class0" / "copy.png").write_bytes(copy)
    (tmp_path / "train" / "class1" / "copy.png").write_bytes(copy)
    (tmp_path / "val" / "v" / "copy.png").write_bytes(copy)
    for name in ("v", "w"):  # other pixels than train's
        for file in (tmp_path / "val" / name).glob("0*.png"):
            file.unlink()
    write_classes(tmp_path / "val", ["x0", "x1"], n_images=1)
    splits = {split: load("folder", tmp_path / split, "all", preprocess=SMALL) for split in ("train",)}
    train = splits["train"]
    copies = train.labels == 0
    splits["val"] = dataclasses.replace(
        train, images=train.images[copies], labels=train.labels[copies], hashes=train.hashes[copies]
    )
    found = find_duplicates(splits)
    assert found.within["train"] == 2
    assert found.conflicts["train"] == 1
    assert found.across["train", "val"] == 7
    assert "are also in train" in str(found)
