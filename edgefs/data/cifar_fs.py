"""CIFAR-FS (Bertinetto et al. 2019, arXiv:1805.08136): CIFAR-100 cut into 64 train, 16 val and 20 test classes, 32×32.

Read from ROOT/{train,val,test}/<class>/*.png, or made from CIFAR-100 itself (Krizhevsky 2009), which torchvision
fetches and unpacks.
"""

from __future__ import annotations

from pathlib import Path

from edgefs.data.images import pictures_below
from edgefs.errors import DataMissing, PackageMissing

VAL = [
    "beaver", "beetle", "butterfly", "camel", "cattle", "crab", "crocodile", "flatfish", "lamp", "maple_tree",
    "motorcycle", "otter", "sea", "shark", "television", "tractor",
]  # fmt: skip
TEST = [
    "baby", "bed", "bicycle", "chimpanzee", "fox", "leopard", "man", "pickup_truck", "plain", "poppy", "rocket", "rose",
    "snail", "sweet_pepper", "table", "telephone", "wardrobe", "whale", "woman", "worm",
]  # fmt: skip


def cifar_fs(root: Path, split: str, *, download: bool = False) -> dict[str, list[Path]]:
    """The pictures of each class (600) of a split, "train", "val" or "test". Raises DataMissing."""
    for folder in (root / split, root / "cifar_fs" / split):
        if folder.is_dir():
            return pictures_below(folder)
    if not download and not (root / "cifar-100-python").is_dir():
        raise DataMissing(
            f"CIFAR-FS must lie in {root}/{split}/<class>/*.png, but nothing is there; lay it out so, or run with "
            f"--download (offline: put CIFAR-100's cifar-100-python.tar.gz into {root})"
        )
    _lay_out(root, download)
    return pictures_below(root / split)


def split_of(name: str) -> str:
    """The split a CIFAR-100 class belongs to."""
    return "val" if name in VAL else "test" if name in TEST else "train"


def _lay_out(root: Path, download: bool) -> None:
    """Write CIFAR-100's 60,000 images as lossless files into ROOT/<split>/<class>/."""
    try:
        from torchvision.datasets import CIFAR100
    except ImportError as error:
        raise PackageMissing(
            f"CIFAR-100 is unpacked by torchvision, but {error}; do: pip install 'edgefs[train]'"
        ) from error
    counts: dict[str, int] = {}
    for train in (True, False):
        try:
            part = CIFAR100(str(root), train=train, download=download)
        except (OSError, RuntimeError) as error:
            raise DataMissing(
                f"CIFAR-100 must be in {root}/cifar-100-python or downloadable, but: {error}. Offline? Put "
                f"cifar-100-python.tar.gz into {root}, or lay out {root}/<split>/<class>/*.png"
            ) from error
        for image, label in part:
            name = part.classes[label]
            folder = root / split_of(name) / name
            folder.mkdir(parents=True, exist_ok=True)
            image.save(folder / f"{counts.setdefault(name, 0):03d}.png")
            counts[name] += 1
