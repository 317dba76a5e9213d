"""The main job: enrol, recognise, say unknown, change one's mind, and lose nothing on the way."""

import math
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest

import edgefs
from runtime import Recognizer
from runtime.engines.fake import FakeEngine
from runtime.errors import (
    EdgefsError,
    EngineError,
    FrameError,
    GalleryMismatch,
    GalleryUnwritable,
    InvalidLabel,
    NothingToUndo,
    OptionError,
    UnknownLabel,
)
from runtime.gallery import NewShot, open_gallery
from runtime.matching.prototypes import Prototypes

OBJECTS = {"mug": 0, "cup": 1, "box": 2}
STRANGER = 5


@pytest.fixture(params=["fake", "onnxruntime"])
def rec(request, tiny_bundle):
    engine = FakeEngine(tiny_bundle.dim) if request.param == "fake" else request.param
    with Recognizer(tiny_bundle, engine=engine) as recognizer:
        yield recognizer


@pytest.fixture
def taught(request, tiny, tiny_bundle):
    """The tiny model, taught three objects with six views each."""
    with Recognizer(tiny_bundle, engine=getattr(request, "param", "onnxruntime")) as recognizer:
        for label, seed in OBJECTS.items():
            recognizer.enroll(label, tiny.views(seed, 6))
        yield recognizer


def state(recognizer):
    """Everything recognition depends on, to the bit."""
    return [
        (label, shots.ids.tolist(), shots.embeddings.tobytes(), shots.negatives.tobytes())
        for label, shots in recognizer.gallery.classes.items()
    ], recognizer._up_to_date().prototypes.rows.matrix.tobytes()


def without_times(answer):
    return replace(answer, timings_ms={})


# -- the main job


@pytest.mark.parametrize("taught", ["onnxruntime", "openvino", "auto"], indirect=True)
def test_objects_shown_a_few_times_are_recognised_and_strangers_are_unknown(taught, tiny):
    for label, seed in OBJECTS.items():
        for frame in tiny.views(seed, 4, start=50):
            answer = taught.recognize(frame)
            assert (answer.label, answer.candidate, answer.check) == (label, label, "accepted")
            assert answer.score >= answer.threshold > 0
            assert answer.runner_up in OBJECTS
            assert answer.margin > 0
            assert len(answer.nearest) == 3
            assert answer.nearest[0].shot_id in taught.gallery.classes[label].ids
    answer = taught.recognize(tiny.views(STRANGER, 1)[0])
    assert answer.label is None
    assert answer.candidate in OBJECTS
    assert answer.check == "score"


def test_the_names_of_the_design_are_there(taught, tiny):
    assert isinstance(taught, edgefs.Recognizer)
    assert taught.embed(tiny.views(0, 3)).shape == (3, taught.bundle.dim)
    enrollment = taught.enroll("jug", tiny.views(7, 2))
    assert isinstance(enrollment, edgefs.Enrollment)
    assert (len(enrollment.accepted), enrollment.rejected) == (2, ())
    assert any("five different ones" in line for line in enrollment.advice)
    answer = taught.recognize(tiny.pattern(7))
    assert isinstance(answer, edgefs.Recognition)
    assert set(answer.timings_ms) == {"preprocess", "embed", "match", "total"}
    assert all(ms >= 0 for ms in answer.timings_ms.values())
    assert answer.timings_ms["total"] == pytest.approx(sum(list(answer.timings_ms.values())[:3]))
    taught.rename("jug", "pot")
    taught.merge("pot", into="cup")
    taught.reject(tiny.pattern(7), "cup")
    taught.forget("mug")
    assert taught.labels == ["cup", "box"]
    assert taught.undo().startswith("forgot 'mug'")
    assert taught.labels == ["mug", "cup", "box"]


def test_an_empty_gallery_answers_unknown_and_says_why(rec, tiny):
    answer = rec.recognize(tiny.pattern(0))
    assert (answer.label, answer.candidate, answer.runner_up) == (None, None, None)
    assert (answer.check, answer.nearest) == ("empty gallery", ())
    assert answer.score == -math.inf
    assert rec.recognize_many([]) == []
    assert rec.labels == []


