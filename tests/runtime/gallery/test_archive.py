"""The archive of a gallery: equal bytes for equal galleries, and checked completely before anything is added."""

from __future__ import annotations

import io
import json
import zipfile
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest

from runtime.errors import GalleryCorrupt, GalleryMismatch, GalleryUnwritable, InvalidShot
from runtime.gallery import ImportSummary, NewShot, SqliteGallery, export_gallery, import_gallery, open_gallery
from runtime.opencv import decode_image, encode_jpeg

DIM = 4


def shot(seed: int, crop: bool = True) -> NewShot:
    embedding = np.random.default_rng(seed).standard_normal(DIM).astype(np.float32)
    jpeg = encode_jpeg(np.full((8, 8, 3), seed, np.uint8)) if crop else None
    return NewShot(embedding, jpeg, f"burst {seed}", 0.5, "camera 0", float(seed))


def memory(fingerprint: str = "model", dim: int = DIM) -> SqliteGallery:
    return open_gallery(None, fingerprint=fingerprint, dim=dim)


def filled() -> SqliteGallery:
    gallery = memory()
    gallery.add("mug", [shot(1), shot(2)])
    gallery.add("cup/../ß", [shot(3, crop=False)])
    gallery.add("mug", [shot(4)], negative=True)
    gallery.add("mug", [shot(5)])
    return gallery


def content(gallery: SqliteGallery) -> list[tuple[object, ...]]:
    return [(c.label, c.bursts, c.embeddings.tobytes(), c.negatives.tobytes()) for c in gallery.classes.values()]


@pytest.fixture
def archive(tmp_path):
    path = tmp_path / "shop.zip"
    with filled() as gallery:
        export_gallery(gallery, path)
    return path


def test_an_archive_holds_all_shots_and_has_the_same_bytes_every_time(archive, tmp_path):
    with filled() as gallery, memory() as copy:
        summary = import_gallery(copy, archive)
        assert summary == ImportSummary(added=5, skipped_duplicates=0, per_class={"mug": 4, "cup/../ß": 1})
        assert content(copy) == content(gallery)
        assert [copy.crop(record.id) for record in copy.records("mug")] == [shot(seed).crop for seed in (1, 2, 5, 4)]
        assert copy.history()[0].what == "imported 5 shots of 2 classes from shop.zip"
        export_gallery(copy, tmp_path / "again.zip")
        assert (tmp_path / "again.zip").read_bytes() == archive.read_bytes()
        copy.undo()
        assert not copy.classes
    assert sorted(p.name for p in tmp_path.iterdir()) == ["again.zip", "shop.zip"]


def test_shots_that_exist_already_are_skipped_even_under_a_new_label(archive):
    with filled() as gallery:
        assert import_gallery(gallery, archive) == ImportSummary(0, 5, {})
        assert len(gallery.history()) == 4, "nothing to undo was added"
    with memory() as gallery:
        gallery.add("beaker", [shot(1)])
        assert import_gallery(gallery, archive).per_class == {"beaker": 3, "cup/../ß": 1}
        assert len(gallery.classes["beaker"].ids) == 3


def test_an_archive_of_another_model_is_embedded_again_from_its_crops_on_request(archive, tmp_path):
    def embed(crops: list[bytes]) -> np.ndarray:
        return np.array([[decode_image(crop).mean(), 1] for crop in crops], np.float32)

    with memory("other", 2) as gallery:
        with pytest.raises(GalleryMismatch, match="1 of these 5 have none"):
            import_gallery(gallery, archive, embed=embed)
        with filled() as source:
            source.forget("cup/../ß")
            export_gallery(source, tmp_path / "crops.zip")
        with pytest.raises(GalleryMismatch, match=r"model of the gallery, other, but was filled by model\..*embed="):
            import_gallery(gallery, tmp_path / "crops.zip")
        with pytest.raises(InvalidShot, match=r"embed must give shape \(4, 2\), but gave \(3, 2\)"):
            import_gallery(gallery, tmp_path / "crops.zip", embed=lambda crops: embed(crops[1:]))
        assert not gallery.classes
        import_gallery(gallery, tmp_path / "crops.zip", embed=embed)
        assert gallery.classes["mug"].embeddings.tolist() == [[1, 1], [2, 1], [5, 1]]
        assert import_gallery(gallery, tmp_path / "crops.zip", embed=embed).added == 0


def test_the_undamaged_part_of_a_damaged_gallery_can_be_exported_and_imported(tmp_path):
    path = tmp_path / "torn.db"
    with open_gallery(path, fingerprint="model", dim=DIM) as gallery:
        for seed in range(100):
            gallery.add(f"class {seed % 3}", [shot(seed)])
    data = bytearray(path.read_bytes())
    page = data.index(shot(50).embedding.tobytes()) // 4096 * 4096
    data[page : page + 4096] = b"\xff" * 4096
    path.write_bytes(data)
    with open_gallery(path, fingerprint="model", dim=DIM) as torn, memory() as fresh:
        assert torn.state == "damaged"
        left = sum(len(shots.ids) for shots in torn.classes.values())
        assert 50 < left < 100
        export_gallery(torn, tmp_path / "rest.zip")
        assert import_gallery(fresh, tmp_path / "rest.zip").added == left


