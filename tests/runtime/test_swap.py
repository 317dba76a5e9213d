"""A new model replaces the old one for every class, can be reverted exactly, and survives being killed."""

import io
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from edgefs.cli import main
from runtime import Recognizer
from runtime.bundle import Artifact, Bundle
from runtime.errors import GalleryCorrupt, GalleryMismatch, NothingToUndo
from runtime.gallery import NewShot, open_gallery
from runtime.opencv import decode_image

OBJECTS = {"mug": 0, "cup": 1, "box": 2}
ROOT = Path(__file__).parents[2]


@pytest.fixture(params=[32, 48], ids=["equal dimension", "other dimension"])
def better(request, tiny):
    return tiny.bundle(dim=request.param, seed=3)


def taught(tiny, bundle, path):
    rec = Recognizer(bundle, gallery=path, engine="onnxruntime")
    for label, seed in OBJECTS.items():
        rec.enroll(label, tiny.views(seed, 6))
    rec.reject(tiny.pattern(8), "mug")
    rec.forget("box")
    return rec


@pytest.fixture(scope="module")
def with_fp16(tiny_bundle, tmp_path_factory):
    """The tiny bundle with an OpenVINO artifact in fp16, on disk; its fingerprint is that of the tiny bundle."""
    openvino = pytest.importorskip("openvino")
    folder = tmp_path_factory.mktemp("fp16")
    openvino.save_model(openvino.Core().read_model(io.BytesIO(tiny_bundle.read("model.onnx"))), folder / "model.xml")
    frames, embeddings = tiny_bundle.golden()
    return Bundle.build(
        name="with-fp16",
        description="",
        preprocess=tiny_bundle.preprocess,
        metric="cosine",
        model=tiny_bundle.read("model.onnx"),
        golden_frames=frames,
        golden_embeddings=embeddings,
        extra={f"fp16/model.{end}": (folder / f"model.{end}").read_bytes() for end in ("xml", "bin")},
        artifacts=(Artifact("openvino", "fp16", "fp16/model.xml"),),
    ).save(folder / "tiny 16.edgefs")


def state(rec):
    return {
        label: (c.ids.tolist(), c.embeddings.tobytes(), c.negatives.tobytes())
        for label, c in rec.gallery.classes.items()
    }


@pytest.mark.parametrize("in_file", [True, False])
def test_every_class_is_kept_and_a_rollback_restores_the_same_embeddings(tiny, tiny_bundle, better, tmp_path, in_file):
    with taught(tiny, tiny_bundle, tmp_path / "shop.db" if in_file else None) as rec:
        before, steps = state(rec), []
        report = rec.swap(better, engine="onnxruntime", progress=lambda done, of: steps.append((done, of)))
        assert (report.bundle_before, report.bundle_after) == (tiny_bundle.name, better.name)
        assert (report.classes, report.shots) == (2, 12)
        assert set(report.before) == set(report.after) == {"mug", "cup"}
        assert steps[-1] == (19, 19)  # including forgotten shots and negative examples
        assert rec.bundle is better
        assert rec.gallery.dim == better.dim
        assert rec.recognize(tiny.views(0, 1, start=50)[0]).candidate == "mug"
        assert {label: ids for label, (ids, *_) in state(rec).items()} == {k: v[0] for k, v in before.items()}
        rec.undo()
        assert rec.recognize(tiny.views(2, 1, start=50)[0]).candidate == "box"
        rec.forget("box")
        rec.rollback()
        assert rec.bundle is tiny_bundle
        if in_file:
            assert state(rec) == before
        else:  # a gallery in memory saves no old embeddings, so they are computed again from the crops
            assert [ids for ids, *_ in state(rec).values()] == [ids for ids, *_ in before.values()]


def test_what_is_taught_after_a_swap_survives_the_rollback(tiny, tiny_bundle, better, tmp_path):
    with taught(tiny, tiny_bundle, tmp_path / "shop.db") as rec:
        rec.swap(better, engine="onnxruntime")
        rec.enroll("jug", tiny.views(7, 4))
        rec.rollback()
        assert rec.labels == ["mug", "cup", "jug"]
        assert rec.recognize(tiny.views(7, 1, start=50)[0]).candidate == "jug"


def test_a_frame_seen_by_the_old_model_is_embedded_by_the_new_one_when_it_is_stored(tiny, tiny_bundle, better):
    with taught(tiny, tiny_bundle, None) as rec:
        seen = rec.observe(tiny.views(7, 4))
        rec.swap(better, engine="onnxruntime")
        rec.enroll_observed("jug", seen)
        assert rec.gallery.classes["jug"].embeddings.shape[1] == better.dim
        assert rec.recognize(tiny.views(7, 1, start=50)[0]).candidate == "jug"


