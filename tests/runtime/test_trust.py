"""Explanations, confirming, rejecting with a preview, the inbox, the coach and the stranger rate."""

import numpy as np
import pytest

from runtime import Recognizer
from runtime.errors import InvalidShot, OptionError, UnknownLabel
from runtime.opencv import decode_image
from runtime.recognizer import REMEMBERED
from runtime.stream.recent_answers import Ring
from runtime.stream.strangers import MIN_SEEN, Inbox
from runtime.teaching.coach import Coach

OBJECTS = {"mug": 0, "cup": 1, "box": 2}
STRANGER = 5


@pytest.fixture
def taught(tiny, tiny_bundle):
    with Recognizer(tiny_bundle, engine="onnxruntime") as recognizer:
        for label, seed in OBJECTS.items():
            recognizer.enroll(label, tiny.views(seed, 6))
        yield recognizer


def test_an_answer_carries_its_embedding_and_can_be_given_again(taught, tiny):
    answer = taught.recognize(tiny.views(0, 1, start=50)[0])
    assert answer.embedding.shape == (taught.bundle.dim,)
    assert not answer.embedding.flags.writeable
    assert "embedding" not in repr(answer)
    again = taught.match(answer.embedding)
    assert (again.label, again.score, again.check) == (answer.label, answer.score, answer.check)
    assert [a.label for a in taught.match_many(np.stack([answer.embedding] * 3))] == [answer.label] * 3
    with pytest.raises(InvalidShot, match="shape"):
        taught.match(np.zeros(7))


def test_an_explanation_shows_the_shots_and_says_why(taught, tiny):
    known = taught.explain(taught.recognize(tiny.views(0, 1, start=50)[0]))
    assert known.recognition.label == "mug"
    assert decode_image(known.nearest[0].crop).shape[2] == 3
    assert known.nearest[0].source == "api"
    assert known.sentences[0].startswith("This is 'mug': it scores")
    unknown = taught.explain(taught.recognize(tiny.pattern(STRANGER)))
    assert unknown.recognition.label is None
    assert unknown.sentences[0].startswith("Unknown. The nearest class is")


def test_an_explanation_outlives_the_shots_it_names(taught, tiny):
    answer = taught.recognize(tiny.views(0, 1, start=50)[0])
    taught.forget("mug")
    assert taught.explain(answer).nearest == ()


def test_an_empty_gallery_explains_itself(tiny, tiny_bundle):
    with Recognizer(tiny_bundle, engine="onnxruntime") as rec:
        why = rec.explain(rec.recognize(tiny.pattern(0)))
    assert why.sentences == ("Nothing has been taught yet, so everything is unknown.",)


def test_a_preview_tells_which_recent_answers_a_reject_changes_and_it_does(taught, tiny):
    ring = Ring()
    frames = [f for seed in (0, 0, 1, STRANGER) for f in tiny.views(seed, 3, start=50)]
    for i, frame in enumerate(frames):
        ring.add(taught.recognize(frame), None, float(i))
    before = [answer.recognition.text for answer in ring.answers()]
    preview = taught.preview_reject(frames[0], "mug", ring)
    assert preview.of == len(frames)
    assert {change.index for change in preview.changes} >= {0, 3}  # the same frame is there twice
    assert [a.recognition.text for a in ring.answers()] == before  # nothing has happened yet
    assert taught.preview_reject(ring.get(1).recognition.embedding, "mug", ring) == preview
    taught.reject(frames[0], "mug")
    now = [taught.match(answer.recognition.embedding).text for answer in ring.answers()]
    changed = {i: label for i, (label, was) in enumerate(zip(now, before, strict=True)) if label != was}
    assert changed == {change.index: change.after for change in preview.changes}
    with pytest.raises(UnknownLabel):
        taught.preview_reject(frames[0], "saucer", ring)


def test_a_ring_forgets_the_oldest_and_never_gives_an_id_twice(taught, tiny):
    ring = Ring(capacity=3)
    answer = taught.recognize(tiny.pattern(0))
    ids = [ring.add(answer, b"jpeg", float(i)) for i in range(5)]
    assert ids == [1, 2, 3, 4, 5]
    assert ring.get(2) is None
    assert ring.get(3).time_s == 2.0
    assert len(ring) == 3


def test_a_coach_advises_and_writes_nothing_until_told(taught, tiny):
    coach = Coach(taught, "jug")
    views = tiny.views(7, 4)
    first = coach.look(views[0])
    assert (first.accepted, first.line) == (True, "4 more views")
    again = coach.look(views[0])
    assert (again.accepted, again.reason) == (False, "same view")
    assert again.line == "same view: turn the object or move the camera"
    assert coach.look(np.zeros_like(views[0])).reason == "too dark"
    assert coach.look(tiny.views(0, 1, start=50)[0]).line.startswith("looks like mug (")
    for view in views[1:]:
        coach.look(view)
    assert "jug" not in taught.labels
    assert len(coach.enroll().accepted) == 5
    assert "jug" in taught.labels
    assert coach.kept == []


