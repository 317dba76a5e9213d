"""Files are written whole, by one model and one run, and what is damaged is named."""

from dataclasses import replace

import pytest

from edgefs.bulk import shards
from edgefs.bulk.shards import only_writer, read_classes, read_rows
from edgefs.errors import DataCorrupt, DataError

pytestmark = pytest.mark.fleet


def test_files_that_are_not_written_whole_would_be_found(photos, embed, tmp_path, monkeypatch):
    """The protection is taken out: the file is written in its place, and the writer is killed in the middle."""

    def half(path, data):
        path.write_bytes(data[: len(data) // 2])
        raise KeyboardInterrupt

    out = tmp_path / "out"
    with monkeypatch.context() as patch:
        patch.setattr(shards, "write_file", half)
        with pytest.raises(KeyboardInterrupt):
            embed(photos, out)
    with pytest.raises(DataCorrupt, match="delete it and run edgefs embed again"):
        embed(photos, out)


def test_another_model_neither_adds_to_a_folder_nor_reads_it(photos, embed, tmp_path):
    out = tmp_path / "out"
    embed(photos / "cup", out)
    model = shards.read_model(out)
    for other in (replace(model, fingerprint="0" * 64), replace(model, precision="int8")):
        with pytest.raises(DataError, match="choose another --out"):
            embed(photos, out, model=other)
    shards.write_shard(out, 9, replace(model, fingerprint="0" * 64), list(read_rows(out))[:3])
    with pytest.raises(DataError, match="must have been embedded by one model"):
        embed(photos, out)


def test_a_folder_is_written_by_one_run_at_a_time(photos, embed, tmp_path):
    with only_writer(tmp_path / "out"), pytest.raises(DataError, match="another is writing it"):
        embed(photos, tmp_path / "out")


def test_a_full_disk_is_an_error_that_says_so(photos, embed, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(shards, "write_file", full)
    with pytest.raises(DataError, match="No space left"):
        embed(photos, tmp_path / "out")


def test_the_classes_are_the_folders_and_what_is_in_none_is_counted(photos, embed, tmp_path, tiny_bundle, caplog):
    (photos / "cup" / "00.png").rename(photos / "00.png")
    embed(photos, tmp_path / "out")
    classes = read_classes(tmp_path / "out", tiny_bundle)
    assert {label: len(some) for label, some in classes.items()} == {"cup": 39, "mug": 40, "shelf/box": 20}
    assert "1 embedded pictures are left out" in caplog.text


@pytest.mark.parametrize("content", [b"", b"PAR1", b"x" * 1000])
def test_what_edgefs_did_not_write_is_named(content, tmp_path, tiny_bundle):
    (tmp_path / "part-00000.parquet").write_bytes(content)
    with pytest.raises(DataCorrupt, match="part-00000"):
        read_classes(tmp_path, tiny_bundle)
