"""What the messages of several kinds contain."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

Fraction = Annotated[float, Meta(ge=0, le=1)]
# Neither empty nor with control characters; `clean_label` has the other rules.
LABEL_PATTERN = r"^[^\x00-\x1f\x7f-\x9f\u2028\u2029]*[^\s\x00-\x1f\x7f-\x9f][^\x00-\x1f\x7f-\x9f\u2028\u2029]*$"
Label = Annotated[
    str, Meta(min_length=1, max_length=200, extra_json_schema={"maxLength": 100, "pattern": LABEL_PATTERN})
]
Certainty = Literal["sure", "maybe", "unknown"]
GalleryCondition = Literal["ok", "read-only", "damaged", "disk full", "disk failing", "second writer"]
CameraState = Literal["live", "connecting", "stalled", "reconnecting", "ended", "missing"]


class FrameRegion(Struct, frozen=True, forbid_unknown_fields=True):
    """The rectangle of a camera's frame that is looked at, in fractions of the frame's width and height."""

    x: Fraction
    y: Fraction
    w: Annotated[float, Meta(gt=0, le=1)]
    h: Annotated[float, Meta(gt=0, le=1)]


class NamedRegion(Struct, frozen=True, forbid_unknown_fields=True):
    """A region with a name, which is answered besides the rest of the frame."""

    name: Annotated[str, Meta(min_length=1, max_length=60)]
    region: FrameRegion
