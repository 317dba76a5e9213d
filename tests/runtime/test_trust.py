"""Explain, coach, reject with a preview, inbox: what a person does with the recogniser, through its public door."""

import numpy as np
import pytest

from runtime import Recognizer
from runtime.errors import InvalidShot, UnknownLabel
from runtime.opencv import decode_image
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
    assert unknown.sentences[0].startswith("Unknown; the nearest class is")
    assert any("short: too many strangers" in line for line in unknown.sentences)


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
    before = [answer.recognition.label for answer in ring.answers()]
    preview = taught.preview_reject(frames[0], "mug", ring)
    assert preview.of == len(frames)
    assert {change.index for change in preview.changes} >= {0, 3}  # the same frame is there twice
    assert [a.recognition.label for a in ring.answers()] == before  # nothing has happened yet
    assert taught.preview_reject(ring.get(1).recognition.embedding, "mug", ring) == preview
    taught.reject(frames[0], "mug")
    now = [taught.match(answer.recognition.embedding).label for answer in ring.answers()]
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


def test_undo_says_beforehand_what_it_would_take_back(taught, tiny):
    assert taught.undo_preview() == "enrolled 6 shots of 'box'"
    assert taught.undo() == "enrolled 6 shots of 'box'"


def test_every_class_says_how_well_it_is_known(taught):
    summary = {c.label: c for c in taught.classes()}
    assert list(summary) == list(OBJECTS)
    assert (summary["mug"].n_shots, summary["mug"].n_bursts, summary["mug"].set_aside) == (6, 1, ())


def test_a_shot_that_was_set_aside_counts_once_a_person_says_so_and_a_removed_one_never(tiny, tiny_bundle, tmp_path):
    with Recognizer(tiny_bundle, gallery=tmp_path / "shop.db", engine="onnxruntime") as rec:
        rec.enroll("mug", tiny.views(0, 9))
        (wrong,) = (rec.enroll("mug", [tiny.pattern(STRANGER)]).accepted[0].shot_id,)
        assert rec.classes()[0].set_aside == (wrong,)
        before = rec.match(rec.embed(tiny.pattern(0))[0]).score
        assert rec.keep_shot(wrong) == "mug"
        assert rec.classes()[0].set_aside == ()
        assert rec.match(rec.embed(tiny.pattern(0))[0]).score < before
        assert rec.undo() == f"kept shot {wrong} of 'mug'"
        assert rec.classes()[0].set_aside == (wrong,)
        assert rec.match(rec.embed(tiny.pattern(0))[0]).score == before
        rec.remove_shot(wrong)
        assert rec.classes()[0].set_aside == ()
        assert rec.classes()[0].n_shots == 9


def test_the_bank_and_privacy_survive_a_restart(tiny, tiny_bundle, tmp_path):
    path = tmp_path / "shop.db"
    with Recognizer(tiny_bundle, gallery=path, engine="onnxruntime", keep_crops=False) as rec:
        rec.enroll("mug", tiny.views(0, 3))
        rec.watch_strangers([tiny.pattern(STRANGER)])
        unknown = rec.recognize(tiny.pattern(STRANGER))
        assert unknown.label is None
        assert [rec.bank.offer(unknown, time_s) for time_s in (0.0, 1.0, 2.5)] == [True, False, True]
    with Recognizer(tiny_bundle, gallery=path, engine="onnxruntime") as rec:  # without the flag
        told, passive = rec.bank.samples()
        assert (len(told), len(passive)) == (1, 2)
        taught = rec.enroll("cup", tiny.views(1, 3))
        assert all(rec.gallery.crop(frame.shot_id) is None for frame in taught.accepted)
        assert rec.observe([tiny.pattern(0)])[0].crop is None
