"""Pictures for calibration and verification, prepared exactly as the device prepares them.

Which ones matters more than how many: they are spread over all folders of a tree, or over the whole length of a video,
and their names are kept for the provenance.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from exporters.errors import PicturesError, ToolMissing
from runtime.camera import open_camera
from runtime.camera.files import PICTURES
from runtime.opencv import load_cv2, read_image
from runtime.preprocess import Preprocess, centre_square

FEWEST = 16  # below that, ranges of activations are accidents
PHOTOS = ("astronaut", "chelsea", "coffee", "rocket", "motorcycle_left", "retina", "ihc", "hubble_deep_field")
VIEWS = 16


@dataclass(frozen=True, eq=False)
class Pictures:
    """frames: `uint8 [N, H, W, C]` engine inputs.  labels: `int64 [N]`.  names: N, for people.

    source: without its path, which is this machine's own affair.
    kind: what a label stands for: "classes" (folders) or "views" (random crops of one picture).
    """

    frames: NDArray[np.uint8]
    labels: NDArray[np.int64]
    names: tuple[str, ...]
    source: str
    kind: str = "classes"

    def __len__(self) -> int:
        return len(self.frames)

    def classes(self, fewest: int) -> int:
        """How many labels have at least this many pictures."""
        return int((np.unique(self.labels, return_counts=True)[1] >= fewest).sum())

    def facts(self) -> dict[str, object]:
        """For the provenance: how many, of what, and which."""
        return {"source": self.source, "pictures": len(self), "kind": self.kind, "names": list(self.names)}


def sample_pictures(source: str | Path, preprocess: Preprocess, *, count: int = 300) -> Pictures:
    """At most `count` pictures spread over a folder tree (a folder with pictures is a class) or over a video.

    Raises PicturesError for fewer than FEWEST; CameraError or FrameError for what cannot be read.
    """
    source = Path(source)
    pictures = _from_folder(source, preprocess, count) if source.is_dir() else _from_video(source, preprocess, count)
    if len(pictures) < FEWEST:
        raise PicturesError(
            f"{source} must give at least {FEWEST} pictures, but has {len(pictures)}; add some like the device's"
        )
    return pictures


def verification_pictures(source: str | Path | None, preprocess: Preprocess, *, count: int = 400) -> Pictures:
    """Pictures with labels for few-shot accuracy: class folders, else random crops of every picture as its class.

    source: a folder or video; None takes the photographs that scikit-image carries.
    """
    if source is None:
        return _views(_photos(), preprocess, "scikit-image")
    pictures = sample_pictures(source, preprocess, count=count)
    if pictures.classes(fewest=2) >= 5:
        return pictures
    chosen = np.linspace(0, len(pictures) - 1, min(len(pictures), count // VIEWS)).astype(int)
    return _views(list(pictures.frames[chosen]), preprocess, pictures.source)


def _from_folder(folder: Path, preprocess: Preprocess, count: int) -> Pictures:
    paths = _spread(_by_class(folder), count)
    classes = {parent: label for label, parent in enumerate(sorted({path.parent for path in paths}))}
    load_cv2()  # once, before the threads
    with ThreadPoolExecutor(os.cpu_count()) as pool:  # cv2 releases the interpreter while it decodes
        frames = list(pool.map(lambda path: preprocess(read_image(path)), paths))
    labels = np.array([classes[path.parent] for path in paths], np.int64)
    names = tuple(path.relative_to(folder).as_posix() for path in paths)
    return Pictures(np.array(frames, np.uint8).reshape(-1, *preprocess.shape), labels, names, folder.name)


def _by_class(folder: Path) -> dict[Path, list[Path]]:
    classes: dict[Path, list[Path]] = {}
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() in PICTURES and not path.name.startswith("."):
            classes.setdefault(path.parent, []).append(path)
    return classes


def _spread(classes: dict[Path, list[Path]], count: int) -> list[Path]:
    """The same share of every folder, drawn at random from it with a fixed seed; in the order of the folders."""
    rng = np.random.default_rng(0)
    shuffled = [[paths[i] for i in rng.permutation(len(paths))] for paths in classes.values()]
    rounds = (
        paths[turn] for turn in range(max(map(len, shuffled), default=0)) for paths in shuffled if turn < len(paths)
    )
    return sorted(path for path, _ in zip(rounds, range(count), strict=False))


def _from_video(path: Path, preprocess: Preprocess, count: int) -> Pictures:
    """Every k-th frame, k doubled whenever twice too many are kept: evenly spread, without knowing the length."""
    kept: list[tuple[str, NDArray[np.uint8]]] = []
    step = 1
    with open_camera(path) as camera:
        for frame in camera:
            if frame.index % step == 0:
                kept.append((f"{frame.time_s:.2f} s", preprocess(frame.image)))
            if len(kept) >= 2 * count:
                kept, step = kept[::2], 2 * step
    chosen = [kept[i] for i in np.unique(np.linspace(0, len(kept) - 1, min(count, len(kept))).astype(int))]
    frames = np.array([frame for _, frame in chosen], np.uint8).reshape(-1, *preprocess.shape)
    return Pictures(frames, np.zeros(len(frames), np.int64), tuple(name for name, _ in chosen), path.name)


def _photos() -> list[NDArray[np.uint8]]:
    try:
        import skimage
    except ImportError as error:
        raise ToolMissing(
            f"without --verify FOLDER, scikit-image's photographs are used, but {error}; name a folder, or do: "
            "pip install scikit-image"
        ) from error
    files = [path for path in sorted((Path(skimage.__file__).parent / "data").iterdir()) if path.stem in PHOTOS]
    return [read_image(path) for path in files]


def _views(images: Sequence[NDArray[np.uint8]], preprocess: Preprocess, source: str) -> Pictures:
    """VIEWS random square crops of each picture, of half to all of its shorter side; the picture is the label."""
    rng = np.random.default_rng(0)
    frames = []
    for image in images:
        for _ in range(VIEWS):
            side = int(min(image.shape[:2]) * rng.uniform(0.5, 1))
            y, x = (int(rng.integers(0, length - side + 1)) for length in image.shape[:2])
            frames.append(preprocess(centre_square(image[y : y + side, x : x + side])))
    labels = np.repeat(np.arange(len(images), dtype=np.int64), VIEWS)
    names = tuple(f"picture {label} view {i % VIEWS}" for i, label in enumerate(labels))
    return Pictures(np.array(frames, np.uint8), labels, names, source, "views")
