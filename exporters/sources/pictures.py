"""Pictures for calibration and verification, prepared exactly as the device prepares them.

The choice matters more than the number: pictures are spread over all folders of a tree or over the whole length of a
video, and their names are kept for the provenance.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from exporters.errors import PicturesError
from exporters.frames import evenly_spaced
from exporters.tools import load_tool
from runtime.camera import open_camera
from runtime.opencv import load_cv2, read_image
from runtime.pictures import pictures_below
from runtime.preprocess import Preprocess, centre_square

FEWEST = 16  # fewer pictures do not show the range of the activations
PHOTOS = ("astronaut", "chelsea", "coffee", "rocket", "motorcycle_left", "retina", "ihc", "hubble_deep_field")
VIEWS = 16  # of each picture, where there are no classes


@dataclass(frozen=True, eq=False)
class Pictures:
    """Pictures after preprocessing, with a label each.

    Attributes:
        frames: Engine inputs, `uint8 [N, H, W, C]`.
        labels: `int64 [N]`.
        names: One name per picture, for people.
        source: Name of the folder or video, without the path to it.
        kind: What a label stands for: "classes" (folders) or "views" (random crops of one picture).
    """

    frames: NDArray[np.uint8]
    labels: NDArray[np.int64]
    names: tuple[str, ...]
    source: str
    kind: str = "classes"

    def __len__(self) -> int:
        return len(self.frames)

    def classes(self, fewest: int) -> int:
        """Return how many labels have at least this many pictures."""
        return int((np.unique(self.labels, return_counts=True)[1] >= fewest).sum())

    def facts(self) -> dict[str, object]:
        """Return what the provenance in the manifest says about these pictures."""
        return {"source": self.source, "pictures": len(self), "kind": self.kind, "names": list(self.names)}


def sample_pictures(source: str | Path, preprocess: Preprocess, *, count: int = 300) -> Pictures:
    """Take at most `count` pictures, spread over a folder tree or a video.

    Args:
        source: A folder, in which every folder with pictures is a class; or a video.
        preprocess: What the device does to a frame.
        count: How many pictures to take at most.

    Raises:
        PicturesError: There are fewer than 16 pictures.
        CameraError: The video cannot be read.
        FrameError: A picture cannot be read.
    """
    source = Path(source)
    pictures = _from_folder(source, preprocess, count) if source.is_dir() else _from_video(source, preprocess, count)
    if len(pictures) < FEWEST:
        raise PicturesError(
            f"{source} must give at least {FEWEST} pictures, but has {len(pictures)}; add some that look like what the "
            "device will see"
        )
    return pictures


def verification_pictures(source: str | Path | None, preprocess: Preprocess, *, count: int = 400) -> Pictures:
    """Take pictures with labels, to measure few-shot accuracy on.

    The labels are the class folders if five of them have two pictures. Otherwise random crops of each picture form a
    class of their own.

    Args:
        source: A folder or a video; None takes the photographs of the package scikit-image.
        preprocess: What the device does to a frame.
        count: How many pictures to take at most.

    Raises:
        PicturesError: There are fewer than 16 pictures.
        ToolMissing: scikit-image is needed but not installed.
    """
    if source is None:
        return _views(_photos(), preprocess, "scikit-image")
    pictures = sample_pictures(source, preprocess, count=count)
    if pictures.classes(fewest=2) >= 5:
        return pictures
    chosen = evenly_spaced(len(pictures), count // VIEWS)
    return _views(list(pictures.frames[chosen]), preprocess, pictures.source)


def _from_folder(folder: Path, preprocess: Preprocess, count: int) -> Pictures:
    paths = _spread(pictures_below(folder).tell().classes, count)
    classes = {parent: label for label, parent in enumerate(sorted({path.parent for path in paths}))}
    load_cv2()  # once, before the threads
    with ThreadPoolExecutor(os.cpu_count()) as pool:  # cv2 releases the interpreter while it decodes
        frames = list(pool.map(lambda path: preprocess(read_image(path)), paths))
    labels = np.array([classes[path.parent] for path in paths], np.int64)
    names = tuple(path.relative_to(folder).as_posix() for path in paths)
    return Pictures(np.array(frames, np.uint8).reshape(-1, *preprocess.shape), labels, names, folder.name)


def _spread(classes: Mapping[str, list[Path]], count: int) -> list[Path]:
    """Draw the same share of every folder at random with a fixed seed; the result is sorted by path."""
    rng = np.random.default_rng(0)
    shuffled = [[paths[i] for i in rng.permutation(len(paths))] for paths in classes.values()]
    rounds = (
        paths[turn] for turn in range(max(map(len, shuffled), default=0)) for paths in shuffled if turn < len(paths)
    )
    return sorted(path for path, _ in zip(rounds, range(count), strict=False))


def _from_video(path: Path, preprocess: Preprocess, count: int) -> Pictures:
    """Keep every k-th frame and double k whenever there are twice too many: the length need not be known."""
    kept: list[tuple[str, NDArray[np.uint8]]] = []
    step = 1
    with open_camera(path) as camera:
        for frame in camera:
            if frame.index % step == 0:
                kept.append((f"{frame.time_s:.2f} s", preprocess(frame.image)))
            if len(kept) >= 2 * count:
                kept, step = kept[::2], 2 * step
    chosen = [kept[i] for i in np.unique(evenly_spaced(len(kept), count))]
    frames = np.array([frame for _, frame in chosen], np.uint8).reshape(-1, *preprocess.shape)
    return Pictures(frames, np.zeros(len(frames), np.int64), tuple(name for name, _ in chosen), path.name)


def _photos() -> list[NDArray[np.uint8]]:
    skimage = load_tool("skimage", "verification without --verify FOLDER", "pip install scikit-image")
    files = [path for path in sorted((Path(skimage.__file__).parent / "data").iterdir()) if path.stem in PHOTOS]
    return [read_image(path) for path in files]


def _views(images: Sequence[NDArray[np.uint8]], preprocess: Preprocess, source: str) -> Pictures:
    """Cut VIEWS random squares of half to all of the shorter side from each picture; the picture is the label."""
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
