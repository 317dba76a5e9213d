import numpy as np
import pytest

pytestmark = pytest.mark.torch


@pytest.fixture
def make():
    from edgefs.data import spec_of
    from edgefs.data.images import ImageSet
    from edgefs.transfer.batches import Batches
    from runtime.preprocess import Preprocess

    labels = np.repeat([0, 1], [40, 5]).astype(np.int64)
    pixels = np.zeros((45, 8, 8, 1), np.uint8) + np.arange(45, dtype=np.uint8)[:, None, None, None]
    images = ImageSet(pixels, labels, ("many", "few"), np.zeros((45, 16), np.uint8), Preprocess((8, 8), 1))
    return lambda **options: Batches(images, np.arange(45), spec_of("folder", size=8, channels=1), **options)


def test_an_epoch_shows_every_picture_once_in_batches_of_nearly_one_size(make):
    batches = make(batch=8)
    labels = [len(labels) for _, labels in batches.epoch(0)]
    assert len(labels) == len(batches)
    assert sum(labels) == 45
    assert max(labels) - min(labels) <= 1


def test_a_batch_is_a_function_of_seed_and_epoch(make):
    def pixels(seed, epoch):
        batches = make(batch=8, seed=seed, augment=("shift",))
        return np.concatenate([images.numpy().ravel() for images, _ in batches.epoch(epoch)])

    assert (pixels(0, 3) == pixels(0, 3)).all()
    assert (pixels(0, 3) != pixels(0, 4)).any()
    assert (pixels(0, 3) != pixels(1, 3)).any()


def test_a_balanced_epoch_shows_both_classes_equally_often(make):
    drawn = np.concatenate(
        [labels.numpy() for epoch in range(20) for _, labels in make(batch=8, balanced=True).epoch(epoch)]
    )
    assert 0.4 < drawn.mean() < 0.6


def test_waiting_for_a_batch_is_counted(make):
    batches = make(batch=8)
    list(batches.epoch(0))
    assert batches.waited_s > 0
