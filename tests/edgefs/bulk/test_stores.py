"""Pictures in a real object store are embedded as those of a folder, and what goes wrong there is said at once."""

import time

import cv2
import pyarrow.parquet
import pytest

from edgefs.bulk.pictures import Picture, find_pictures, read_picture
from edgefs.bulk.shards import read_rows, shards_in
from edgefs.bulk.stores import connect, read_address
from edgefs.errors import StoreLost
from runtime.errors import CameraMissing

pytestmark = pytest.mark.fleet
SOON_S = 20.0  # a key that is wrong is refused at once, a server that is gone is tried for 6 seconds


def tables(folder):
    return [pyarrow.parquet.read_table(path).drop(["path"]) for path in shards_in(folder)]


@pytest.fixture
def named(photos, tiny):
    """The pictures, with more in folders whose names have what an address quotes."""
    for seed, name in enumerate(("Grüne Tasse", "杯子/klein & groß", "50 % off #1?", "a+b=c;d"), start=5):
        (photos / name).mkdir(parents=True)
        for i, view in enumerate(tiny.views(seed, 2)):
            cv2.imwrite(str(photos / name / f"é {i}+%20.png"), view)
    (photos / "mug" / "00.png").rename(photos / "top.png")
    return photos


def test_a_store_gives_the_bytes_of_the_folder_but_for_the_paths(named, embed, s3, tmp_path):
    address = s3.copy(named, "bytes/all pictures")
    embed(named, tmp_path / "here")
    report = embed(address, tmp_path / "there", processes=2)
    assert (report.embedded, report.known, len(report.damaged)) == (108, 1, 1)
    here, there = tables(tmp_path / "here"), tables(tmp_path / "there")
    assert [one.num_rows for one in there] == [108]
    assert all(one.equals(other, check_metadata=True) for one, other in zip(here, there, strict=True))
    assert {row.picture.label for row in read_rows(tmp_path / "there")} > {"Grüne Tasse", "杯子/klein & groß", None}
    assert all(row.picture.read() for row in read_rows(tmp_path / "there"))


def test_a_list_may_hold_addresses(named, s3, tmp_path):
    s3.copy(named / "Grüne Tasse", "listed/Grüne Tasse")
    (tmp_path / "list.txt").write_text(s3.address("listed/Gr%C3%BCne%20Tasse/%C3%A9%200%2B%2520.png") + "\n")
    (found,) = find_pictures(str(tmp_path / "list.txt"))
    assert found.label == "Grüne Tasse"
    assert found.read() == (named / "Grüne Tasse" / "é 0+%20.png").read_bytes()
    assert (read_picture(found.path) == cv2.imread(str(named / "Grüne Tasse" / "é 0+%20.png"))).all()


def test_a_picture_that_is_deleted_after_it_was_listed_is_counted_as_damaged(photos, embed, s3, tmp_path):
    found = find_pictures(s3.copy(photos / "mug", "deleted"))
    s3.delete("deleted/05.png")
    report = embed(found, tmp_path / "out")
    assert (report.embedded, [one.picture.path.partition("?")[0] for one in report.damaged]) == (
        39,
        ["s3://shop/deleted/05.png", "s3://shop/deleted/broken.png"],
    )
    assert "does not exist" in report.damaged[0].why


def test_a_store_that_ends_in_the_middle_ends_the_run_which_goes_on_later(photos, embed, s3, tmp_path):
    def ended(results):
        for count, result in enumerate(results):
            if count == 40:
                s3.kill()
            yield result

    found = find_pictures(s3.copy(photos, "ended"))
    start = time.monotonic()
    with pytest.raises(StoreLost, match=r"check that the store runs .*, and run the command again"):
        embed(found, tmp_path / "out", progress=ended)
    assert time.monotonic() - start < SOON_S
    s3.start()
    first = {row.sha256 for row in read_rows(tmp_path / "out")}
    assert 0 < len(first) < 100
    assert embed(found, tmp_path / "out").embedded == 100 - len(first)
    assert len(list(read_rows(tmp_path / "out"))) == 100


def test_a_key_that_is_no_longer_accepted_ends_the_run(photos, s3, monkeypatch):
    found = find_pictures(s3.copy(photos / "cup", "expired"))
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "another")
    connect.cache_clear()
    with pytest.raises(StoreLost, match="AWS_ACCESS_KEY_ID"):
        found[0].read()


def test_what_alone_cannot_be_read_does_not_end_the_run(tmp_path):
    (tmp_path / "folder.png").mkdir()
    with pytest.raises(OSError, match=r"folder\.png"):
        read_address(f"file://{tmp_path}/folder.png")


@pytest.mark.parametrize(
    ("variable", "value", "bucket", "what"),
    [
        ("AWS_SECRET_ACCESS_KEY", "hushhush", "shop", "set AWS_ACCESS_KEY_ID"),
        ("AWS_ACCESS_KEY_ID", "NOBODY", "shop", "set AWS_ACCESS_KEY_ID"),
        ("AWS_REGION", "us-east-1", "absent", "bucket does not exist.*check the address"),
        ("AWS_REGION", "us-east-1", "shop", "does not exist.*check the address"),
    ],
)
def test_a_wrong_key_and_an_absent_bucket_or_folder_are_errors_at_once(s3, monkeypatch, variable, value, bucket, what):
    monkeypatch.setenv(variable, value)
    start = time.monotonic()
    with pytest.raises(CameraMissing, match=f"s3://{bucket}/absent.*{what}") as caught:
        find_pictures(s3.address("absent", bucket))
    assert "hushhush" not in str(caught.value)
    assert time.monotonic() - start < SOON_S


def test_a_store_that_does_not_run_is_an_error_soon():
    start = time.monotonic()
    with pytest.raises(CameraMissing, match="check that the store runs"):
        find_pictures("s3://shop/photos?endpoint_override=127.0.0.1:1&scheme=http&region=us-east-1")
    assert time.monotonic() - start < SOON_S


@pytest.mark.parametrize(
    "address",
    [
        "s3://AKID:hushhush@shop/photos?region=us-east-1",
        "s3://AKID:hush/hush@shop/photos",
        "s3://AKID:1/hushhush@shop/photos",
        "s3://AKID:hushhush",
        "s3://shop/photos?access_key=AKID&secret_key=hushhush",
        "abfss://pictures@account.dfs.core.windows.net/photos?client_secret=hushhush",
        "s3://[hushhush/photos",
    ],
)
def test_an_address_with_a_secret_is_refused_and_not_repeated(address, tmp_path):
    (tmp_path / "list.txt").write_text(f"photos/mug.png\n{address}\n")
    for refused in (
        lambda: find_pictures(address),
        lambda: find_pictures(str(tmp_path / "list.txt")),
        lambda: read_picture(address),
    ):
        with pytest.raises(CameraMissing, match="must hold no key, token or password") as caught:
            refused()
        assert "hush" not in str(caught.value)


@pytest.mark.parametrize("address", ["hdfs://name@node:8020/photos/1.png", "gs://anonymous@bucket/photos/a:b.png"])
def test_an_address_with_a_user_alone_is_no_secret(address, tmp_path):
    (tmp_path / "list.txt").write_text(address)
    assert find_pictures(str(tmp_path / "list.txt")) == [Picture(address, "photos")]


def test_a_fragment_is_refused_because_it_would_be_left_out():
    with pytest.raises(CameraMissing, match="%23"):
        find_pictures("s3://shop/photos #1?region=us-east-1")
