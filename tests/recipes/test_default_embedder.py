"""The recipe of the embedded default: its pictures, what the teacher is asked, and going on from a bundle."""

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
    """The recipe's own modules, which it imports by their bare names."""
    monkeypatch.syspath_prepend(str(RECIPE))
    yield
    for name in [name for name, module in sys.modules.items() if str(RECIPE) in str(getattr(module, "__file__", ""))]:
        del sys.modules[name]


def test_pictures_are_the_same_for_the_same_seed_and_number(recipe, tmp_path):
    from scenes import CANVAS, Scenes

    sources = {}
    for source in ("tiny_imagenet", "caltech101", "office_caltech10/amazon", "cifar_fs/train"):
        folder = tmp_path / source / "thing"
        folder.mkdir(parents=True)
        for i in range(3):
            cv2.imwrite(str(folder / f"{i}.png"), np.random.default_rng(i).integers(0, 256, (48, 64, 3), np.uint8))
        sources[source] = [folder]
    first, again, other = Scenes(sources, 0), Scenes(sources, 0), Scenes(sources, 1)
    for i in range(20):
        picture = first.picture(i)
        assert picture.shape == (CANVAS, CANVAS, 3)
        assert picture.dtype == np.uint8
        np.testing.assert_array_equal(picture, again.picture(i))
    assert (first.picture(0) != other.picture(0)).any()


def test_the_mean_over_the_places_is_the_projection_of_the_teachers_embedding(recipe):
    from lessons import CANVAS, DIM, GRID, Placed, Pooled

    features = torch.nn.Conv2d(3, 300, 32, 32)
    mean, directions = torch.randn(300), torch.randn(300, DIM)
    pictures = torch.randint(0, 256, (2, CANVAS, CANVAS, 3), dtype=torch.uint8)
    with torch.inference_mode():
        places = Placed(features, mean, directions)(pictures)
        whole = (Pooled(features)(pictures) - mean) @ directions
    assert places.shape == (2, GRID, GRID, DIM)
    torch.testing.assert_close(places.mean((1, 2)), whole, rtol=1e-3, atol=1e-3)


def test_training_goes_on_from_the_very_embeddings_of_the_bundle_that_ships(recipe):
    from photos import SIZE
    from start import student_of
    from student import embed, unit

    from runtime.engines import open_engine
    from runtime.models import default_bundle

    bundle = default_bundle()
    pictures = np.random.default_rng(0).integers(0, 256, (8, SIZE, SIZE, 3), np.uint8)
    pictures = np.stack([cv2.GaussianBlur(picture, (0, 0), 1 + i) for i, picture in enumerate(pictures)])
    student = student_of(bundle.path, pictures)
    engine = open_engine(bundle, "onnxruntime")
    expected = engine.embed(np.ascontiguousarray(pictures[..., ::-1]))
    engine.close()
    assert (unit(embed(student, pictures)) * expected).sum(1).min() > 0.9999
    student.train()
    with torch.inference_mode():
        assert torch.isfinite(student(torch.rand(4, 3, SIZE, SIZE))).all()


def test_whitening_centres_and_makes_what_varies_within_a_class_more_even(recipe):
    from photos import SIZE
    from student import Student, embed
    from whiten import whiten

    torch.manual_seed(0)
    student, rng = Student().eval(), np.random.default_rng(0)
    things = rng.integers(0, 256, (6, 1, 5, 5, 3)).repeat(8, 1) + rng.integers(-60, 60, (6, 8, 5, 5, 3))
    small = things.reshape(48, 5, 5, 3).clip(0, 255).astype(np.uint8)
    views, labels = small.repeat(SIZE // 5, 1).repeat(SIZE // 5, 2), np.arange(6).repeat(8)

    def unevenness():
        z = embed(student, views).numpy()
        z /= np.linalg.norm(z, axis=1, keepdims=True)
        rest = z - np.stack([z[labels == label].mean(0) for label in labels])
        variances = np.linalg.eigvalsh(np.cov(rest.T))[-20:]
        return variances[-1] / variances.mean()

    student.head.bias.data -= embed(student, views).mean(0)  # centred alone, to compare with
    before = unevenness()
    whiten(student, views, views, labels)
    np.testing.assert_allclose(embed(student, views).mean(0), 0, atol=1e-4)
    assert unevenness() < 0.8 * before
