"""Which pictures calibrate and verify: spread over folders and time, counted and named."""

import shutil

import numpy as np
import pytest

pytestmark = pytest.mark.torch

from exporters.errors import PicturesError  # noqa: E402
from exporters.sources.pictures import FEWEST, VIEWS, sample_pictures, verification_pictures  # noqa: E402
from runtime.errors import CameraError, FrameError  # noqa: E402


def test_every_folder_gives_its_share(photos, preprocess):
    pictures = sample_pictures(photos, preprocess, count=24)
    assert len(pictures) == 24
    assert np.unique(pictures.labels, return_counts=True)[1].tolist() == [3] * 8
    assert pictures.frames.shape == (24, *preprocess.shape)
    assert pictures.facts()["names"][0].startswith("class 0/")
    assert sample_pictures(photos, preprocess, count=24).names == pictures.names


def test_a_video_is_sampled_over_its_whole_length(tmp_path, preprocess):
    cv2 = pytest.importorskip("cv2")
    path = tmp_path / "clip.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 25, (64, 64))
    for i in range(200):
        writer.write(np.full((64, 64, 3), i, np.uint8))
    writer.release()
    pictures = sample_pictures(path, preprocess, count=20)
    shades = pictures.frames.mean(axis=(1, 2, 3))
    assert len(pictures) == 20
    assert np.abs(np.diff(shades) - 10).max() < 7
    assert shades[-1] > 190
    assert pictures.names[-1].endswith(" s")
    assert verification_pictures(path, preprocess).kind == "views"


def test_too_few_pictures_are_refused_with_the_number(photos, preprocess):
    with pytest.raises(PicturesError, match=f"at least {FEWEST} pictures, but has 6"):
        sample_pictures(photos / "class 0", preprocess)


def test_what_cannot_be_read_is_named(tmp_path, preprocess):
    with pytest.raises(CameraError, match="gone"):
        sample_pictures(tmp_path / "gone", preprocess)
    for i in range(20):
        (tmp_path / f"{i}.png").write_bytes(b"no picture")
    with pytest.raises(FrameError, match=r"\.png"):
        sample_pictures(tmp_path, preprocess)


def test_class_folders_verify_as_classes_and_loose_pictures_as_views_of_themselves(photos, preprocess, tmp_path):
    import shutil

    assert verification_pictures(photos, preprocess).kind == "classes"
    for i, path in enumerate(sorted(photos.rglob("*.png"))[:20]):
        shutil.copy(path, tmp_path / f"{i}.png")
    views = verification_pictures(tmp_path, preprocess)
    assert views.kind == "views"
    assert views.classes(fewest=VIEWS) == 20


def test_without_a_folder_scikit_image_lends_its_photographs(preprocess):
    pytest.importorskip("skimage")
    pictures = verification_pictures(None, preprocess)
    assert pictures.source == "scikit-image"
    assert pictures.classes(fewest=6) >= 5


def test_calibration_takes_linked_classes_and_pictures_by_content_and_names_what_it_skips(
    photos, preprocess, tmp_path, caplog
):
    root = tmp_path / "tree"
    root.mkdir()
    for name in ("class 0", "class 1"):
        (root / name).symlink_to(photos / name)
    shutil.copytree(photos / "class 2", root / "class 2")
    one = next((root / "class 2").iterdir())
    one.rename(one.with_suffix(""))
    (root / "class 2" / "._a.png").write_bytes(b"\0\5\x16\7")
    (root / "class 2" / "a.gif").write_bytes(b"GIF89a")
    pictures = sample_pictures(root, preprocess, count=100)
    assert len(pictures) == sum(len(list((photos / f"class {i}").iterdir())) for i in range(3))
    assert pictures.classes(fewest=2) == 3
    assert "1 x video (GIF): class 2/a.gif" in caplog.text