def test_an_answer_of_the_old_model_is_embedded_by_the_new_one_when_it_is_confirmed(tiny, tiny_bundle, better):
    frame = tiny.views(0, 1, start=50)[0]
    with taught(tiny, tiny_bundle, None) as rec:
        answer, later = rec.recognize(frame), rec.recognize(tiny.views(0, 1, start=51)[0])
        rec.swap(better, engine="onnxruntime")
        assert rec.confirm(answer, frame).label == "mug"
        np.testing.assert_allclose(rec.gallery.classes["mug"].embeddings[-1], rec.embed([frame])[0], atol=1e-5)
        rec.confirm(later)
        expected = rec.embed(tiny.views(0, 1, start=51))[0]
        assert rec.gallery.classes["mug"].embeddings[-1] @ expected > 0.9


def test_without_crops_nothing_is_swapped_and_nothing_changes(tiny, tiny_bundle, better, tmp_path):
    with Recognizer(tiny_bundle, gallery=tmp_path / "shop.db", engine="onnxruntime", keep_crops=False) as rec:
        rec.enroll("mug", tiny.views(0, 3))
        before = state(rec)
        assert rec.gallery.crop(int(rec.gallery.classes["mug"].ids[0])) is None
        assert rec.explain(rec.recognize(tiny.views(0, 1, start=9)[0])).nearest[0].crop is None
        with pytest.raises(GalleryMismatch, match="3 of 3 shots have none"):
            rec.swap(better, engine="onnxruntime")
        assert rec.bundle is tiny_bundle
        assert state(rec) == before
        with pytest.raises(NothingToUndo, match="swap to roll back"):
            rec.rollback()