@pytest.mark.parametrize("given_as", ["one", "array", "list", "generator", "grey", "HW1"])
def test_frames_come_in_any_form(rec, tiny, given_as):
    frames = tiny.views(0, 20)
    expected = rec.embed(frames)
    made = {
        "one": lambda: frames[0],
        "array": lambda: np.stack(frames),
        "list": lambda: list(frames),
        "generator": lambda: (frame for frame in frames),
        "grey": lambda: [frame[..., 0] for frame in frames],
        "HW1": lambda: [frame[..., :1] for frame in frames],
    }[given_as]
    n = 1 if given_as == "one" else 20
    embeddings = rec.embed(made())
    assert embeddings.shape == (n, rec.bundle.dim)
    if given_as not in ("grey", "HW1"):
        np.testing.assert_allclose(embeddings, expected[:n], atol=1e-5)
    enrollment = rec.enroll("x", made())
    assert len(enrollment.accepted) + len(enrollment.rejected) == n
    assert len(rec.recognize_many(made())) == n


def test_many_are_recognised_as_one_by_one(taught, tiny):
    frames = [frame for seed in (0, 1, 2, STRANGER) for frame in tiny.views(seed, 9, start=30)]  # more than one chunk
    many, singly = taught.recognize_many(iter(frames)), [taught.recognize(frame) for frame in frames]
    for one, other in zip(many, singly, strict=True):
        assert (one.label, one.candidate, one.runner_up, one.check) == (
            other.label,
            other.candidate,
            other.runner_up,
            other.check,
        )
        assert one.score == pytest.approx(other.score, abs=1e-5)
        assert one.margin == pytest.approx(other.margin, abs=1e-5)
        assert [shot.shot_id for shot in one.nearest] == [shot.shot_id for shot in other.nearest]
        assert one.timings_ms["total"] > 0


def test_a_long_video_is_never_in_memory_as_a_whole(rec, tiny):
    alive, most = 0, 0

    class Counted(np.ndarray):
        def __del__(self):
            nonlocal alive
            alive -= 1

    def video():
        nonlocal alive, most
        for frame in tiny.views(0, 2) * 40:
            alive += 1
            most = max(most, alive)
            yield frame.copy().view(Counted)

    assert len(rec.recognize_many(video())) == 80
    assert len(rec.embed(video())) == 80
    assert most < 60  # views of a frame count too
    rec.enroll("x", video())


@pytest.mark.parametrize("kind", ["grey", "euclidean"])
def test_grey_and_euclidean_bundles_do_the_same_job(tiny, grey_bundle, euclidean_bundle, kind):
    bundle = grey_bundle if kind == "grey" else euclidean_bundle
    with Recognizer(bundle, engine="onnxruntime") as recognizer:
        for label, seed in OBJECTS.items():
            recognizer.enroll(label, tiny.views(seed, 6))  # BGR frames
        for label, seed in OBJECTS.items():
            answers = recognizer.recognize_many(tiny.views(seed, 4, start=50))
            assert [answer.candidate for answer in answers] == [label] * 4
        if kind == "grey":
            grey = [np.ascontiguousarray(frame[..., 1]) for frame in tiny.views(0, 2)]
            assert recognizer.embed(grey).shape == (2, bundle.dim)


def test_a_closed_set_always_names_the_nearest(tiny, tiny_bundle):
    with Recognizer(tiny_bundle, engine="onnxruntime", stranger_rate=None) as recognizer:
        recognizer.enroll("mug", tiny.views(0, 3))
        answer = recognizer.recognize(tiny.pattern(STRANGER))
        assert (answer.label, answer.certainty, answer.check) == ("mug", "sure", "accepted")
        assert (answer.threshold, answer.text) == (-math.inf, "mug")


