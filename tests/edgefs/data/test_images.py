"""Image sets: decoded once, cached, and unreadable files are named."""

import json
import subprocess
import sys

import numpy as np
import pytest

from edgefs.data import images as images_module
from edgefs.data import load, spec_of
from edgefs.data.images import CACHE
from edgefs.errors import ConfigError, DataCorrupt, DataError, DataMissing
from runtime.preprocess import Preprocess

pytest.importorskip("cv2")
SMALL = Preprocess((16, 16), resampler="area")
NAMES = [f"class{i}" for i in range(10)]


def test_a_folder_is_read_into_bytes_with_labels_by_class(tmp_path, write_classes):
    write_classes(tmp_path, NAMES)
    train, val = (load("folder", tmp_path, split, preprocess=SMALL) for split in ("train", "val"))
    assert train.images.shape == (48, 16, 16, 3)
    assert train.images.dtype == np.uint8
    assert val.classes == ("class4", "class9")
    assert not set(train.classes) & set(val.classes)
    image, label = train[7]
    assert image.shape == (16, 16, 3)
    assert train.classes[label] == "class1"


def test_split_folders_and_nested_classes_are_found(tmp_path, write_classes):
    write_classes(tmp_path / "train", ["a/x", "a/y"])
    write_classes(tmp_path / "val", ["b"])
    assert load("folder", tmp_path, "train", preprocess=SMALL).classes == ("a/x", "a/y")
    with pytest.raises(DataMissing, match="there is only"):
        load("folder", tmp_path, "test", preprocess=SMALL)


def test_a_second_call_reads_the_cache_and_no_picture(tmp_path, write_classes, monkeypatch):
    write_classes(tmp_path, NAMES)
    first = load("folder", tmp_path, "train", preprocess=SMALL)
    monkeypatch.setattr(images_module, "read_image", None)
    again = load("folder", tmp_path, "train", preprocess=SMALL)
    assert (first.images == again.images).all()
    assert (first.hashes == again.hashes).all()


def test_a_changed_file_makes_the_cache_anew(tmp_path, write_classes):
    write_classes(tmp_path, NAMES)
    first = load("folder", tmp_path, "train", preprocess=SMALL)
    (tmp_path / "class0" / "00.png").write_bytes((tmp_path / "class1" / "00.png").read_bytes())
    again = load("folder", tmp_path, "train", preprocess=SMALL)
    assert (first.images[0] != again.images[0]).any()


def test_a_torn_cache_is_made_anew(tmp_path, write_classes):
    write_classes(tmp_path, NAMES)
    first = load("folder", tmp_path, "train", preprocess=SMALL)
    for file in (tmp_path / CACHE).glob("*.npy"):
        file.write_bytes(file.read_bytes()[:200])
    assert (load("folder", tmp_path, "train", preprocess=SMALL).images == first.images).all()


def test_a_large_set_is_mapped_from_disk(tmp_path, write_classes, monkeypatch):
    write_classes(tmp_path, NAMES)
    plain = load("folder", tmp_path, "train", preprocess=SMALL, cache=False)
    monkeypatch.setattr(images_module, "MAPPED_BYTES", 1000)
    first, again = (load("folder", tmp_path, "train", preprocess=SMALL) for _ in range(2))
    assert isinstance(again.images, np.memmap)
    assert (first.images == plain.images).all()
    assert (again.images == plain.images).all()


def test_bad_files_are_all_named_before_anything_else(tmp_path, write_classes):
    write_classes(tmp_path, NAMES)
    (tmp_path / "class0" / "01.png").write_bytes(b"not a picture")
    (tmp_path / "class1" / "02.png").write_bytes(b"")
    with pytest.raises(DataCorrupt, match="2 are not") as caught:
        load("folder", tmp_path, "train", preprocess=SMALL)
    assert "class0/01.png" in str(caught.value)
    assert "class1/02.png" in str(caught.value)


def test_bad_files_are_skipped_and_counted_when_asked(tmp_path, write_classes):
    write_classes(tmp_path, NAMES)
    (tmp_path / "class0" / "01.png").write_bytes(b"not a picture")
    for _ in range(2):  # decoded, then from the cache
        train = load("folder", tmp_path, "train", preprocess=SMALL, policy="skip")
        assert len(train) == 47
        assert [name[-13:] for name in train.skipped] == ["class0/01.png"]
        assert np.bincount(train.labels).tolist() == [5, 6, 6, 6, 6, 6, 6, 6]


def test_a_class_whose_files_are_all_bad_is_an_error_even_when_skipping(tmp_path, write_classes):
    write_classes(tmp_path, NAMES, n_images=1)
    (tmp_path / "class0" / "00.png").write_bytes(b"")
    with pytest.raises(DataCorrupt, match=r"class0"):
        load("folder", tmp_path, "train", preprocess=SMALL, policy="skip")


def test_an_empty_class_is_an_error(tmp_path, write_classes):
    write_classes(tmp_path, NAMES)
    (tmp_path / "class2b").mkdir()
    with pytest.raises(DataError, match="class2b"):
        load("folder", tmp_path, "all", preprocess=SMALL)


def test_grey_and_colour_together_are_an_error_until_the_user_says_which(tmp_path, write_classes):
    write_classes(tmp_path, NAMES[:5])
    write_classes(tmp_path, NAMES[5:], grey=True)
    with pytest.raises(DataError, match="--channels 1"):
        load("folder", tmp_path, "all")
    assert load("folder", tmp_path, "all", preprocess=Preprocess((8, 8), 1)).images.shape[3] == 1


def test_grey_pictures_make_a_grey_set(tmp_path, write_classes):
    write_classes(tmp_path, NAMES, grey=True)
    assert load("folder", tmp_path, "train").images.shape[1:] == (84, 84, 1)


def test_missing_data_says_the_layout_it_expects(tmp_path):
    for name, text in (
        ("omniglot", "images_background"),
        ("cifar_fs", "<class>"),
        ("mini_imagenet", "csv"),
        ("folder", "<class>"),
    ):
        with pytest.raises(DataMissing, match=text):
            load(name, tmp_path / "nothing", "train")


def test_unknown_names_are_refused():
    with pytest.raises(ConfigError, match="omniglot"):
        spec_of("imagenet")


def test_loading_images_needs_no_torch(tmp_path, write_classes):
    write_classes(tmp_path, NAMES)
    code = (
        "import sys, json; sys.modules['torch'] = None\n"
        "from edgefs.data import load\n"
        f"print(json.dumps(len(load('folder', {str(tmp_path)!r}, 'train'))))"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(answer.stdout) == 48