def test_a_stranger_seen_again_keeps_its_id_and_naming_it_teaches_it(taught, tiny):
    inbox = Inbox(taught.bundle)
    ids = []
    for i, frame in enumerate([*tiny.views(STRANGER, 5), *tiny.views(9, 2), *tiny.views(STRANGER, 3, start=30)]):
        ids.append(inbox.add(taught.recognize(frame), b"jpeg", float(i)))
    assert set(ids) == {1, 2}
    assert ids[0] == ids[-1] == 1
    (stranger,) = inbox.strangers()
    assert (stranger.id, stranger.seen, stranger.first_s, stranger.last_s) == (1, 8, 0.0, 9.0)
    assert stranger.seen >= MIN_SEEN
    assert inbox.add(taught.recognize(tiny.views(0, 1, start=50)[0]), None, 11.0) is None  # known
    enrollment = taught.name_stranger(inbox, 1, "jug")
    assert len(enrollment.accepted) >= 5
    assert taught.recognize(tiny.views(STRANGER, 1, start=60)[0]).label == "jug"
    assert inbox.strangers() == []
    with pytest.raises(UnknownLabel, match="stranger 1"):
        inbox.dismiss(1)


def test_a_stranger_that_was_taught_since_leaves_the_inbox_and_the_others_stay(taught, tiny):
    inbox = Inbox(taught.bundle)
    for i, frame in enumerate([*tiny.views(STRANGER, 5), *tiny.views(9, 5)]):
        inbox.add(taught.recognize(frame), b"jpeg", float(i))
    inbox.let_go_known(taught.match_many)
    assert [stranger.id for stranger in inbox.strangers()] == [1, 2]
    taught.enroll("jug", tiny.views(STRANGER, 6, start=30))
    inbox.let_go_known(taught.match_many)
    assert [stranger.id for stranger in inbox.strangers()] == [2]


def test_every_class_says_how_well_it_is_known(taught, tiny):
    summary = {c.label: c for c in taught.classes()}
    assert list(summary) == list(OBJECTS)
    mug = summary["mug"]
    assert (mug.n_shots, mug.n_bursts, mug.n_negatives, mug.similar) == (6, 1, 0, ())
    assert mug.threshold == pytest.approx(taught.recognize(tiny.views(0, 1, start=50)[0]).threshold)
    missing = 5 - mug.n_views
    assert mug.advice == f"show it from {missing} more side{'s' if missing > 1 else ''}"
    assert not mug.reliable
    taught.stranger_rate = None
    assert taught.classes()[0].threshold == float("-inf")


def test_teaching_one_thing_under_a_second_name_says_which_class_it_looks_like(taught, tiny):
    enrollment = taught.enroll("beaker", tiny.views(0, 6, start=20))
    assert [one.label for one in enrollment.similar] == ["mug"]
    assert enrollment.similar[0].score > taught.bundle.calibration["twin"]
    summary = {c.label: c for c in taught.classes()}
    assert summary["mug"].similar[0].label == "beaker"
    assert summary["beaker"].advice.startswith("looks like mug: merge them if they are the same thing")
    answer = taught.recognize(tiny.views(0, 1, start=50)[0])
    assert (answer.label, answer.certainty, answer.check) == (None, "maybe", "twin")
    assert answer.text in ("mug or beaker?", "beaker or mug?")
    assert "look alike" in taught.explain(answer).sentences[1]
    assert taught.recognize(tiny.views(1, 1, start=50)[0]).text == "cup"
    taught.merge("beaker", into="mug")
    assert taught.recognize(tiny.views(0, 1, start=50)[0]).text == "mug"
    assert taught.enroll("jug", tiny.views(7, 3)).similar == ()


def test_a_confirmed_answer_becomes_a_shot_with_the_picture_that_was_recognised(taught, tiny):
    answer = taught.recognize(tiny.views(0, 1, start=50)[0])
    enrollment = taught.confirm(answer)
    (stored,) = enrollment.accepted
    assert enrollment.label == "mug"
    record = taught.gallery.shot(stored.shot_id)
    assert (record.source, record.negative) == ("confirmed", False)
    np.testing.assert_array_equal(record.embedding, answer.embedding)
    assert decode_image(taught.gallery.crop(stored.shot_id)).shape == taught.bundle.preprocess.shape
    assert len(taught.gallery.classes["mug"].ids) == 7
    assert taught.undo() == "enrolled 1 shot of 'mug'"
    assert taught.redo() == "enrolled 1 shot of 'mug'"
    assert len(taught.gallery.classes["mug"].ids) == 7