def rewritten(path: Path, name: str, change: object, compression: int = zipfile.ZIP_STORED) -> Path:
    """A copy of an archive with one member changed (bytes, a callable on gallery.json, or None to leave it out)."""
    target = path.with_name("changed.zip")
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(target, "w", compression) as new:
        for member in old.namelist():
            data = old.read(member)
            if member == name and callable(change):
                state = json.loads(data)
                change(state)
                data = json.dumps(state).encode()
            elif member == name and isinstance(change, bytes):
                data = change
            if member != name or change is not None:
                new.writestr(member, data)
    return target


def shot_with(key: str, value: object):
    return lambda state: state["shots"][0].update({key: value})


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("gallery.json", b"[" * 100_000, "gallery.json is missing or malformed"),
        ("gallery.json", None, "gallery.json is missing"),
        ("gallery.json", b"[]", "gallery.json is missing or malformed"),
        ("gallery.json", lambda state: state.update(format=2), "newer format 2; upgrade edgefs"),
        ("gallery.json", lambda state: state.update(dim=10**9), "not float32 with shape"),
        ("gallery.json", lambda state: state.update(dim=True), "does not state format"),
        ("gallery.json", lambda state: state["shots"].pop(), "not float32 with shape"),
        ("gallery.json", shot_with("crop", "/etc/passwd"), "shot 0 has a crop of another name"),
        ("gallery.json", shot_with("crop", None), "not those that gallery.json names"),
        ("gallery.json", shot_with("label", "a\nb"), "shot 0 is malformed"),
        ("gallery.json", shot_with("label", ["a"]), "shot 0 is malformed"),
        ("gallery.json", shot_with("quality", float("nan")), "shot 0 has the quality nan"),
        ("gallery.json", shot_with("time_s", -1e18), "shot 0 has the quality 0.5 and the time -1e[+]18"),
        ("gallery.json", shot_with("source", "x" * 100_000), "shot 0 is malformed"),
        ("gallery.json", shot_with("time_s", 10**400), "shot 0 is malformed"),
        ("gallery.json", shot_with("burst", "\ud800"), "Burst and source must be text"),
        ("gallery.json", lambda s: [i.update(negative=True) for i in s["shots"]], "must be a class of the gallery"),
        ("embeddings.npy", b"\x93NUMPY\x01\x00", "embeddings.npy has another digest"),
        ("crops/1.jpg", b"other", "crops/1.jpg has another digest"),
        ("crops/1.jpg", None, "not those that gallery.json names"),
    ],
)
def test_a_malformed_archive_is_refused_and_nothing_is_added(archive, name, change, message):
    with memory() as gallery:
        with pytest.raises(GalleryCorrupt, match=message):
            import_gallery(gallery, rewritten(archive, name, change))
        assert not gallery.classes
        assert not gallery.history()


def test_embeddings_are_checked_even_if_their_digest_is_right(archive):
    def npy(array: np.ndarray) -> bytes:
        file = io.BytesIO()
        np.save(file, array)
        return file.getvalue()

    wrong = {
        "no readable header": b"no numpy",
        "not float32 with shape": npy(np.ones((5, DIM))),
        "holds NaN": npy(np.full((5, DIM), np.nan, np.float32)),
    }
    for message, data in wrong.items():
        step = rewritten(archive, "embeddings.npy", data).replace(archive.with_name("step.zip"))
        digest = sha256(data).hexdigest()
        changed = rewritten(step, "gallery.json", lambda s, d=digest: s["sha256"].update({"embeddings.npy": d}))
        with memory() as gallery, pytest.raises(GalleryCorrupt, match=message):
            import_gallery(gallery, changed)


def test_compressed_archives_other_files_and_every_truncation_are_refused(archive, tmp_path):
    with memory() as gallery:
        bomb = rewritten(archive, "crops/1.jpg", b"\0" * 10_000_000, zipfile.ZIP_DEFLATED)
        with pytest.raises(GalleryCorrupt, match="compressed or encrypted"):
            import_gallery(gallery, bomb)
        with pytest.raises(GalleryCorrupt, match="No such file"):
            import_gallery(gallery, tmp_path / "absent.zip")
        whole = archive.read_bytes()
        for size in range(0, len(whole), 41):
            (tmp_path / "cut.zip").write_bytes(whole[:size])
            with pytest.raises(GalleryCorrupt, match="its zip is broken"):
                import_gallery(gallery, tmp_path / "cut.zip")
        for place in range(0, len(whole), 7):
            flipped = bytearray(whole)
            flipped[place] ^= 1 << place % 8
            (tmp_path / "flip.zip").write_bytes(flipped)
            try:
                import_gallery(gallery, tmp_path / "flip.zip")
            except GalleryCorrupt:
                assert not gallery.classes
            else:  # a bit that carries nothing, like a date
                with filled() as truth:
                    assert content(gallery) == content(truth)
                gallery.undo()


def test_an_export_that_cannot_be_written_leaves_the_old_file(archive, tmp_path):
    before = archive.read_bytes()
    with (
        filled() as gallery,
        pytest.raises(GalleryUnwritable, match=r"No such file or directory\. Choose another place"),
    ):
        export_gallery(gallery, tmp_path / "absent" / "shop.zip")
    with pytest.raises(GalleryUnwritable, match="it was closed"):
        export_gallery(gallery, archive)
    assert archive.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["shop.zip"]
