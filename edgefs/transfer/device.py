"""A finished run to the device: the bundle of its embedder, and a gallery with its classes already enrolled.

The gallery holds the training pictures as shots, because shots are its source of truth: the prototypes it derives from
them are the class means, a class can be renamed, undone or added to, and another model re-embeds it from the crops.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np

from edgefs.errors import ConfigError
from edgefs.networks.embedder import embedder_of
from edgefs.training.checkpoint import load_checkpoint
from edgefs.transfer.config import FinetuneConfig
from edgefs.transfer.files import LabelledFiles, find_files
from exporters.pack import pack
from runtime.bundle import Bundle
from runtime.gallery import NewShot, clean_label, open_gallery
from runtime.opencv import encode_jpeg, read_image
from runtime.recognizer import Recognizer

GOLDEN = 8
MOST_SHOTS = 200  # a class; more of them, evenly spread, would not move its mean


def to_device(out: str | Path, *, root: str | Path) -> dict[str, Any]:
    """Write OUT/model.edgefs and OUT/classes.db from OUT/best.safetensors and OUT/split.csv.

    `edgefs export OUT/best.safetensors` makes bundles for more targets and precisions; `enrol_classes` fills their
    galleries.  Raises ConfigError when there is one already.
    """
    out = Path(out)
    checkpoint = load_checkpoint(out / "best.safetensors")
    graph, preprocess = embedder_of(checkpoint)
    files = find_files(FinetuneConfig(root=str(root), data=str(out / "split.csv")))
    train = [files.files[row] for row in files.rows("train")]
    golden = [train[i] for i in np.unique(np.linspace(0, len(train) - 1, GOLDEN).astype(int))]
    bundle = pack(
        graph,
        preprocess,
        name=out.resolve().name,
        description=f"{checkpoint.config.backbone}, fine-tuned on {len(files.classes)} classes",
        golden_frames=preprocess.batch([read_image(path) for path in golden]),
        provenance={key: checkpoint.card[key] for key in ("config", "figures", "sha256")},
    ).save(out / "model.edgefs")
    gallery = out / "classes.db"
    return {"bundle": str(bundle.path), "gallery": str(gallery), "shots": enrol_classes(bundle, files, gallery)}


def enrol_classes(bundle: Bundle, files: LabelledFiles, gallery: str | Path, *, engine: str = "auto") -> int:
    """Fill a new gallery file with the training pictures of every class; returns how many shots it has.

    The pictures are embedded by the bundle's own engine, so they are what the device will compare with.
    """
    if Path(gallery).exists():
        raise ConfigError(f"{gallery} must be a new file, but is there already; choose another")
    rows = files.rows("train")
    shots = 0
    with (
        Recognizer(bundle, engine=engine) as recognizer,
        open_gallery(gallery, fingerprint=bundle.fingerprint, dim=bundle.dim) as opened,
    ):
        for label, name in enumerate(files.classes):
            own = rows[files.labels[rows] == label]
            own = own[np.unique(np.linspace(0, len(own) - 1, MOST_SHOTS).astype(int))]
            new = [_shot(recognizer, files.files[row]) for row in own]
            shots += len(opened.add(clean_label(name), new))
    return shots


def _shot(recognizer: Recognizer, path: Path) -> NewShot:
    frame = read_image(path)
    crop = encode_jpeg(frame)
    burst = hashlib.sha256(crop).hexdigest()[:32]  # every picture is one of its own
    return NewShot(recognizer.embed([frame])[0], crop, burst, 1.0, path.name, path.stat().st_mtime)
