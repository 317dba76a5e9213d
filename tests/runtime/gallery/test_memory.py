"""The state in memory follows a change without reading the whole file, and is what reading the whole file gives."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.errors import GalleryError
from runtime.gallery import NewShot, memory, open_gallery
from runtime.gallery.memory import load
from runtime.gallery.records import read_classes

DIM = 4
LABELS = ["mug", "cup", "bowl", "jug"]


def shot(seed=0):
    return NewShot(np.full(DIM, seed, np.float32), None, "b", 0.5, "api", 1.0)


def taught(*labels):
    gallery = open_gallery(None, fingerprint="f", dim=DIM)
    for seed, label in enumerate(labels):
        gallery.add(label, [shot(seed), shot(seed + 10)])
    return gallery


def require_what_the_file_says(gallery):
    with gallery._file.reading() as db:
        found, expected = gallery._file.memory, load(db)
    assert found.roots == expected.roots
    assert list(found.ids.items()) == list(expected.ids.items())
    assert list(found.classes) == list(expected.classes)
    for one, other in zip(found.classes.values(), expected.classes.values(), strict=True):
        assert one.ids.tolist() == other.ids.tolist()
        assert one.embeddings.tobytes() == other.embeddings.tobytes()
    assert not found.damaged


steps = st.tuples(
    st.sampled_from(["add", "forget", "rename", "merge", "remove", "undo", "redo", "purge"]),
    st.sampled_from(LABELS),
    st.sampled_from(LABELS),
)


@settings(max_examples=40, deadline=None)
@given(st.lists(steps, max_size=14))
def test_the_state_after_any_changes_is_what_the_file_says(changes):
    with taught("mug", "cup", "bowl") as gallery:
        for what, label, other in changes:
            try:
                {
                    "add": lambda: gallery.add(label, [shot(7)]),  # noqa: B023 - called at once
                    "forget": lambda: gallery.forget(label),  # noqa: B023
                    "rename": lambda: gallery.rename(label, other),  # noqa: B023
                    "merge": lambda: gallery.merge(label, other),  # noqa: B023
                    "remove": lambda: gallery.remove_shot(int(gallery.classes[label].ids[0])),  # noqa: B023
                    "undo": gallery.undo,
                    "redo": gallery.redo,
                    "purge": lambda: gallery.purge(now=True),
                }[what]()
            except (GalleryError, KeyError):
                continue
            require_what_the_file_says(gallery)


def test_a_class_that_was_merged_into_a_forgotten_one_comes_back_with_it():
    with taught("mug", "cup", "bowl") as gallery:
        gallery.merge("cup", "mug")
        gallery.forget("mug")
        assert gallery._file.memory.roots == {1: None, 2: None, 3: 3}
        gallery.undo()
        assert gallery._file.memory.roots == {1: 1, 2: 1, 3: 3}
        assert list(gallery.classes) == ["mug", "bowl"]  # in its place in the order
        require_what_the_file_says(gallery)


def test_the_records_of_other_current_classes_are_not_read(monkeypatch):
    with taught(*map(str, range(50))) as gallery:
        read = []

        def counted(db, where="1", *values):
            for row in read_classes(db, where, *values):
                read.append(row)
                yield row

        monkeypatch.setattr(memory, "read_classes", counted)
        gallery.forget("7")
        gallery.rename("8", "eight")
        gallery.undo()
        assert len(read) <= 2 * 3  # what is gone, and what was changed
        assert len(gallery.classes) == 49


def test_a_damaged_record_makes_everything_be_read():
    with taught("mug", "cup") as gallery:
        before = gallery._file.memory
        with gallery._file.reading() as db:
            db.execute("UPDATE classes SET label = 'cap' WHERE id = 2")
            found, expected = load(db, before, {2}), load(db)
        assert list(found.classes) == ["mug"]
        assert found.damaged == expected.damaged
        assert len(found.damaged) == 3  # the class and its shots


@pytest.mark.parametrize("count", [1, 2])
def test_forgetting_says_how_many_shots_the_class_had(count):
    with taught("mug") as gallery:
        gallery.add("cup", [shot(seed) for seed in range(count)])
        assert gallery.forget("cup") == count
        assert gallery.history()[0].what == f"forgot 'cup' ({count} shot{'s' if count > 1 else ''})"