def test_a_bundle_without_a_calibration_table_still_works(tiny):
    with Recognizer(tiny.bundle(calibrated=False), engine="onnxruntime") as recognizer:
        recognizer.enroll("mug", tiny.views(0, 3))
        answer = recognizer.recognize(tiny.views(0, 1, start=9)[0])
        assert (answer.label, answer.threshold) == ("mug", -math.inf)  # one class shows nothing of strangers
        assert math.isfinite(answer.score)
        for label, seed in OBJECTS.items():
            recognizer.enroll(label, tiny.views(seed, 6))
        for label, seed in OBJECTS.items():
            assert recognizer.recognize(tiny.views(seed, 1, start=50)[0]).label == label
        assert recognizer.recognize(tiny.pattern(STRANGER)).label is None


def test_rejecting_a_frame_keeps_it_from_being_accepted_and_can_be_undone(taught, tiny):
    frame = tiny.views(0, 1, start=50)[0]
    assert taught.recognize(frame).label == "mug"
    before = state(taught)
    shot_id = taught.reject(frame, "mug")
    answer = taught.recognize(frame)
    assert (answer.label, answer.candidate, answer.check) == (None, "mug", "not this")
    assert taught.gallery.shot(shot_id).negative
    assert taught.gallery.crop(shot_id)
    assert "not 'mug'" in taught.undo()
    assert state(taught) == before
    with pytest.raises(UnknownLabel, match="no such class"):
        taught.reject(frame, "saucer")


# -- enrolment gates


def test_each_gate_refuses_its_frame_and_the_advice_says_what_to_do(rec, tiny):
    good = tiny.views(0, 5)
    dark, bright = np.zeros_like(good[0]), np.full_like(good[0], 255)
    blurry = np.full_like(good[0], 128)
    blurry[:, ::2] += 5  # much less edge than the others
    enrollment = rec.enroll("mug", [good[0], dark, good[1], good[1].copy(), bright, good[2], blurry, good[3], good[4]])
    assert {frame.index: frame.reason for frame in enrollment.rejected} == {
        1: "too dark",
        3: "same view",
        4: "too bright",
        6: "blurred",
    }
    assert [frame.index for frame in enrollment.accepted] == [0, 2, 5, 7, 8]
    assert [frame.shot_id for frame in enrollment.accepted] == rec.gallery.classes["mug"].ids.tolist()
    text = " / ".join(enrollment.advice)
    for words in ("1 of 9 frames: too dark; add light", "shorten the exposure", "hold still"):
        assert words in text
    assert "so far" not in text  # five views are there


def test_a_view_that_is_known_already_is_refused_the_next_time(rec, tiny):
    rec.enroll("mug", tiny.views(0, 3))
    again = rec.enroll("mug", tiny.views(0, 3))
    assert again.accepted == ()
    assert {frame.reason for frame in again.rejected} == {"same view"}
    assert any("turn the object or move the camera" in line for line in again.advice)
    assert len(rec.gallery.classes["mug"].ids) == 3
    more = rec.enroll(" mug ", tiny.views(0, 3, start=20))  # the same class
    assert len(more.accepted) == 3
    assert more.label == "mug"


def test_an_enrolment_of_which_nothing_is_left_creates_no_class(rec):
    black = [np.zeros((48, 64, 3), np.uint8)] * 5
    enrollment = rec.enroll("night", black)
    assert (enrollment.accepted, len(enrollment.rejected)) == ((), 5)
    assert enrollment.advice[0] == "5 of 5 frames: too dark; add light"
    assert rec.labels == []
    with pytest.raises(NothingToUndo):
        rec.undo()
    nothing = rec.enroll("nothing", [])
    assert (nothing.accepted, nothing.rejected, nothing.advice) == ((), (), ("no frames were given",))


def test_one_enrolment_is_one_burst_and_one_step_of_undo(taught, tiny):
    before = state(taught)
    taught.enroll("mug", tiny.views(0, 4, start=90))
    assert len(set(taught.gallery.classes["mug"].bursts)) == 2
    assert taught.undo() == "enrolled 4 shots of 'mug'"
    assert state(taught) == before


