"""Embeds some pictures with one engine: what every process of a run does."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgefs.bulk.pictures import Picture
from runtime.bundle import Bundle
from runtime.errors import BundleCorrupt, FrameError
from runtime.model import open_model
from runtime.opencv import decode_image, load_cv2
from runtime.teaching.quality import FrameQuality


@dataclass(frozen=True)
class Job:
    """How pictures are embedded, in a form that can be sent to another process or machine.

    Attributes:
        bundle: Path of the bundle.
        fingerprint: Of the bundle, because another one may lie there on another machine.
        engine: Its name.
        precision: Of the artifact.
        device: Where OpenVINO runs; None for its CPU.
        known: sha256 of the content of pictures that were embedded before.
    """

    bundle: str
    fingerprint: str
    engine: str
    precision: str
    device: str | None
    known: Collection[str]


@dataclass(frozen=True, eq=False)
class Embedded:
    """An embedded picture.

    Attributes:
        picture: The picture.
        sha256: Of its content.
        embedding: `float32 [D]`.
        quality: Exposure and sharpness.
    """

    picture: Picture
    sha256: str
    embedding: NDArray[np.float32]
    quality: FrameQuality


@dataclass(frozen=True)
class Known:
    """A picture whose content was embedded before."""

    picture: Picture


@dataclass(frozen=True)
class Damaged:
    """A picture that cannot be read or decoded, and why."""

    picture: Picture
    why: str


Result = Embedded | Known | Damaged


class Embedder:
    """Embeds pictures with one engine on one CPU thread.

    Raises:
        BundleCorrupt: Another bundle lies in its place on this machine.
    """

    def __init__(self, job: Job) -> None:
        load_cv2().setNumThreads(1)  # as many processes as wanted share the CPUs
        bundle = Bundle.load(Path(job.bundle))
        if bundle.fingerprint != job.fingerprint:
            raise BundleCorrupt(
                f"{job.bundle} must be the bundle of fingerprint {job.fingerprint[:12]} on every machine, but is of "
                f"{bundle.fingerprint[:12]} here; copy the bundle to this machine"
            )
        self._known = job.known
        self._opened = ExitStack()
        self._model = open_model(self._opened, bundle, job.engine, 1, job.precision, job.device, None)

    def __call__(self, pictures: Sequence[Picture]) -> list[Result]:
        """Embed pictures in one call of the engine; the results have the order of the pictures."""
        results: list[Result | tuple[Picture, str]] = []
        frames = []
        for picture in pictures:
            try:
                data = picture.read()
                digest = sha256(data).hexdigest()
                if digest in self._known:
                    results.append(Known(picture))
                    continue
                frames.append(decode_image(data, picture.path))
                results.append((picture, digest))
            except (OSError, ValueError, FrameError) as error:  # ValueError: the path contains NUL
                results.append(Damaged(picture, getattr(error, "strerror", None) or str(error)))
        seen = iter(self._model.observe(frames, keep_crops=False))
        return [
            Embedded(*one, (here := next(seen)).embedding, here.quality) if isinstance(one, tuple) else one
            for one in results
        ]

    def close(self) -> None:
        """Close the engine."""
        self._opened.close()
