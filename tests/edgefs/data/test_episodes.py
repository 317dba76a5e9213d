"""The episode sampler: right shapes, no repeats, the same episodes for the same seed, clear refusals."""

import numpy as np
import pytest

from edgefs.data.episodes import EpisodeDataset, EpisodeSampler, EpisodeShape, labels_of
from edgefs.errors import ConfigError, DataError

LABELS = np.repeat(np.arange(10) + 100, 8)
SHAPE = EpisodeShape(5, 2, 3)


def test_a_batch_has_the_shape_it_was_asked_for():
    batch = EpisodeSampler(LABELS, SHAPE).batch(0, 4)
    assert batch.support.shape == (4, 5, 2)
    assert batch.query.shape == (4, 5, 3)
    assert batch.rows.dtype == np.int64


def test_an_episode_repeats_no_class_and_no_image_and_every_row_is_of_its_class():
    sampler = EpisodeSampler(LABELS, SHAPE)
    for index in range(200):
        rows, classes, turns = sampler.draw(index)
        assert len(set(classes)) == 5
        assert len(set(rows.ravel())) == rows.size
        assert (LABELS[rows] == classes[:, None]).all()
        assert not turns.any()


def test_an_episode_depends_on_seed_and_number_alone():
    one, again, other = (
        EpisodeSampler(LABELS, SHAPE, seed=3),
        EpisodeSampler(LABELS, SHAPE, seed=3),
        EpisodeSampler(LABELS, SHAPE, seed=4),
    )
    for _ in range(5):
        one.draw(0)  # whatever was drawn before
    assert (one.draw(7)[0] == again.draw(7)[0]).all()
    assert (one.draw(7)[0] != other.draw(7)[0]).any()
    assert (one.draw(7)[0] != one.draw(8)[0]).any()


def test_batches_resume_where_they_were_left():
    sampler = EpisodeSampler(LABELS, SHAPE)
    batches = sampler.batches(4)
    first, second = next(batches), next(batches)
    assert (next(sampler.batches(4, start=4)).rows == second.rows).all()
    assert (first.rows != second.rows).any()


def test_processes_share_the_episodes_of_one_step_between_them():
    sampler = EpisodeSampler(LABELS, SHAPE)
    whole = next(sampler.batches(4)).rows
    parts = [next(sampler.batches(4, rank=rank, world=2)).rows for rank in (0, 1)]
    assert (np.stack(parts, axis=1).reshape(whole.shape) == whole).all()


def test_rotations_make_classes_of_their_own():
    sampler = EpisodeSampler(LABELS, EpisodeShape(40, 1, 1), rotations=4)
    _, classes, turns = sampler.draw(0)
    assert len(set(zip(classes, turns, strict=False))) == 40


def test_classes_of_unequal_size_are_drawn_without_padding():
    labels = np.array([0] * 5 + [1] * 50 + [2] * 7)
    sampler = EpisodeSampler(labels, EpisodeShape(3, 2, 3))
    drawn = np.concatenate([sampler.draw(i)[0].ravel() for i in range(300)])
    assert set(drawn) == set(range(62))


def test_every_image_is_drawn_about_equally_often():
    sampler = EpisodeSampler(LABELS, SHAPE)
    counts = np.bincount(np.concatenate([sampler.draw(i)[0].ravel() for i in range(2000)]), minlength=80)
    assert abs(counts - counts.mean()).max() < 6 * counts.mean() ** 0.5


@pytest.mark.parametrize(
    ("shape", "text"),
    [
        (EpisodeShape(11, 1, 1), r"needs 11 classes, but there are 10"),
        (EpisodeShape(5, 6, 3), r"needs 9 images in every class, but class 100 has 8"),
    ],
)
def test_too_few_classes_or_images_are_refused_with_the_numbers(shape, text):
    with pytest.raises(DataError, match=text):
        EpisodeSampler(LABELS, shape)


def test_impossible_shapes_are_refused():
    with pytest.raises(ConfigError, match="n_way ≥ 2"):
        EpisodeShape(1, 1, 1)
    with pytest.raises(ConfigError, match="1, 2 or 4"):
        EpisodeSampler(LABELS, SHAPE, rotations=3)


@pytest.mark.torch
def test_any_map_style_dataset_becomes_episodes():
    torch = pytest.importorskip("torch")
    images = torch.arange(80.0).view(80, 1, 1, 1).expand(-1, 1, 4, 4)

    class Plain:
        def __len__(self):
            return 80

        def __getitem__(self, i):
            return images[i], int(LABELS[i])

    labels = labels_of(Plain())
    assert (labels == LABELS).all()
    tasks = EpisodeDataset(Plain(), EpisodeSampler(labels, SHAPE), length=3)
    loader = torch.utils.data.DataLoader(tasks, batch_size=3)
    support, support_labels, query, query_labels = next(iter(loader))
    assert support.shape == (3, 10, 1, 4, 4)
    assert query.shape == (3, 15, 1, 4, 4)
    assert support_labels[0].tolist() == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]
    assert (labels[support[0, ::2, 0, 0, 0].long()] == labels[query[0, ::3, 0, 0, 0].long()]).all()
    assert query_labels.shape == (3, 15)
