"""The changes that the devices of a site tell each other."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, TypeAlias

Kind = Literal["teach", "rename", "merge", "forget", "remove", "move", "undo", "final", "set"]


class EventKey(NamedTuple):
    """Names an event for good: the origin that made it, and its number there, from 1 on."""

    origin: str
    n: int


class ShotKey(NamedTuple):
    """Names a shot for good: the event that brought it, and its index there."""

    origin: str
    n: int
    i: int

    @property
    def event(self) -> EventKey:
        """The event that brought the shot."""
        return EventKey(self.origin, self.n)


Place: TypeAlias = tuple[str, bool] | None  # (label, negative); None for a shot that counts for no class now


@dataclass(frozen=True)
class Event:
    """One change, which is never changed itself.

    `body` is, by kind: teach {"shots": [[label, negative, how many], ...]} (a label of None: a frame that shows nothing
    taught), rename {"label", "to"}, merge {"label", "into"}, forget {"label"}, remove {"shot"}, move {"shot", "to"},
    undo {"event"}, final {"event", "shots"} (these shots, removed by that event, are deleted for good), set {"name",
    "value"}.
    """

    key: EventKey
    kind: Kind
    body: Mapping[str, Any] = field(hash=False)
    seen: int = 0  # the newest place in the order of the site that its maker knew
    what: str = ""  # in words
    time_s: float = 0.0  # the clock of its maker; shown to people, and used for nothing else
    seq: int | None = None  # its place in the order of the site; None while only its maker has it

    @property
    def target(self) -> EventKey:
        """The event that an undo or a final deletion is about."""
        origin, n = self.body["event"]
        return EventKey(origin, n)

    @property
    def shot(self) -> ShotKey:
        """The shot that is removed or moved."""
        return ShotKey(*self.body["shot"])

    @property
    def doomed(self) -> list[ShotKey]:
        """The shots that a final deletion names."""
        return [ShotKey(*key) for key in self.body["shots"]]

    def taught(self) -> Iterator[tuple[ShotKey, str | None, bool]]:
        """Yield each shot that the event brings, with its label, and whether it is a negative example."""
        index = 0
        for label, negative, count in self.body["shots"] if self.kind == "teach" else ():
            for _ in range(count):
                yield ShotKey(*self.key, index), label, bool(negative)
                index += 1

    def text(self) -> str:
        """Return what is stored of the event beside its key, its place and its clock."""
        return json.dumps({"kind": self.kind, "what": self.what, **self.body}, ensure_ascii=False, sort_keys=True)

    @classmethod
    def parsed(cls, key: EventKey, text: str, *, seen: int, time_s: float, seq: int | None) -> Event:
        """Return the event that `text` was made of."""
        body = json.loads(text)
        return cls(key, body.pop("kind"), body, seen, body.pop("what", ""), time_s, seq)
