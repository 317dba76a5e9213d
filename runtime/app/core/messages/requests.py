"""What a client asks for."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from runtime.app.core.messages.fields import FrameRegion, Label, NamedRegion


class SetRegion(Struct, frozen=True, forbid_unknown_fields=True):
    """The region to look at; null for the whole frame."""

    region: FrameRegion | None


class CutRegion(Struct, frozen=True, forbid_unknown_fields=True):
    """The region to look at from now on."""

    region: FrameRegion


class SetRegions(Struct, frozen=True, forbid_unknown_fields=True):
    """All named regions of a camera; each name is used once."""

    regions: Annotated[list[NamedRegion], Meta(max_length=8)]


class AddCamera(Struct, frozen=True, forbid_unknown_fields=True):
    """A source of frames to add.

    `what` is a camera number, a URL, a file or folder on the device, "demo", or "browser" for a camera whose pictures
    a page sends over the WebSocket `cameras/{camera}/frames`. `name` is shown to people; null for one made from `what`.
    """

    what: Annotated[str, Meta(min_length=1, max_length=2000)]
    name: Label | None = None


class CameraName(Struct, frozen=True, forbid_unknown_fields=True):
    """Another name of a camera."""

    name: Label


class StartTeach(Struct, frozen=True, forbid_unknown_fields=True):
    """The label of the class to teach; null if it has none yet."""

    label: Label | None = None


class Named(Struct, frozen=True, forbid_unknown_fields=True):
    """A label."""

    label: Label


class MergeClasses(Struct, frozen=True, forbid_unknown_fields=True):
    """The class `label`, whose shots move to the class `into`."""

    label: Label
    into: Label


class OperationId(Struct, frozen=True, forbid_unknown_fields=True):
    """The id of the change that is meant: `undo.id` or `redo.id` of the state, or `operation` of a response."""

    id: Annotated[int, Meta(ge=1)]


class Confirm(Struct, frozen=True, forbid_unknown_fields=True):
    """The class that an answer shows; null for the candidate of the answer."""

    label: Label | None = None


class StrangerRate(Struct, frozen=True, forbid_unknown_fields=True):
    """The share of strangers that may be given a name."""

    rate: Annotated[float, Meta(ge=0, le=1)]


class UndoMinutes(Struct, frozen=True, forbid_unknown_fields=True):
    """For how many minutes a forgotten class can be restored."""

    minutes: Annotated[int, Meta(ge=0, le=527_040)]


class Login(Struct, frozen=True, forbid_unknown_fields=True):
    """The access token."""

    token: Annotated[str, Meta(min_length=1, max_length=200)]
