"""A gallery of another model: how far the embedding is."""

from __future__ import annotations

import numpy as np

import edgefs
from runtime.app.core.other_model import OtherModel


def test_the_progress_never_passes_the_number_of_shots_although_forgotten_ones_are_embedded_too(tmp_path, tiny_bundle):
    path, seen = tmp_path / "shop.db", []
    frames = [np.random.default_rng(seed).integers(0, 255, (64, 64, 3), np.uint8) for seed in range(12)]
    with edgefs.Recognizer(edgefs.default_bundle(), gallery=path) as recognizer:
        recognizer.enroll("mug", frames[:6])
        recognizer.enroll("cup", frames[6:])
        recognizer.reject(frames[0], "cup")
        recognizer.forget("mug")
    with edgefs.Recognizer(tiny_bundle) as recognizer:
        other = OtherModel(path, recognizer, lambda: recognizer)
        shown = other.mismatch.shots
        other.start(lambda: seen.append(other.mismatch), lambda _: None)
        other.join()
    done = [(each.done, each.shots) for each in seen if each.done is not None]
    assert done[-1][0] == done[-1][1] > shown
    assert all(now <= of for now, of in done)
