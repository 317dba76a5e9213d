"""The result of fine-tuning for a device: a bundle of the embedder, and a gallery with the classes enrolled.

The shots of the gallery are the training pictures. So a class can be renamed, undone or added to, and another model
can embed the pictures again.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from edgefs.checkpoint import load_checkpoint
from edgefs.errors import ConfigError
from edgefs.methods import FinetuneConfig
from edgefs.sources import embedder_of
from edgefs.transfer.files import LabelledFiles, find_files
from exporters.pack import pack
from runtime.bundle import Bundle
from runtime.gallery import NewShot, clean_label, open_gallery
from runtime.opencv import encode_jpeg, read_image
from runtime.recognizer import Recognizer

BUNDLE, GALLERY = "model.edgefs", "classes.db"
GOLDEN = 8  # frames whose embeddings the bundle carries
MOST_SHOTS = 200  # of a class, evenly spread
SAY_EVERY_S = 10.0


def to_device(out: str | Path, *, root: str | Path, say: Callable[[str], None] = lambda _: None) -> dict[str, Any]:
    """Write OUT/model.edgefs and OUT/classes.db from OUT/best.safetensors and OUT/split.csv.

    `edgefs export OUT/best.safetensors` makes bundles for more targets and precisions; `enrol_classes` makes a gallery
    for such a bundle.

    Args:
        out: Folder of a finished run.
        root: Folder that the pictures of split.csv lie in.
        say: Called with lines about the progress.

    Raises:
        ConfigError: There is a gallery already.
    """
    out = Path(out)
    files = find_files(FinetuneConfig(root=str(root), data=str(out / "split.csv")))
    say(f"writing {out / BUNDLE}")
    checkpoint = load_checkpoint(out / "best.safetensors")
    graph, preprocess = embedder_of(checkpoint)
    train = [files.files[row] for row in files.rows("train")]
    golden = [train[i] for i in np.unique(np.linspace(0, len(train) - 1, GOLDEN).astype(int))]
    bundle = pack(
        graph,
        preprocess,
        name=out.resolve().name,
        description=f"{checkpoint.config.backbone}, fine-tuned on {len(files.classes)} classes",
        golden_frames=preprocess.batch([read_image(path) for path in golden]),
        provenance={key: checkpoint.card[key] for key in ("config", "figures", "sha256")},
    ).save(out / BUNDLE, overwrite=True)
    gallery = out / GALLERY
    return {"bundle": out / BUNDLE, "gallery": gallery, "shots": enrol_classes(bundle, files, gallery, say=say)}


def enrol_classes(
    bundle: Bundle,
    files: LabelledFiles,
    gallery: str | Path,
    *,
    engine: str = "auto",
    say: Callable[[str], None] = lambda _: None,
) -> int:
    """Fill a new gallery with the training pictures of every class, embedded by the bundle's own engine.

    The gallery gets its name when it is complete.

    Returns:
        The number of its shots.

    Raises:
        ConfigError: The gallery exists already.
    """
    gallery = Path(gallery)
    if gallery.exists():
        raise ConfigError(f"{gallery} must be a new file, but exists already; choose another")
    aside = gallery.with_name(f".{gallery.name}.part")
    _remove(aside)
    rows = files.rows("train")
    chosen = {}
    for label, name in enumerate(files.classes):
        own = rows[files.labels[rows] == label]
        chosen[name] = own[np.unique(np.linspace(0, len(own) - 1, MOST_SHOTS).astype(int))]
    total, shots, said = sum(map(len, chosen.values())), 0, 0.0
    with (
        Recognizer(bundle, engine=engine) as recognizer,
        open_gallery(aside, fingerprint=bundle.fingerprint, dim=bundle.dim) as opened,
    ):
        for name, own in chosen.items():
            shots += len(opened.add(clean_label(name), [_shot(recognizer, files.files[row]) for row in own]))
            if time.monotonic() - said >= SAY_EVERY_S or shots == total:
                said = time.monotonic()
                say(f"enrolled {shots} of {total} pictures in {gallery}")
    aside.rename(gallery)
    _remove(aside)
    return shots


def _remove(aside: Path) -> None:
    """Remove an unfinished gallery, and what a gallery keeps beside itself."""
    for file in aside.parent.glob(f"{aside.name}*"):
        file.unlink()


def _shot(recognizer: Recognizer, path: Path) -> NewShot:
    frame = read_image(path)
    crop = encode_jpeg(frame)
    burst = hashlib.sha256(crop).hexdigest()[:32]  # every picture is a burst of its own
    return NewShot(recognizer.embed([frame])[0], crop, burst, 1.0, path.name, path.stat().st_mtime)
