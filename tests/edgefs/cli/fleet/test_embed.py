"""`edgefs embed` and what reads its files: search, enrolment and evaluation, which then embed nothing."""

import cv2
import pytest

from edgefs.cli import main
from runtime.gallery import open_gallery
from runtime.model import Model

pytestmark = pytest.mark.fleet
TINY = ["--bundle", "tiny.edgefs"]
EMBED = [*TINY, "--engine", "onnxruntime", "--processes", "1"]


@pytest.fixture
def photos(shop, tiny):
    """Two class folders, with a damaged picture."""
    for label, seed in (("mug", 0), ("cup", 1)):
        folder = shop / "photos" / label
        folder.mkdir(parents=True)
        for i, view in enumerate(tiny.views(seed, 6, start=60)):
            cv2.imwrite(str(folder / f"{i}.png"), view)
    (shop / "photos" / "mug" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    return shop / "photos"


@pytest.fixture
def embedded(photos, run):
    status, report, _ = run("embed", "photos", "--out", "embedded", *EMBED)
    assert (status, report["pictures"], report["embedded"], report["known"]) == (0, 13, 12, 0)
    return report


def taught(path):
    with open_gallery(path, fingerprint=None, dim=None) as gallery:
        crops = [gallery.crop(int(i)) is not None for known in gallery.classes.values() for i in known.ids]
        return {label: known.embeddings for label, known in gallery.classes.items()}, crops


def test_what_is_damaged_is_counted_and_named_and_a_second_run_goes_on(embedded, run, capsys):
    assert [one["path"].rpartition("/")[2] for one in embedded["damaged"]] == ["broken.png"]
    assert (embedded["model"]["precision"], embedded["processes"]) == ("fp32", 1)
    assert main(["embed", "photos", "--out", "embedded", *EMBED]) == 0
    out = capsys.readouterr().out
    assert "embedded 0 of 13 pictures" in out
    assert "12 had been embedded before" in out
    assert "1 cannot be used:\n" in out
    assert "photos/mug/broken.png: " in out


def test_a_search_finds_the_picture_itself_first(embedded, run, capsys):
    status, report, _ = run("search", "photos/cup/3.png", "--in", "embedded", "--top", "3", *TINY)
    assert status == 0
    assert report["found"][0]["label"] == "cup"
    assert report["found"][0]["path"].endswith("photos/cup/3.png")
    assert report["found"][0]["score"] == pytest.approx(1, abs=1e-4)
    scores = [one["score"] for one in report["found"]]
    assert scores == sorted(scores, reverse=True)
    assert len(scores) == 3
    main(["search", "photos/cup/3.png", "--in", "embedded", *TINY])
    assert "photos/cup/3.png" in capsys.readouterr().out


def test_an_enrolment_from_embedded_pictures_is_that_from_the_pictures(embedded, run, monkeypatch):
    options = [*TINY, "--engine", "onnxruntime"]
    run("enroll", "--tree", "photos", "--gallery", "pictures.db", *options)
    with monkeypatch.context() as patch:
        patch.setattr(Model, "observe", lambda *_, **__: pytest.fail("a picture was embedded again"))
        status, report, _ = run("enroll", "--embedded", "embedded", "--gallery", "embedded.db", *options)
    assert (status, [one["label"] for one in report["classes"]]) == (0, ["cup", "mug"])
    (wanted, _), (got, crops) = taught("pictures.db"), taught("embedded.db")
    assert all(crops)
    assert {label: len(some) for label, some in got.items()} == {label: len(some) for label, some in wanted.items()}
    for label, rows in got.items():
        assert abs(rows - wanted[label]).max() < 1e-5


def test_without_its_pictures_an_enrolment_needs_no_crops(embedded, photos, run):
    (photos / "mug" / "0.png").write_bytes((photos / "cup" / "0.png").read_bytes())
    (photos / "mug" / "1.png").unlink()
    options = [*TINY, "--engine", "onnxruntime", "--embedded", "embedded"]
    _, report, _ = run("enroll", "--gallery", "crops.db", *options)
    mug = report["classes"][1]
    assert len(mug["unreadable"]) == 2
    assert "another content than when it was embedded" in mug["unreadable"][0]
    assert "No such file" in mug["unreadable"][1]
    _, report, _ = run("enroll", "--gallery", "none.db", "--no-crops", *options)
    assert report["classes"][1]["unreadable"] == []
    assert not any(taught("none.db")[1])


def test_another_model_reads_nothing_and_the_error_says_so(embedded, run):
    for command in (
        ["search", "photos/cup/3.png", "--in", "embedded"],
        ["enroll", "--embedded", "embedded", "--gallery", "new.db"],
    ):
        status, report, _ = run(*command)
        assert status == 1
        assert "must have been embedded by edgefs-default" in report["error"]["message"]
    status, report, _ = run("embed", "photos", "--out", "embedded", "--processes", "1")
    assert (status, report["error"]["type"]) == (1, "DataError")
    status, report, _ = run("search", "photos/cup/3.png", "--in", "photos", *TINY)
    assert "has no part-*.parquet; make them: edgefs embed" in report["error"]["message"]


def test_pictures_of_a_store_are_embedded_searched_and_enrolled_and_no_secret_is_written(photos, shop, s3, run):
    address = s3.copy(photos, "commands")
    options = [*TINY, "--engine", "onnxruntime"]
    status, report, err = run("embed", address, "--out", "embedded", "--processes", "2", *options)
    assert (status, report["embedded"], len(report["damaged"])) == (0, 12, 1)
    picture = s3.address("commands/cup/3.png")
    said = [str(report), err]
    for asked in (picture, "photos/cup/3.png"):
        status, report, err = run("search", asked, "--in", "embedded", *TINY)
        assert (status, report["found"][0]["path"], report["found"][0]["label"]) == (0, picture, "cup")
        said += [str(report), err]
    s3.delete("commands/cup/3.png")
    status, report, err = run("enroll", "--embedded", "embedded", "--gallery", "store.db", *options)
    assert [(one["label"], len(one["unreadable"])) for one in report["classes"]] == [("cup", 1), ("mug", 0)]
    assert all(taught("store.db")[1])
    status, report, err = run("search", picture, "--in", "embedded", *TINY)
    assert (status, "must be a readable picture" in report["error"]["message"]) == (1, True)
    hidden = address.replace("s3://", f"s3://AKID:{s3.secret}@")
    for command in (("embed", hidden, "--out", "other", *EMBED), ("search", hidden, "--in", "embedded", *TINY)):
        status, report, err = run(*command)
        assert (status, "must hold no key" in report["error"]["message"]) == (1, True)
        said += [str(report), err]
    assert not any(secret in text for secret in (s3.secret, s3.key) for text in said)
    written = [path.read_bytes() for path in (*shop.glob("embedded/*"), *shop.glob("*.db*"))]
    assert not any(secret.encode() in data for secret in (s3.secret, s3.key) for data in written)


def test_the_files_are_not_written_into_a_store(photos, capsys):
    with pytest.raises(SystemExit):
        main(["embed", "photos", "--out", "s3://bucket/embedded", *TINY])
    assert "--out must be a folder of this machine" in capsys.readouterr().err
