import csv
from collections import Counter

import pytest

from edgefs.data import load
from edgefs.errors import DataError, DataMissing
from runtime.errors import InvalidLabel

pytestmark = pytest.mark.torch


def splits_of(config):
    from edgefs.transfer.files import find_files

    files = find_files(config)
    return files, {split: Counter(files.labels[files.rows(split)].tolist()) for split in ("train", "val", "test")}


def test_a_folder_without_splits_is_split_in_the_same_proportion_for_every_class(small_config):
    _, counts = splits_of(small_config())
    assert all(set(own.values()) == {n} for own, n in zip(counts.values(), (6, 2, 2), strict=True))


def test_the_split_is_the_same_every_time_and_another_with_another_seed(small_config):
    one, again, other = (splits_of(small_config(seed=seed))[0] for seed in (0, 0, 1))
    assert one.files == again.files
    assert (one.splits == again.splits).all()
    assert dict(zip(one.files, one.splits, strict=True)) != dict(zip(other.files, other.splits, strict=True))


def test_a_saved_split_can_be_used_as_a_list(small_config, tmp_path):
    files, _ = splits_of(small_config())
    files.save(tmp_path / "split.csv")
    again, _ = splits_of(small_config(data=str(tmp_path / "split.csv"), seed=5))
    assert again.files == files.files
    assert (again.splits == files.splits).all()


def test_so_many_pictures_a_class_train_and_the_rest_test(small_config):
    _, counts = splits_of(small_config(per_class=7, val_share=0))
    assert set(counts["train"].values()) == {7}
    assert set(counts["test"].values()) == {3}
    assert not counts["val"]


def test_given_splits_are_kept_and_only_val_is_taken_from_train(small_config, write_pictures, tmp_path):
    write_pictures(tmp_path / "data" / "train", n_images=10)
    write_pictures(tmp_path / "data" / "test", n_images=4)
    _, counts = splits_of(small_config(root=tmp_path / "data"))
    assert [set(own.values()) for own in counts.values()] == [{8}, {2}, {4}]


def test_a_class_missing_from_a_split_is_named(small_config, write_pictures, tmp_path):
    write_pictures(tmp_path / "data" / "train")
    write_pictures(tmp_path / "data" / "val", names=("ant", "bee"))
    with pytest.raises(DataError, match="val lacks cat; add pictures"):
        splits_of(small_config(root=tmp_path / "data"))
    write_pictures(tmp_path / "data" / "val", names=("cat", "dog"))
    with pytest.raises(DataError, match="train lacks dog"):
        splits_of(small_config(root=tmp_path / "data"))


def test_one_picture_in_a_class_is_named_with_what_to_do(small_config, write_pictures, tmp_path):
    write_pictures(tmp_path / "data")
    write_pictures(tmp_path / "data", names=("lonely",), n_images=1)
    with pytest.raises(DataError, match=r"class lonely .* has 1; add some, or split less"):
        splits_of(small_config(root=tmp_path / "data"))


@pytest.mark.parametrize(
    ("rows", "kind", "message"),
    [
        ([("file", "label")], DataError, "must have columns path and label"),
        ([("path", "label", "split"), ("a.png", "ant", "exam")], DataError, "line 2 .* split of train, val, test"),
        ([("path", "label", "split"), ("a.png", "ant", "")] * 1 + [("b.png", "bee", "val")], DataError, "every row"),
        ([("path", "label", "split"), ("a.png", "ant", "val")], DataMissing, "rows of split train"),
    ],
)
def test_a_list_that_is_not_one_says_what_it_must_have(small_config, tmp_path, rows, kind, message):
    with (tmp_path / "list.csv").open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    with pytest.raises(kind, match=message):
        splits_of(small_config(data=str(tmp_path / "list.csv")))


NAMES = ("ant", "bee, the worker")
LISTS = {
    "a byte order mark": lambda rows: "\ufeff" + rows,
    "spaces round commas": lambda rows: rows.replace(",", " , ").replace("bee ,  the", "bee, the"),
    "spaces after commas only": lambda rows: rows.replace(",", ", ").replace("bee,  the", "bee, the"),
    "CRLF": lambda rows: rows.replace("\n", "\r\n"),
    "CR": lambda rows: rows.replace("\n", "\r"),
    "capital column names": lambda rows: rows.replace("path,label", "Path,LABEL"),
    "empty lines and columns": lambda rows: rows.replace("\n", ",,\n\n"),
    "backslashes": lambda rows: rows.replace("/", "\\"),
    "semicolons": lambda rows: rows.replace('"', "").replace(",", ";").replace("bee;", "bee,"),
    "tabs and a byte order mark": lambda rows: (
        "\ufeff" + rows.replace('"', "").replace(",", "\t").replace("bee\t", "bee,")
    ),
    "every name in quotes": lambda rows: "".join(
        ",".join(f'"{name.strip(chr(34))}"' for name in line.split(",", 1)) + "\n" for line in rows.splitlines()
    ),
}


@pytest.mark.parametrize("below", ["root", "list"])
@pytest.mark.parametrize("kind", LISTS)
def test_a_list_is_read_as_spreadsheets_and_people_write_it(small_config, write_pictures, tmp_path, kind, below):
    root = write_pictures(tmp_path / "pictures", names=NAMES)
    rows = "path,label\n" + "".join(f'{name.split(",")[0]}/{i:02}.png,"{name}"\n' for name in NAMES for i in range(10))
    (root / NAMES[1]).rename(root / "bee")
    place = tmp_path / "list.csv" if below == "root" else root / "list.csv"
    place.write_bytes(LISTS[kind](rows).encode())
    files, _ = splits_of(small_config(root=root if below == "root" else tmp_path, data=str(place)))
    assert files.classes == NAMES
    assert len(files.files) == 20
    assert all(path.is_file() for path in files.files)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (("cat", "cat "), "'cat', 'cat ' differ only in"),
        (("cat", "unknown"), "must not be 'unknown'"),
        (("cat", "x" * 110), "1 to 100 characters"),
        (("caf\u00e9", "cafe\u0301"), "Unicode form"),
    ],
)
def test_names_of_classes_are_checked_before_any_work_also_without_a_bundle(
    small_config, write_pictures, tmp_path, names, message
):
    from edgefs.methods import config_of
    from edgefs.transfer.domains import find_domains
    from edgefs.transfer.finetune import Finetuning

    root = write_pictures(tmp_path / "names", names=names, n_images=3)
    with pytest.raises(InvalidLabel, match=message):
        Finetuning(small_config(root=root, bundle=False), quiet=True)
    assert not (tmp_path / "run").exists()
    with pytest.raises(InvalidLabel, match=message):
        load("folder", root, "all")
    with pytest.raises(InvalidLabel, match=message):
        find_domains(config_of("dann", source=str(root), target=str(root)))
