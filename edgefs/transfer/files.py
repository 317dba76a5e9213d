"""Which picture belongs to which class and split: class folders, split folders, or a CSV list.

Data without splits is split once, every class in the same proportion, and the run writes the result as a list
(`split.csv`), which another run can take as its data: `--data OUT/split.csv --root DIR`.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgefs.data.images import pictures_below
from edgefs.errors import DataError, DataMissing
from edgefs.methods import FinetuneConfig
from runtime.gallery import check_labels, clean_label

SPLITS = ("train", "val", "test")
SHOWN = 5  # names in a message
OVERFLOW = "after the last column"


@dataclass(frozen=True, eq=False)
class LabelledFiles:
    """N pictures with their labels, `int64 [N]` in 0..len(classes) - 1, and their splits, one of SPLITS each."""

    root: Path
    files: tuple[Path, ...]
    labels: NDArray[np.int64]
    classes: tuple[str, ...]
    splits: NDArray[np.str_]

    def rows(self, split: str) -> NDArray[np.int64]:
        return np.flatnonzero(self.splits == split)

    def by_class(self) -> dict[str, list[Path]]:
        """The files of each class, for `open_images`. They are sorted by class, so their order stays."""
        return {name: [self.files[i] for i in np.flatnonzero(self.labels == k)] for k, name in enumerate(self.classes)}

    def without(self, gone: Sequence[str]) -> LabelledFiles:
        """The same without some files. Raises DataError when a class then has no training picture."""
        keep = ~np.isin([str(path) for path in self.files], list(gone))
        files = tuple(path for path, kept in zip(self.files, keep, strict=True) if kept)
        left = replace(self, files=files, labels=self.labels[keep], splits=self.splits[keep])
        return _checked(left)

    def save(self, path: Path) -> None:
        """Write the list: path (relative to root), label, split."""
        with path.open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(("path", "label", "split"))
            for picture, label, split in zip(self.files, self.labels, self.splits, strict=True):
                place = picture.relative_to(self.root) if picture.is_relative_to(self.root) else picture
                writer.writerow((place.as_posix(), self.classes[label], split))


def find_files(config: FinetuneConfig) -> LabelledFiles:
    """The pictures of a run.

    Raises:
        DataMissing: There are none, or a listed one is not there.
        DataError: A class is missing from a split, or too small to split.
        InvalidLabel: The name of a class can be no label.
    """
    root = Path(config.root)
    found = _folders(root) if config.data == "folder" else _list(Path(config.data), root)
    splits = {split: classes for split, classes in found.items() if classes}
    if "train" not in splits:
        splits = {"train": splits.pop(""), **splits}
    known = {name for classes in splits.values() for name in classes}
    check_labels(known)
    rows = []
    for label, name in enumerate(sorted(known, key=clean_label)):
        given = {split: sorted(classes.get(name, ())) for split, classes in splits.items()}
        rows += [(path, label, split) for split, paths in _divide(given, name, config, label).items() for path in paths]
    files, labels, parts = zip(*rows, strict=True)
    names = tuple(sorted(map(clean_label, known)))
    return _checked(LabelledFiles(root, files, np.array(labels, np.int64), names, np.array(parts)))


def _folders(root: Path) -> dict[str, dict[str, list[Path]]]:
    """Split -> class -> pictures; "" for what has no split."""
    divided = {split: pictures_below(root / split) for split in SPLITS if (root / split).is_dir()}
    if divided and "train" not in divided:
        raise DataMissing(f"{root} must have a train folder beside {', '.join(divided)}, but has none; add it")
    return divided or {"": pictures_below(root)}


def _list(path: Path, root: Path) -> dict[str, dict[str, list[Path]]]:
    """Split -> class -> pictures of a CSV list, as spreadsheets write it. Raises DataMissing or DataError."""
    rows = _rows(path)
    if not rows or not {"path", "label"} <= set(rows[0]):
        have = ", ".join(rows[0]) if rows else "nothing"
        raise DataError(f"{path} must have columns path and label (and perhaps split), but has {have}")
    found: dict[str, dict[str, list[Path]]] = {}
    for number, row in enumerate(rows, start=2):
        split = row.get("split") or ""
        if split not in ("", *SPLITS) or not row["path"] or not row["label"] or row.get(OVERFLOW):
            raise DataError(
                f"line {number} of {path} must have a path, a label and a split of {', '.join(SPLITS)} or none, but is "
                f"{','.join(row.values())}; quote a name that has a comma"
            )
        picture = _place(row["path"], root, path.parent) or root / row["path"]  # reported by the decoder
        found.setdefault(split, {}).setdefault(row["label"], []).append(picture)
    if "" in found and len(found) > 1:
        raise DataError(f"{path} must give every row a split, or none, but some have none; fill the column")
    if "" not in found and "train" not in found:
        raise DataMissing(f"{path} must have rows of split train, but has only {', '.join(found)}")
    return found


def _rows(path: Path) -> list[dict[str, str]]:
    """Read a CSV list, with or without a byte order mark, separated by commas, semicolons or tabs. Names are lower."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            header = file.readline()
            file.seek(0)
            separator = max(",;\t", key=header.count)
            rows = csv.DictReader(file, delimiter=separator, skipinitialspace=True, restkey=OVERFLOW, restval="")
            return [{name.strip().lower(): "".join(value).strip() for name, value in row.items()} for row in rows]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataMissing(f"{path} must be a readable CSV list in UTF-8, but: {error}; check --data") from error