def test_an_old_answer_is_confirmed_with_its_frame_only(taught, tiny):
    frame = tiny.views(0, 1, start=50)[0]
    answer = taught.recognize(frame)
    taught.recognize_many([tiny.pattern(STRANGER)] * REMEMBERED)
    with pytest.raises(InvalidShot, match=r"confirm\(answer, frame\)"):
        taught.confirm(answer)
    with pytest.raises(InvalidShot):
        taught.confirm(taught.match(answer.embedding))
    assert len(taught.gallery.classes["mug"].ids) == 6
    (stored,) = taught.confirm(answer, frame).accepted
    assert decode_image(taught.gallery.crop(stored.shot_id)).shape == frame.shape


def test_an_answer_without_a_candidate_cannot_be_confirmed(tiny, tiny_bundle):
    with Recognizer(tiny_bundle, engine="onnxruntime") as rec:
        nothing = rec.recognize(tiny.pattern(0))
        with pytest.raises(InvalidShot, match=r"Use enroll\(\)"):
            rec.confirm(nothing)


def test_in_privacy_mode_a_confirmed_answer_is_stored_without_a_picture(tiny, tiny_bundle):
    with Recognizer(tiny_bundle, engine="onnxruntime", keep_crops=False) as rec:
        rec.enroll("mug", tiny.views(0, 3))
        answer = rec.recognize(tiny.views(0, 1, start=50)[0])
        rec.recognize_many([tiny.pattern(STRANGER)] * REMEMBERED)
        (stored,) = rec.confirm(answer).accepted
        assert rec.gallery.crop(stored.shot_id) is None


def test_the_stranger_rate_can_be_changed_while_it_runs_and_previewed(taught, tiny):
    ring = Ring()
    for i, frame in enumerate(f for seed in (0, 1, STRANGER) for f in tiny.views(seed, 3, start=50)):
        ring.add(taught.recognize(frame), None, float(i))
    before = [a.recognition.text for a in ring.answers()]
    strict = taught.recognize(tiny.pattern(0)).threshold
    closed = taught.preview_rate(None, ring)
    assert taught.stranger_rate == 0.05
    assert {change.index for change in closed.changes} == {i for i, text in enumerate(before) if text == "unknown"}
    taught.stranger_rate = 0.4
    assert taught.recognize(tiny.pattern(0)).threshold < strict
    taught.stranger_rate = 0.01
    assert taught.recognize(tiny.pattern(0)).threshold > strict
    taught.stranger_rate = None
    assert [taught.match(a.recognition.embedding).text for a in ring.answers()][-1] in OBJECTS
    for wrong in (1.5, -0.1, float("nan"), "often"):
        with pytest.raises(OptionError, match=r"0\.\.1"):
            taught.stranger_rate = wrong
        with pytest.raises(OptionError, match=r"0\.\.1"):
            taught.preview_rate(wrong, ring)
    assert taught.stranger_rate is None


def test_nothing_that_was_refused_becomes_evidence(taught, tiny):
    def thresholds():
        return [c.threshold for c in taught.classes()]

    before, n_shots = thresholds(), [c.n_shots for c in taught.classes()]
    answers = taught.recognize_many(f for seed in range(100, 150) for f in tiny.views(seed, 10))
    assert len(answers) == 500
    assert sum(answer.certainty == "unknown" for answer in answers) > 400
    assert thresholds() == before
    assert [c.n_shots for c in taught.classes()] == n_shots
    assert len(taught.gallery.unknown_frames) == 0


def test_frames_that_a_person_showed_as_unknown_raise_the_thresholds(taught, tiny):
    before = [c.threshold for c in taught.classes()]
    frames = tiny.views(0, 12, start=70)  # things that look like the mug, but are none
    assert taught.watch_strangers(frames[:4]) == 4
    assert [c.threshold for c in taught.classes()] == before  # too few
    taught.watch_strangers(frames[4:])
    assert [c.threshold for c in taught.classes()] > before
    named = [answer.label for answer in taught.recognize_many(frames)]
    assert named.count(None) >= 11


def test_unknown_frames_the_rate_and_privacy_survive_a_restart(tiny, tiny_bundle, tmp_path):
    path = tmp_path / "shop.db"
    with Recognizer(tiny_bundle, gallery=path, engine="onnxruntime", keep_crops=False) as rec:
        rec.enroll("mug", tiny.views(0, 3))
        rec.watch_strangers([tiny.pattern(STRANGER)])
        rec.gallery.set_stranger_rate(0.02)
    with Recognizer(tiny_bundle, gallery=path, engine="onnxruntime", stranger_rate="gallery") as rec:
        assert rec.stranger_rate == 0.02
        assert len(rec.gallery.unknown_frames) == 1
        taught = rec.enroll("cup", tiny.views(1, 3))
        assert all(rec.gallery.crop(frame.shot_id) is None for frame in taught.accepted)
        assert rec.observe([tiny.pattern(0)])[0].crop is None
    with Recognizer(tiny_bundle, gallery=path, engine="onnxruntime", stranger_rate=0.1) as rec:
        assert rec.stranger_rate == 0.1