# -- bad input changes nothing


@pytest.mark.parametrize(
    "bad",
    [None, "frame.png", np.zeros((9, 9, 4), np.uint8), np.zeros((9, 9), float), np.zeros((0, 9, 3), np.uint8)],
    ids=lambda bad: repr(bad)[:20],
)
def test_a_bad_frame_in_the_middle_of_a_burst_changes_nothing(rec, tiny, bad):
    rec.enroll("mug", tiny.views(0, 3))
    before = state(rec)
    good = tiny.views(1, 6)
    for frames in ([*good[:3], bad, *good[3:]], iter([*good, bad])):
        with pytest.raises(FrameError):
            rec.enroll("cup", frames)
    with pytest.raises(FrameError):
        rec.reject(bad, "mug")
    for call in (
        rec.recognize,
        lambda frame: rec.recognize_many([good[0], frame]),
        lambda frame: rec.embed([good[0], frame]),
    ):
        with pytest.raises(FrameError):
            call(bad)
    assert state(rec) == before


@pytest.mark.parametrize("frames", [None, 5, "clip.mp4", b"x"])
def test_frames_that_are_none_are_a_frame_error_everywhere(rec, frames):
    for call in (
        rec.embed,
        rec.recognize_many,
        rec.recognize,
        lambda f: rec.enroll("x", f),
        lambda f: rec.reject(f, "x"),
    ):
        with pytest.raises(FrameError, match=r"uint8"):
            call(frames)


def test_a_camera_that_fails_in_the_middle_changes_nothing(rec, tiny):
    def camera():
        yield from tiny.views(0, 3)
        raise edgefs.EdgefsError("unplugged")

    with pytest.raises(EdgefsError, match="unplugged"):
        rec.enroll("mug", camera())
    assert rec.labels == []


@pytest.mark.parametrize("label", ["", "  ", "a\nb", "x" * 101, None, 7])
def test_a_label_that_is_none_is_refused_before_a_frame_is_taken(rec, label):
    def frames():
        raise AssertionError("taken")
        yield

    with pytest.raises(InvalidLabel):
        rec.enroll(label, frames())


def test_labels_that_are_unknown_or_taken_say_what_there_is(taught):
    before = state(taught)
    for call in (
        taught.forget,
        lambda x: taught.rename(x, "y"),
        lambda x: taught.merge(x, "cup"),
        lambda x: taught.merge("cup", x),
    ):
        with pytest.raises(UnknownLabel, match="Did you mean 'mug'"):
            call("mugg")
    with pytest.raises(InvalidLabel, match="merge them"):
        taught.rename("mug", "cup")
    with pytest.raises(InvalidLabel, match="Two different classes"):
        taught.merge("mug", into="mug")
    assert state(taught) == before


def test_an_engine_that_fails_or_answers_nonsense_changes_nothing(tiny, tiny_bundle):
    fake = FakeEngine(tiny_bundle.dim)
    recognizer = Recognizer(tiny_bundle, engine=fake)
    recognizer.enroll("mug", tiny.views(0, 3))
    before = state(recognizer)
    fake.error = EngineError("unplugged")
    for call in (lambda: recognizer.enroll("cup", tiny.views(1, 3)), lambda: recognizer.recognize(tiny.pattern(0))):
        with pytest.raises(EngineError, match="unplugged"):
            call()
    fake.error = None
    for nonsense in (np.full((1, 32), np.nan, np.float32), np.zeros((1, 31), np.float32), np.zeros(32, np.float32)):
        fake.embed = lambda _, nonsense=nonsense: nonsense
        with pytest.raises(EngineError, match=r"must return finite float32 \[1, 32\].*run bundle\.verify\(\)"):
            recognizer.recognize(tiny.pattern(0))
    assert state(recognizer) == before


# -- undo