def _place(name: str, *folders: Path) -> Path | None:
    """Return where a listed picture is: below the first folder that has it. Windows writes \\ for /."""
    names = dict.fromkeys((name, name.replace("\\", "/")))
    return next((folder / each for folder in folders for each in names if (folder / each).is_file()), None)


def _divide(given: Mapping[str, list[Path]], name: str, config: FinetuneConfig, label: int) -> dict[str, list[Path]]:
    """Split the training images of a class into those that train, validate and test, where no split is given."""
    paths = given["train"]
    order = np.random.default_rng((config.seed, label)).permutation(len(paths))
    rest = [paths[i] for i in order]
    parts = dict(given)
    whole = set(given) == {"train"}
    if whole and config.per_class:
        rest, parts["test"] = rest[: config.per_class], rest[config.per_class :]
    elif whole and config.test_share:
        rest, parts["test"] = _share(rest, config.test_share)
    if "val" not in given and config.val_share:
        rest, parts["val"] = _share(rest, config.val_share)
    if not rest and paths:
        raise DataError(
            f"class {name} must have enough pictures for every split, but has {len(paths)}; add some, or split less "
            "with --val-share 0 --test-share 0"
        )
    parts["train"] = rest
    return {split: sorted(parts[split]) for split in SPLITS if split in parts}


def _share(paths: list[Path], share: float) -> tuple[list[Path], list[Path]]:
    """Cut off the last share of a list, at least one."""
    count = max(1, round(share * len(paths)))
    return paths[:-count], paths[-count:]


def _checked(files: LabelledFiles) -> LabelledFiles:
    """Check that every split holds every class. Raises DataError."""
    if len(files.classes) < 2:
        raise DataError(f"{files.root} must have at least two classes to tell apart, but has {len(files.classes)}")
    for split in SPLITS:
        rows = files.rows(split)
        here = set(files.labels[rows].tolist())
        lacking = [name for label, name in enumerate(files.classes) if label not in here]
        if (len(rows) or split == "train") and lacking:
            raise DataError(
                f"every split must have every class, but {split} lacks {', '.join(lacking[:SHOWN])}"
                f"{' …' if len(lacking) > SHOWN else ''}; add pictures of it to {split}, or leave it out of the others"
            )
    return files
