"""Frames that show nothing taught: sampled at intervals, or confirmed by a person."""

import numpy as np
import pytest

from runtime.errors import GalleryUnwritable
from runtime.gallery import open_gallery
from runtime.gallery.unknown_frames import CAPACITY, EVERY_S, Bank
from runtime.recognition import Recognition


@pytest.fixture
def gallery():
    with open_gallery(None, fingerprint="a" * 64, dim=2) as opened:
        yield opened


def answer(value, label=None):
    return Recognition(label, None, 0, 0, None, 0, "score", (), {}, np.full(2, value, np.float32))


def test_unknown_answers_are_sampled_at_intervals(gallery):
    bank = Bank(gallery)
    assert bank.offer(answer(1), 0.0)
    assert not bank.offer(answer(2), EVERY_S / 2)
    assert not bank.offer(answer(3, label="mug"), 2 * EVERY_S)
    assert bank.offer(answer(4), 2 * EVERY_S)
    confirmed, sampled = bank.samples()
    assert (confirmed.shape, sampled.tolist()) == ((0, 2), [[1, 1], [4, 4]])


def test_the_oldest_samples_are_dropped_and_the_version_changes_at_each_doubling(gallery):
    bank = Bank(gallery)
    versions = []
    for i in range(CAPACITY + 10):
        bank.offer(answer(i), i * EVERY_S)
        versions.append(bank.version)
    assert versions[:5] == [1, 2, 2, 3, 3]
    assert bank.samples()[1][0].tolist() == [10, 10]
    assert len(bank.samples()[1]) == CAPACITY


def test_confirmed_frames_are_stored_at_once_or_not_at_all(gallery, monkeypatch):
    bank = Bank(gallery)
    bank.tell(np.ones((2, 2), np.float32))
    assert [confirmed for confirmed, _ in gallery.background()] == [True, True]

    def refuse(frames):
        raise GalleryUnwritable("full")

    monkeypatch.setattr(gallery, "set_background", refuse)
    with pytest.raises(GalleryUnwritable):
        bank.tell(np.zeros((1, 2), np.float32))
    assert len(bank.samples()[0]) == 2
    assert bank.offer(answer(1), 0.0), "samples stay in memory if they cannot be stored"