def test_everything_can_be_undone_to_the_bit(taught, tiny):
    steps = [
        lambda: taught.enroll("jug", tiny.views(7, 3)),
        lambda: taught.enroll("mug", tiny.views(0, 3, start=40)),
        lambda: taught.reject(tiny.pattern(8), "mug"),
        lambda: taught.rename("mug", "beaker"),
        lambda: taught.merge("cup", into="beaker"),
        lambda: taught.forget("beaker"),
        lambda: taught.rename("box", "mug"),
        lambda: taught.enroll("cup", tiny.views(9, 2)),
    ]
    states = []
    for step in steps:
        states.append(state(taught))
        step()
    for before in reversed(states):
        taught.undo()
        assert state(taught) == before
    for _ in OBJECTS:
        taught.undo()
    assert taught.labels == []
    with pytest.raises(NothingToUndo):
        taught.undo()


# -- files


def test_what_was_taught_is_there_again_after_reopening(tiny, tiny_bundle, tmp_path):
    path = tmp_path / "shop.db"
    with Recognizer(tiny_bundle, gallery=path, engine="onnxruntime") as one:
        one.enroll("mug", tiny.views(0, 4))
        one.enroll("cup", tiny.views(1, 4))
        frame = tiny.views(0, 1, start=50)[0]
        answer, bits = without_times(one.recognize(frame)), state(one)
    with Recognizer(tiny_bundle, gallery=str(path), engine="onnxruntime") as other:
        assert state(other) == bits
        assert without_times(other.recognize(frame)) == answer


def test_two_recognizers_share_one_file(tiny, tiny_bundle, tmp_path):
    path, frame = tmp_path / "shop.db", tiny.views(0, 1, start=50)[0]
    with (
        Recognizer(tiny_bundle, gallery=path, engine="onnxruntime") as one,
        Recognizer(tiny_bundle, gallery=path, engine="onnxruntime") as other,
    ):
        one.enroll("mug", tiny.views(0, 4))
        assert other.recognize(frame).label is None
        assert other.gallery.refresh()
        assert other.recognize(frame).label == "mug"
        assert not other.gallery.refresh()
        other.enroll("cup", tiny.views(1, 4))  # a write sees and keeps what the other wrote
        one.enroll("mug", tiny.views(0, 2, start=60))
        assert one.labels == ["mug", "cup"]
        one.gallery.refresh()
        other.gallery.refresh()
        assert state(one) == state(other)


def test_another_model_is_refused_with_the_way_out_and_reembedding_takes_it(tiny, tiny_bundle, tmp_path):
    path, better = tmp_path / "shop.db", tiny.bundle(dim=48, seed=3, calibrated=False)
    with Recognizer(tiny_bundle, gallery=path, engine="onnxruntime") as old:
        for label, seed in OBJECTS.items():
            old.enroll(label, tiny.views(seed, 5))
        old.reject(tiny.pattern(8), "mug")
        old.forget("box")
        counts = {label: len(shots.ids) for label, shots in old.gallery.classes.items()}
        history = [operation.what for operation in old.gallery.history()]
    with pytest.raises(GalleryMismatch, match=r"reembed=True\).*edgefs gallery reembed"):
        Recognizer(better, gallery=path, engine="onnxruntime")
    with Recognizer(better, gallery=path, engine="onnxruntime", reembed=True) as new:
        assert {label: len(shots.ids) for label, shots in new.gallery.classes.items()} == counts
        assert len(new.gallery.classes["mug"].negatives) == 1
        assert new.gallery.dim == 48
        assert [operation.what for operation in new.gallery.history()] == history
        assert new.recognize(tiny.views(0, 1, start=50)[0]).candidate == "mug"
        new.undo()  # what was forgotten under the old model comes back under the new one
        assert new.labels == list(OBJECTS)
        assert new.recognize(tiny.views(2, 1, start=50)[0]).candidate == "box"
    with Recognizer(better, gallery=path, engine="onnxruntime", reembed=True) as again:
        assert again.labels == list(OBJECTS)
    with pytest.raises(GalleryMismatch):
        Recognizer(tiny_bundle, gallery=path, engine="onnxruntime")


