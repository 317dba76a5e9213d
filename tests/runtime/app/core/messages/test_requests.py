"""What a client asks for: what does not fit is refused before anything is done."""

from __future__ import annotations

import msgspec
import pytest

from runtime.app.core.messages import AddCamera, Named, OperationId, SetRegion, SetRegions, StrangerRate, UndoMinutes

WHOLE = {"x": 0, "y": 0, "w": 1, "h": 1}


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        (Named, {"label": ""}),
        (Named, {"label": "mug", "more": 1}),
        (OperationId, {"id": 0}),
        (StrangerRate, {"rate": 1.5}),
        (UndoMinutes, {"minutes": -1}),
        (AddCamera, {"what": ""}),
        (SetRegion, {"region": WHOLE | {"w": 0}}),
        (SetRegions, {"regions": [{"name": "shelf", "region": WHOLE}] * 9}),
    ],
)
def test_what_does_not_fit_is_refused(kind, body):
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(body, kind)


def test_what_fits_is_read():
    assert msgspec.convert({"label": "mug"}, Named).label == "mug"
    assert msgspec.convert({"region": None}, SetRegion).region is None
    assert msgspec.convert({"what": "demo"}, AddCamera).name is None
