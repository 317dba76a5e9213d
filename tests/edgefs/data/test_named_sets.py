"""Omniglot, CIFAR-FS and mini-ImageNet: who is in which split, and what is said when nothing is there."""

import hashlib
import urllib.error

import pytest

from edgefs.data import download
from edgefs.data.cifar_fs import TEST, VAL, cifar_fs, split_of
from edgefs.data.download import Archive, fetch
from edgefs.data.mini_imagenet import mini_imagenet
from edgefs.data.omniglot import CHARACTERS, VALIDATION, VINYALS_TEST, omniglot
from edgefs.errors import ConfigError, DataCorrupt, DataMissing


@pytest.fixture
def small_omniglot(tmp_path):
    for half, alphabets in (("images_background", ("Latin", "Hebrew")), ("images_evaluation", ("Angelic",))):
        for alphabet in alphabets:
            for i in range(2):
                folder = tmp_path / half / alphabet / f"character{i:02d}"
                folder.mkdir(parents=True)
                (folder / "0.png").touch()
    return tmp_path


def test_the_lake_split_keeps_the_evaluation_alphabets_for_the_test(small_omniglot):
    alphabets = {s: {name.split("/")[0] for name in omniglot(small_omniglot, s)} for s in ("train", "val", "test")}
    assert alphabets == {"train": {"Latin"}, "val": {"Hebrew"}, "test": {"Angelic"}}


def test_the_vinyals_split_takes_the_last_423_characters_for_the_test(tmp_path):
    for half, count in CHARACTERS.items():
        for i in range(count):
            name = "Hebrew" if half == "images_background" and i < 172 else f"Zz_{half}"
            folder = tmp_path / half / name / f"character{i:04d}"
            folder.mkdir(parents=True)
            (folder / "0.png").touch()
    sizes = {s: len(omniglot(tmp_path, s, variant="vinyals")) for s in ("train", "val", "test")}
    assert sizes == {"train": 1028, "val": 172, "test": VINYALS_TEST}


def test_an_unknown_omniglot_split_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="vinyals"):
        omniglot(tmp_path, "train", variant="random")


def test_five_alphabets_validate():
    assert len(set(VALIDATION)) == 5


def test_cifar_fs_has_16_val_and_20_test_classes():
    assert (len(set(VAL)), len(set(TEST))) == (16, 20)
    assert not set(VAL) & set(TEST)
    assert [split_of(name) for name in ("otter", "worm", "apple")] == ["val", "test", "train"]


def test_cifar_fs_offline_names_the_file_to_bring(tmp_path):
    with pytest.raises(DataMissing, match=r"cifar-100-python\.tar\.gz"):
        cifar_fs(tmp_path, "train")


def test_mini_imagenet_reads_the_csv_and_keeps_its_order(tmp_path):
    (tmp_path / "images").mkdir()
    (tmp_path / "train.csv").write_text("filename,label\nb.jpg,n2\na.jpg,n1\nc.jpg,n2\n")
    classes = mini_imagenet(tmp_path, "train")
    assert {name: [path.name for path in files] for name, files in classes.items()} == {
        "n1": ["a.jpg"],
        "n2": ["b.jpg", "c.jpg"],
    }
    with pytest.raises(DataMissing, match=r"val\.csv"):
        mini_imagenet(tmp_path, "val")


def test_a_csv_without_the_columns_is_refused(tmp_path):
    (tmp_path / "images").mkdir()
    (tmp_path / "train.csv").write_text("file,class\n")
    with pytest.raises(DataCorrupt, match="filename,label"):
        mini_imagenet(tmp_path, "train")


def test_a_failed_download_says_where_to_put_the_file_and_leaves_nothing(tmp_path, monkeypatch):
    def fail(url, target):
        target.write_bytes(b"half")
        raise urllib.error.URLError("no network")

    monkeypatch.setattr(download, "download_file", fail)
    with pytest.raises(DataMissing, match="put it at") as caught:
        fetch(Archive("https://example.org/set.zip", "0" * 32), tmp_path, expected="ROOT/<class>")
    assert "ROOT/<class>" in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_a_download_with_another_digest_is_not_unpacked(tmp_path, monkeypatch):
    monkeypatch.setattr(download, "download_file", lambda _url, target: target.write_bytes(b"not the archive"))
    with pytest.raises(DataCorrupt, match=hashlib.md5(b"not the archive").hexdigest()):
        fetch(Archive("https://example.org/set.zip", "0" * 32), tmp_path, expected="ROOT/<class>")