def test_damaged_old_embeddings_are_not_restored(tiny, tiny_bundle, better, tmp_path):
    with taught(tiny, tiny_bundle, tmp_path / "shop.db") as rec:
        aside = Path(rec.swap(better, engine="onnxruntime").aside)
        data = bytearray(aside.read_bytes())
        data[len(data) // 2] ^= 1
        aside.write_bytes(bytes(data))
        with pytest.raises(GalleryCorrupt, match="Remove it"):
            rec.rollback()
        assert rec.bundle is better
        aside.unlink()
        rec.rollback()
        assert rec.labels == ["mug", "cup"]


KILLED = """
import sys, time, importlib.util
from runtime import Recognizer
spec = importlib.util.spec_from_file_location("tiny_model", "tests/tiny_model.py")
tiny = importlib.util.module_from_spec(spec)
spec.loader.exec_module(tiny)
import runtime.swap
slow, runtime.swap.CHUNK = float(sys.argv[2]), 2
with Recognizer(tiny.bundle(), gallery=sys.argv[1], engine="onnxruntime") as rec:
    print("go", flush=True)
    def progress(done, of):
        time.sleep(slow)
    while True:
        rec.swap(tiny.bundle(dim=48, seed=3), engine="onnxruntime", progress=progress)
        rec.rollback()
"""


def test_after_a_kill_at_any_moment_all_embeddings_are_of_one_model(tiny, tiny_bundle, tmp_path):
    path = tmp_path / "shop.db"
    with taught(tiny, tiny_bundle, path) as rec:
        before = {label: ids for label, (ids, *_) in state(rec).items()}
    for delay_s in (0.02, 0.15, 0.4):
        child = subprocess.Popen([sys.executable, "-c", KILLED, path, "0.005"], cwd=ROOT, stdout=subprocess.PIPE)
        assert child.stdout.readline() == b"go\n"
        time.sleep(delay_s)
        child.send_signal(signal.SIGKILL)
        child.wait()
        child.stdout.close()
        with open_gallery(path, fingerprint=None) as gallery:
            assert gallery.damaged == ()
            assert {label: c.ids.tolist() for label, c in gallery.classes.items()} == before
            widths = {c.embeddings.shape[1] for c in gallery.classes.values()}
            assert widths == {gallery.dim}
            assert np.isfinite(np.concatenate([c.embeddings for c in gallery.classes.values()])).all()
        with Recognizer(tiny_bundle, gallery=path, engine="onnxruntime", reembed=True) as rec:
            assert rec.recognize(tiny.views(0, 1, start=50)[0]).candidate == "mug"


# -- precisions of one bundle


def warnings_of(caplog, bundle, path, precision, **options):
    """Open a gallery and return the warnings, and the embeddings of "mug"."""
    caplog.clear()
    with Recognizer(bundle, gallery=path, engine="openvino", precision=precision, threads=1, **options) as rec:
        return caplog.messages, rec.gallery.classes["mug"].embeddings


def embedded_from_crops(bundle, path, precision):
    with Recognizer(bundle, gallery=path, engine="openvino", precision=precision, threads=1) as rec:
        ids = rec.gallery.classes["mug"].ids.tolist()
        return rec.embed([decode_image(rec.gallery.crop(id_), "a crop") for id_ in ids])


def filled(bundle, path, tiny, precision, **options):
    with Recognizer(bundle, gallery=path, engine="openvino", precision=precision, threads=1, **options) as rec:
        rec.enroll("mug", tiny.views(0, 4))
        rec.reject(tiny.pattern(8), "mug")
        assert rec.gallery.precision == precision


@pytest.mark.parametrize(("taught_in", "asked_in"), [("fp32", "fp16"), ("fp16", "fp32")])
def test_another_precision_gives_a_warning_with_a_command_that_ends_it(
    tiny, with_fp16, tmp_path, caplog, monkeypatch, taught_in, asked_in
):
    path = tmp_path / "my shop.db"
    filled(with_fp16, path, tiny, taught_in)
    same, _ = warnings_of(caplog, with_fp16, path, taught_in)
    (other,), _ = warnings_of(caplog, with_fp16, path, asked_in)
    assert same == []
    assert f"{path} was filled in {taught_in} and is used in {asked_in}. The embeddings" in other
    assert f"open it with precision='{taught_in}'" in other
    command = other.partition("or run: ")[2]
    assert command == f"edgefs gallery reembed --precision {asked_in} --gallery '{path}' --bundle '{with_fp16.path}'"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert main(shlex.split(command)[1:]) == 0
    again, after = warnings_of(caplog, with_fp16, path, asked_in)
    assert again == []
    expected = {name: embedded_from_crops(with_fp16, path, name) for name in (taught_in, asked_in)}
    np.testing.assert_allclose(after, expected[asked_in], atol=1e-5)
    assert np.abs(after - expected[taught_in]).max() > 2e-5
    (back,), _ = warnings_of(caplog, with_fp16, path, taught_in)
    assert f"filled in {asked_in}" in back


def test_a_gallery_is_embedded_again_for_a_precision_when_it_is_opened_and_a_swap_goes_back_exactly(
    tiny, with_fp16, tmp_path, caplog
):
    path = tmp_path / "shop.db"
    filled(with_fp16, path, tiny, "fp32")
    before = warnings_of(caplog, with_fp16, path, "fp32")[1]
    found, halves = warnings_of(caplog, with_fp16, path, "fp16", reembed=True)
    assert found == []
    np.testing.assert_allclose(halves, embedded_from_crops(with_fp16, path, "fp16"), atol=1e-5)
    with Recognizer(with_fp16, gallery=path, engine="openvino", precision="fp16", threads=1) as rec:
        rec.swap(with_fp16, engine="openvino", precision="fp32", threads=1)
        assert rec.gallery.precision == "fp32"
        np.testing.assert_array_equal(rec.gallery.classes["mug"].embeddings, before)
        rec.rollback()
        assert rec.gallery.precision == "fp16"
        np.testing.assert_array_equal(rec.gallery.classes["mug"].embeddings, halves)


def test_a_gallery_of_an_earlier_version_gives_no_warning(tiny, with_fp16, tmp_path, caplog):
    path = tmp_path / "old.db"
    with open_gallery(path, fingerprint=with_fp16.fingerprint, dim=with_fp16.dim) as gallery:
        embedding = np.eye(1, with_fp16.dim, dtype=np.float32)[0]
        gallery.add("mug", [NewShot(embedding, None, "b", 0.5, "api", 1.0)])
    for precision in ("fp32", "fp16"):
        assert warnings_of(caplog, with_fp16, path, precision)[0] == []
    with Recognizer(with_fp16, gallery=path, engine="openvino", precision="fp16") as rec:
        rec.enroll("cup", tiny.views(1, 3))
        assert rec.gallery.precision is None  # not known of all of them


def test_an_empty_gallery_takes_the_precision_that_fills_it_and_opening_it_does_not_write(tiny, with_fp16, tmp_path):
    path = tmp_path / "shop.db"
    with Recognizer(with_fp16, gallery=path, engine="openvino", precision="fp16") as rec:
        assert rec.gallery.precision is None
    filled(with_fp16, path, tiny, "fp32")
    with Recognizer(with_fp16, gallery=path, engine="openvino") as rec:
        rec.forget("mug", now=True)
        rec.gallery.purge(now=True)
    filled(with_fp16, path, tiny, "fp16")
