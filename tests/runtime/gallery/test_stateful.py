"""Any sequence of changes, against plain dicts: memory, file and model agree, and undo leads back to empty."""

from __future__ import annotations

import copy
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from runtime.errors import NothingToUndo
from runtime.gallery import NewShot, open_gallery

DIM = 3
LABELS = st.sampled_from(["mug", "cup", "bowl", "plate"])
Model = dict[str, dict[str, list[tuple[int, bytes]]]]  # label -> {"shots": [(id, embedding)], "negatives": …}


class Enrolment(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.path = Path(self.folder.name) / "shop.db"
        self.model: Model = {}
        self.past: list[Model] = []
        self.future: list[Model] = []  # what redo leads to
        self.seed = 0
        self.open()

    def open(self) -> None:
        self.gallery = open_gallery(self.path, fingerprint="f", dim=DIM)

    def remember(self) -> None:
        self.past.append(copy.deepcopy(self.model))
        self.future.clear()

    def add_to(self, label: str, count: int, kind: str) -> None:
        self.seed += 1
        rows = np.random.default_rng(self.seed).standard_normal((count, DIM)).astype(np.float32)
        new = [NewShot(row, None, f"burst {self.seed}", 0.5, "api", 1.0) for row in rows]
        ids = self.gallery.add(label, new, negative=kind == "negatives")
        into = self.model.setdefault(label, {"shots": [], "negatives": []})
        into[kind] += [(id_, row.tobytes()) for id_, row in zip(ids, rows, strict=True)]

    @rule(label=LABELS, count=st.integers(1, 3))
    def enrol(self, label: str, count: int) -> None:
        self.remember()
        self.add_to(label, count, "shots")

    @precondition(lambda self: self.model)
    @rule(data=st.data())
    def reject(self, data: st.DataObject) -> None:
        self.remember()
        self.add_to(data.draw(st.sampled_from(list(self.model))), 1, "negatives")

    @precondition(lambda self: self.model)
    @rule(data=st.data())
    def forget(self, data: st.DataObject) -> None:
        self.remember()
        label = data.draw(st.sampled_from(list(self.model)))
        assert self.gallery.forget(label) == len(self.model.pop(label)["shots"])

    @precondition(lambda self: self.model)
    @rule(data=st.data(), to=LABELS)
    def rename(self, data: st.DataObject, to: str) -> None:
        label = data.draw(st.sampled_from(list(self.model)))
        if to not in self.model:
            self.remember()
            self.gallery.rename(label, to)
            self.model = {to if name == label else name: shots for name, shots in self.model.items()}

    @precondition(lambda self: len(self.model) > 1)
    @rule(data=st.data())
    def merge(self, data: st.DataObject) -> None:
        self.remember()
        label, into = data.draw(st.permutations(list(self.model)))[:2]
        gone, kept = self.model.pop(label), self.model[into]
        assert self.gallery.merge(label, into) == len(gone["shots"])
        for kind in kept:
            kept[kind] = sorted(kept[kind] + gone[kind])

    @precondition(lambda self: self.past)
    @rule()
    def undo(self) -> None:
        self.gallery.undo()
        self.future.append(self.model)
        self.model = self.past.pop()

    @precondition(lambda self: self.future)
    @rule()
    def redo(self) -> None:
        self.gallery.redo()
        self.past.append(self.model)
        self.model = self.future.pop()

    @rule()
    def reopen(self) -> None:
        self.future.clear()
        self.gallery.close()
        self.open()

    @invariant()
    def memory_is_the_model_and_the_file(self) -> None:
        with open_gallery(self.path, fingerprint="f", dim=DIM) as file:
            for gallery in (self.gallery, file):
                assert list(gallery.classes) == list(self.model)
                for label, wanted in self.model.items():
                    found = gallery.classes[label]
                    ids = [id_ for id_, _ in wanted["shots"]]
                    assert found.ids.tolist() == ids
                    assert found.embeddings.tobytes() == b"".join(row for _, row in wanted["shots"])
                    assert found.negatives.tobytes() == b"".join(row for _, row in wanted["negatives"])
                    assert len(found.bursts) == len(found.qualities) == len(ids)
        assert not self.gallery.damaged
        assert len(self.gallery.history()) == len(self.past)
        assert len(self.gallery.undone()) == len(self.future)

    def teardown(self) -> None:
        while self.past:
            self.undo()
            self.memory_is_the_model_and_the_file()
        assert not self.gallery.classes
        with pytest.raises(NothingToUndo):
            self.gallery.undo()
        self.gallery.close()
        self.folder.cleanup()


TestEnrolment = Enrolment.TestCase
TestEnrolment.settings = settings(max_examples=15, stateful_step_count=20, deadline=None)
