"""Turns the frames of one burst into shots: which frames are kept, and advice about the others."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from runtime.gallery import NewShot
from runtime.opencv import encode_jpeg, load_cv2
from runtime.recognition import AcceptedFrame, RejectedFrame
from runtime.teaching.quality import FrameQuality, blurred, same_view

CROP_SIDE = 320  # pixels, the shorter side of a stored crop: enough for a later bundle with a larger input
WHAT_TO_DO = {
    "too dark": "add light",
    "too bright": "turn the light down or shorten the exposure",
    "blurred": "hold still for a moment",
    "same view": "turn the object or move the camera",
}


@dataclass(frozen=True, eq=False)
class Observation:
    """What is stored of one frame.

    Attributes:
        embedding: `float32 [D]`.
        crop: JPEG of the frame, with at most CROP_SIDE pixels on its shorter side; None if crops are not kept.
        quality: Exposure and sharpness.
        model: Fingerprint of the bundle that embedded it; "" means the bundle of the recognizer.
    """

    embedding: NDArray[np.float32]
    crop: bytes | None
    quality: FrameQuality
    model: str = ""


def choose(
    observations: Sequence[Observation], taken: NDArray[np.float32]
) -> tuple[list[int], list[RejectedFrame], list[float]]:
    """Choose the frames of a burst that are kept.

    Args:
        observations: The frames of the burst.
        taken: Embeddings of the views that the class has already, `float32 [n, D]`.

    Returns:
        The indices of the kept frames, the other frames with a reason, and the quality 0..1 of each kept frame.
    """
    sharpness = np.array([seen.quality.sharpness for seen in observations])
    blur = blurred(sharpness)
    best = float(np.quantile(sharpness, 0.75)) if len(sharpness) else 1.0
    kept: list[int] = []
    rejected: list[RejectedFrame] = []
    for i, seen in enumerate(observations):
        if reason := fault(seen, taken, blurred=bool(blur[i])):
            rejected.append(RejectedFrame(i, reason))
            continue
        taken = np.vstack([taken, seen.embedding])
        kept.append(i)
    return kept, rejected, [min(1.0, float(sharpness[i]) / max(best, 1e-6)) for i in kept]


def fault(seen: Observation, taken: NDArray[np.float32], *, blurred: bool) -> str | None:
    """Return why a frame is not kept beside the views already taken, `float32 [n, D]`; None if it is."""
    reason = seen.quality.exposure_fault() or ("blurred" if blurred else None)
    return reason or ("same view" if same_view(seen.embedding, taken) else None)


def new_shots(
    observations: Sequence[Observation], qualities: Sequence[float], *, source: str, now_s: float
) -> list[NewShot]:
    """Return the shots of one burst. `now_s` is the time in Unix seconds."""
    burst = uuid.uuid4().hex
    return [
        NewShot(seen.embedding, seen.crop, burst, quality, source, now_s)
        for seen, quality in zip(observations, qualities, strict=True)
    ]


def crop_of(frame: NDArray[np.uint8]) -> bytes:
    """Encode the whole frame, with at most CROP_SIDE pixels on its shorter side, so that any bundle can use it."""
    scale = CROP_SIDE / min(frame.shape[:2])
    if scale < 1:
        cv2 = load_cv2()
        frame = cv2.resize(frame, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    return encode_jpeg(frame)


def advice(n_shots: int, accepted: Sequence[AcceptedFrame], rejected: Sequence[RejectedFrame]) -> Iterator[str]:
    """Yield sentences for the person who taught, the most useful first. `n_shots` counts all shots of the class."""
    reasons = [frame.reason for frame in rejected]
    for reason in sorted(set(reasons), key=reasons.count, reverse=True):
        if not accepted or reasons.count(reason) > len(accepted) or reason != "same view":
            yield f"{reasons.count(reason)} of {len(accepted) + len(rejected)} frames: {reason}; {WHAT_TO_DO[reason]}"
    if accepted and n_shots < 5:
        yield f"{n_shots} view{'s' if n_shots > 1 else ''} so far; five different ones make it reliable"
    if not accepted and not rejected:
        yield "no frames were given"
