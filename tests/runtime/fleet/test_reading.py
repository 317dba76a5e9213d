"""What the devices of a site show of each other's changes."""

from __future__ import annotations

import numpy as np
import pytest

pytestmark = pytest.mark.fleet


def test_everything_reaches_the_other_device(device, shot, until):
    a, b = device("a"), device("b")
    ids = a.add("mug", [shot(1), shot(2)])
    a.add("cup", [shot(3)])
    until(lambda: list(b.classes) == ["mug", "cup"])
    assert np.array_equal(a.classes["mug"].embeddings, b.classes["mug"].embeddings)
    until(lambda: b.status().crops_to_come == 0)
    assert b.crop(int(b.classes["mug"].ids[0])) == a.crop(ids[0])
    b.rename("mug", "beaker")
    until(lambda: list(a.classes) == ["beaker", "cup"])
    a.merge("cup", "beaker")
    until(lambda: list(b.classes) == ["beaker"] and len(b.classes["beaker"].ids) == 3)
    assert a.undo() == "merged 'cup' (1 shot) into 'beaker'"
    until(lambda: list(b.classes) == ["beaker", "cup"])
    a.forget("beaker")
    until(lambda: list(b.classes) == ["cup"])
    a.undo()
    until(lambda: len(b.classes.get("beaker").ids if "beaker" in b.classes else ()) == 2)
