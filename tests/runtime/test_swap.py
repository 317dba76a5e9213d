"""A new model replaces the old one for every class, can be reverted exactly, and survives being killed."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from runtime import Recognizer
from runtime.errors import GalleryCorrupt, GalleryMismatch, NothingToUndo
from runtime.gallery import open_gallery

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
