"""The recipe of the embedded default: its photographs, the joint teacher, stored targets, and the student."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
cv2 = pytest.importorskip("cv2")

RECIPE = Path(__file__).parents[2] / "recipes" / "default_embedder"
pytestmark = pytest.mark.torch


@pytest.fixture
def recipe(monkeypatch):
    """Make the recipe's own modules importable by the bare names that they use for each other."""
    monkeypatch.syspath_prepend(str(RECIPE))
    yield
    for name in [name for name, module in sys.modules.items() if str(RECIPE) in str(getattr(module, "__file__", ""))]:
        del sys.modules[name]


def encoded(seed: int, height: int = 60, width: int = 80) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 256, (height // 10, width // 10, 3), np.uint8)
    return cv2.imencode(".png", pixels.repeat(10, 0).repeat(10, 1))[1].tobytes()


def test_a_crop_lies_in_its_picture_and_is_the_same_whenever_it_is_asked_for(recipe):
    from teacher_targets import box_of

    assert box_of((60, 80, 3), 0, 5, seed=0) == (0, 10, 60, 60)  # the square that a device takes
    for crop in range(1, 30):
        top, left, height, width = box = box_of((60, 80, 3), crop, 5, seed=0)
        assert box == box_of((60, 80, 3), crop, 5, seed=0)
        assert 0 <= top <= top + height <= 60
        assert 0 <= left <= left + width <= 80
        assert height * width >= 0.15 * 60 * 80
    assert box_of((60, 80, 3), 1, 5, seed=0) != box_of((60, 80, 3), 1, 6, seed=0)


def test_whole_sources_and_classes_are_held_out(recipe):
    from photos import HELD_OUT_SOURCES, Photo, split

    pool = [Photo("caltech101", f"class{i:02}", b"") for i in range(20) for _ in range(2)]
    pool += [Photo(source, f"kind{i}", b"") for source in ("imagenet_samples", "nips2017") for i in range(9)]
    pool += [Photo(source, "thing", b"") for source in (*HELD_OUT_SOURCES, "clothing")]
    training, held_out = split(pool)
    assert len(training) + len(held_out) == len(pool)
    assert not {(p.source, p.label) for p in training} & {(p.source, p.label) for p in held_out}
    assert {p.label for p in held_out if p.source == "caltech101"} == {"class05", "class15"}
    in_both = [{p.label for p in held_out if p.source == source} for source in ("imagenet_samples", "nips2017")]
    assert in_both[0] == in_both[1] == {"kind0", "kind3", "kind6"}
    assert {p.source for p in training} == {"caltech101", "imagenet_samples", "nips2017", "clothing"}


def test_the_mean_over_the_places_is_the_projection_of_both_teachers_embeddings(recipe):
    from teacher import GRID, Places, Projection

    rng = np.random.default_rng(0)
    pictures = torch.randint(0, 256, (2, 224, 224, 3), dtype=torch.uint8)
    with torch.inference_mode():
        conv = torch.nn.Conv2d(3, 12, 32, 32)
        places = Places(conv, 7, 127.5, 127.5)(pictures)
        whole = conv((pictures.permute(0, 3, 1, 2).float() - 127.5) / 127.5).mean((2, 3))
    assert places.shape == (2, GRID, GRID, 12)
    torch.testing.assert_close(places.mean((1, 2)), whole, rtol=1e-3, atol=1e-4)

    features = [rng.normal(size=(64, 12)).astype(np.float32), rng.normal(size=(64, 9)).astype(np.float32)]
    projection = Projection.fitted(features, dim=21)
    maps = tuple(rng.normal(size=(2, GRID, GRID, f.shape[1])).astype(np.float32) for f in features)
    parts = [m.mean((1, 2)) - f.mean(0) for m, f in zip(maps, features, strict=True)]
    joined = np.concatenate([part / np.linalg.norm(part, axis=1, keepdims=True) for part in parts], 1)
    np.testing.assert_allclose(
        projection(maps).mean((1, 2)), joined @ projection.directions / np.sqrt(2), rtol=1e-3, atol=1e-5
    )


def test_stored_targets_are_whitened_and_only_answered_crops_are_chosen(recipe, tmp_path):
    from teacher import DIM, GRID
    from teacher_targets import Targets

    rng, crops, pictures, done = np.random.default_rng(0), 3, 40, 60
    spread = np.linspace(1, 9, DIM) ** 0.5
    values = (rng.normal(size=(crops, pictures, 1, 1, DIM)) * spread).repeat(GRID, 2).repeat(GRID, 3)
    np.save(tmp_path / "targets.npy", values.astype(np.float16))
    (tmp_path / "targets.json").write_text(json.dumps({"done": done, "pictures": pictures, "seed": 0, "crops": crops}))
    targets = Targets(tmp_path)
    crop, picture = targets.choose(done, rng)
    assert len({*zip(crop, picture, strict=True)}) == done
    assert set(picture[crop == 1]) == set(targets.order[: done - pictures])
    assert not (crop == 2).any()
    lengths = [np.linalg.norm(targets.places(0, i).mean((0, 1))) for i in range(pictures)]
    assert np.sqrt(np.mean(np.square(lengths))) == pytest.approx(1, abs=1e-3)
    assert targets.whole(np.arange(4)).norm(dim=1).numpy() == pytest.approx(1, abs=1e-5)
    assert targets.scale[-20:].mean() < targets.scale[:20].mean()


def test_preparing_for_training_changes_no_embedding_and_the_weights_come_back(recipe):
    from photos import SIZE
    from student import FROZEN, WIDTH, Student, embed, plain_weights, prepare_for_training
    from teacher import DIM, GRID

    torch.manual_seed(0)
    student = Student().eval()
    pictures = np.random.default_rng(0).integers(0, 256, (2, SIZE, SIZE, 3), np.uint8)
    before, weights = embed(student, pictures), plain_weights(student)
    assert student.head.in_features == WIDTH
    prepare_for_training(student)
    torch.testing.assert_close(embed(student, pictures), before)
    assert set(weights) == set(Student().state_dict())
    for name, value in plain_weights(student).items():
        torch.testing.assert_close(value, weights[name])
    places = student.places(torch.rand(2, 3, SIZE, SIZE))
    assert places.shape == (2, GRID, GRID, DIM)
    places.sum().backward()
    assert all(p.grad is None for p in student.features[:FROZEN].parameters())
    assert all(p.grad is not None for p in student.features[FROZEN:].parameters())


def test_least_squares_finds_a_linear_head(recipe, monkeypatch):
    import initial

    monkeypatch.setattr(initial, "RIDGE", 1e-9)
    features, weight, bias = torch.randn(200, 12), torch.randn(5, 12), torch.randn(5)
    found_weight, found_bias = initial.least_squares(features, features @ weight.T + bias)
    torch.testing.assert_close(found_weight, weight, rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(found_bias, bias, rtol=1e-3, atol=1e-4)


def test_student_views_and_their_augmentation_keep_size_and_range(recipe):
    from augment import augment, student_view
    from photos import SIZE, Photo

    rng = np.random.default_rng(0)
    pixels = Photo("any", "", encoded(0)).decode()
    assert pixels.shape == (60, 80, 3)
    views = np.stack([student_view(pixels, (5, 10, 40, 50), rng) for _ in range(8)])
    assert views.shape == (8, SIZE, SIZE, 3)
    assert views.dtype == np.uint8
    x = augment(views)
    assert x.shape == (8, 3, SIZE, SIZE)
    assert -1 <= x.min() < x.max() <= 1


def test_clips_are_named_when_embeddings_tell_things_apart_and_not_when_they_do_not(recipe):
    from validate import across, clips_named

    rng = np.random.default_rng(0)
    times = np.linspace(0, 10, 30)
    clips = [{"group": f"thing{i}", "times": times} for i in range(12)]
    apart = [np.eye(12)[[i] * 30] + 0.01 * rng.normal(size=(30, 12)) for i in range(12)]
    assert clips_named(clips, apart, 3, galleries=20) > 95
    assert clips_named(clips, [rng.normal(size=(30, 12)) for _ in range(12)], 3, galleries=20) < 30
    labels = np.array(["a", "b", "c"])
    assert across((np.eye(3), labels), (np.eye(3), labels)) == 100
