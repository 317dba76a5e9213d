"""Bodies are bounded while they come in: each by its route, all together by a budget the oldest of them pays for."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from runtime.errors import EdgefsError

if TYPE_CHECKING:
    from starlette.types import Message, Receive, Scope

BUDGET = 32_000_000  # bytes in memory, of all uploads together


class BodyTooLarge(EdgefsError, ValueError):
    """A body over the limit of its route."""


class TooBusy(EdgefsError, RuntimeError):
    """This upload gave way to a newer one."""


class Uploads:
    """The uploads in progress, oldest first. For one event loop."""

    def __init__(self, budget: int = BUDGET) -> None:
        self._budget = budget
        self._current: dict[Upload, None] = {}

    def add(self, upload: Upload) -> None:
        self._current[upload] = None

    def remove(self, upload: Upload) -> None:
        self._current.pop(upload, None)

    def make_room(self, newest: Upload) -> None:
        """End the oldest uploads until all fit: one that trickles is old, one that hurries is young."""
        while sum(upload.held for upload in self._current) > self._budget:
            oldest = next(iter(self._current))
            self.remove(oldest)
            oldest.evicted = True
            if oldest is newest:
                raise too_busy()
            oldest.task.cancel()


class Upload:
    """The body of one request. counted: its bytes stay in memory until it ends; else it goes to disk as it comes.

    Raises BodyTooLarge, before anything is read where the length is announced.
    """

    def __init__(self, scope: Scope, receive: Receive, limit: int, uploads: Uploads, *, counted: bool) -> None:
        task = asyncio.current_task()
        assert task is not None
        self.task, self.held, self.evicted = task, 0, False
        self._receive, self._limit, self._uploads, self._counted = receive, limit, uploads, counted
        self._seen = 0
        self._check(_announced(scope))

    async def receive(self) -> Message:
        """The ASGI receive that counts."""
        message = await self._receive()
        if size := len(message.get("body", b"")):
            self._seen += size
            self._check(self._seen)
            if self._counted:
                if not self.held:
                    self._uploads.add(self)
                self.held += size
                self._uploads.make_room(self)
        return message

    def end(self) -> None:
        self._uploads.remove(self)

    def _check(self, size: int) -> None:
        if size > self._limit:
            raise BodyTooLarge(f"the body must have at most {self._limit:,} bytes, but has {size:,}; send less at once")


def too_busy() -> TooBusy:
    return TooBusy("too many uploads at once, and this one was the oldest; try again")


def _announced(scope: Scope) -> int:
    lengths = [value for name, value in scope["headers"] if name == b"content-length"]
    return int(lengths[0]) if lengths and lengths[0].isdigit() else 0