def test_a_gallery_without_crops_cannot_be_reembedded_and_stays_as_it_is(tiny, tiny_bundle, tmp_path):
    path = tmp_path / "shop.db"
    with open_gallery(path, fingerprint=tiny_bundle.fingerprint, dim=32) as gallery:
        gallery.add("mug", [NewShot(np.ones(32, np.float32), None, "b", 1.0, "test", 0.0)])
    with pytest.raises(GalleryMismatch, match=r"1 of 1 shots have none.*teach those classes again"):
        Recognizer(tiny.bundle(dim=48, seed=3), gallery=path, engine="onnxruntime", reembed=True)
    with Recognizer(tiny_bundle, gallery=path, engine="onnxruntime") as recognizer:
        assert recognizer.labels == ["mug"]


def test_an_opened_gallery_of_another_model_is_refused(tiny, tiny_bundle):
    with (
        open_gallery(None, fingerprint="f" * 64, dim=tiny_bundle.dim) as gallery,
        pytest.raises(GalleryMismatch, match=r"filled by another model \(ffffffffffff\).*reembed=True"),
    ):
        Recognizer(tiny_bundle, gallery=gallery, engine=FakeEngine(32))


FULL = """
import resource, sys
from runtime import Bundle, Recognizer
from runtime.errors import GalleryUnwritable
import importlib.util
spec = importlib.util.spec_from_file_location("tiny_model", "tests/tiny_model.py")
tiny = importlib.util.module_from_spec(spec)
spec.loader.exec_module(tiny)
with Recognizer(Bundle.load(sys.argv[1]), gallery=sys.argv[2], engine="onnxruntime") as rec:
    rec.enroll("mug", tiny.views(0, 4))
    before = rec.gallery.classes["mug"].embeddings.tobytes(), rec._up_to_date().prototypes.rows.matrix.tobytes()
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_500_000, 1_500_000))
    try:
        for i in range(40):
            rec.enroll("cup", tiny.views(1, 3, start=3 * i))
    except GalleryUnwritable as error:
        print(i, error)
    cups = len(rec.gallery.classes["cup"].ids) if "cup" in rec.labels else 0
    assert before[0] == rec.gallery.classes["mug"].embeddings.tobytes()
    assert len(rec._up_to_date().prototypes.rows.matrix) == len(rec.labels)
    assert rec.recognize(tiny.views(0, 1, start=50)[0]).candidate == "mug"
print("cups", cups)
"""


def test_a_full_disk_says_so_keeps_what_was_acknowledged_and_goes_on_recognising(
    tiny_bundle, tiny_bundle_dir, tmp_path, python
):
    failed, cups = python(FULL, tiny_bundle_dir, tmp_path / "shop.db").stdout.splitlines()
    assert "Nothing was changed" in failed or "may have been written" in failed  # before or at the commit
    assert int(failed.split()[0]) > 0
    with Recognizer(tiny_bundle, gallery=tmp_path / "shop.db", engine="onnxruntime") as rec:
        assert len(rec.gallery.classes["mug"].ids) == 4
        assert f"cups {len(rec.gallery.classes['cup'].ids)}" == cups


def test_a_gallery_that_may_only_be_read_recognises_but_does_not_learn(tiny, tiny_bundle, tmp_path):
    path = tmp_path / "shop.db"
    with Recognizer(tiny_bundle, gallery=path, engine="onnxruntime") as rec:
        rec.enroll("mug", tiny.views(0, 4))
    with (
        open_gallery(path, fingerprint=tiny_bundle.fingerprint, dim=tiny_bundle.dim, readonly=True) as gallery,
        Recognizer(tiny_bundle, gallery=gallery) as rec,
    ):
        before = state(rec)
        assert rec.recognize(tiny.views(0, 1, start=50)[0]).label == "mug"
        for call in (lambda: rec.enroll("cup", tiny.views(1, 3)), rec.undo, lambda: rec.forget("mug")):
            with pytest.raises(GalleryUnwritable, match="Nothing was changed"):
                call()
        assert state(rec) == before


# -- opening, closing, threads


def test_a_failed_opening_closes_what_it_opened(tiny, tiny_bundle, tmp_path, monkeypatch):
    closed = []
    monkeypatch.setattr("runtime.engines.onnxruntime.OnnxRuntimeEngine.close", lambda self: closed.append(self))
    with Recognizer(tiny.bundle(seed=1), gallery=tmp_path / "other.db", engine=FakeEngine(32)):
        pass
    with pytest.raises(GalleryMismatch):
        Recognizer(tiny_bundle, gallery=tmp_path / "other.db", engine="onnxruntime")
    assert len(closed) == 1


def test_closing_closes_what_was_opened_here_and_nothing_else(tiny, tiny_bundle):
    engine = edgefs.Recognizer(tiny_bundle, engine="onnxruntime").engine
    with open_gallery(None, fingerprint=tiny_bundle.fingerprint, dim=32) as gallery:
        with Recognizer(tiny_bundle, gallery=gallery, engine=engine) as one:
            one.enroll("mug", tiny.views(0, 3))
        with Recognizer(tiny_bundle, gallery=gallery, engine=engine) as other:
            assert other.recognize(tiny.views(0, 1, start=9)[0]).label == "mug"
    own = Recognizer(tiny_bundle, engine="onnxruntime")
    own.close()
    own.close()
    with pytest.raises(EngineError, match="closed"):
        own.recognize(tiny.pattern(0))
    with pytest.raises(GalleryUnwritable, match="closed"):
        own.undo()


def test_options_that_make_no_sense_are_refused(tiny_bundle):
    for options in (
        {"stranger_rate": 2},
        {"stranger_rate": math.nan},
        {"threads": -1},
        {"engine": "gpu"},
        {"engine": None},
    ):
        with pytest.raises(OptionError):
            Recognizer(tiny_bundle, **options)


def test_recognising_goes_on_while_others_teach(taught, tiny):
    frames = {label: tiny.views(seed, 1, start=50)[0] for label, seed in OBJECTS.items()}
    stop, answers = threading.Event(), []

    def look():
        while not stop.is_set():
            for label, frame in frames.items():
                answer = taught.recognize(frame)
                answers.append((label, answer.candidate))
                assert all(math.isfinite(shot.score) for shot in answer.nearest)

    def teach(worker):
        for i in range(6):
            label = f"extra {worker} {i}"
            taught.enroll(label, tiny.views(20 + 10 * worker + i, 3))
            if i % 2:
                taught.forget(label)

    with ThreadPoolExecutor(4) as pool:
        looking = [pool.submit(look) for _ in range(2)]
        for done in [pool.submit(teach, worker) for worker in range(2)]:
            done.result()
        stop.set()
        for done in looking:
            done.result()
    assert answers
    assert all(expected == got for expected, got in answers)
    assert len(taught.labels) == len(OBJECTS) + 6
    assert [
        c.shots.label for c in taught._up_to_date().prototypes.classes
    ] == taught.labels  # no snapshot was overtaken


def test_a_slow_thread_does_not_put_an_older_snapshot_in_place(tiny, tiny_bundle, monkeypatch):
    slow, inside = Prototypes.update, threading.Event()

    def update(self, classes):
        if threading.current_thread() is not threading.main_thread():
            inside.set()
            time.sleep(0.2)
        return slow(self, classes)

    def teach_and_look():
        rec.enroll("mug", tiny.views(0, 3))
        rec.recognize(tiny.pattern(0))

    with Recognizer(tiny_bundle, engine=FakeEngine(tiny_bundle.dim)) as rec:
        monkeypatch.setattr(Prototypes, "update", update)
        other = threading.Thread(target=teach_and_look)
        other.start()
        assert inside.wait(10)
        rec.enroll("cup", tiny.views(1, 3))
        other.join()
        assert rec.recognize(tiny.pattern(0)).candidate in ("mug", "cup")
        assert [c.shots.label for c in rec._up_to_date().prototypes.classes] == ["mug", "cup"]
