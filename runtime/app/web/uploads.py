"""Limits on request bodies while they are received: one for each route, and one for all uploads together."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

from runtime.errors import EdgefsError

if TYPE_CHECKING:
    from starlette.types import Message, Receive, Scope

BUDGET = 32_000_000  # bytes in memory, of all uploads together
DISCARD_S = 1.0  # for how long the rest of a body that is too large is received


class BodyTooLarge(EdgefsError, ValueError):
    """A body is over the limit of its route."""


class TooBusy(EdgefsError, RuntimeError):
    """The upload was ended to make room for a newer one."""


class Uploads:
    """The uploads in progress, oldest first, of one event loop. `budget` is in bytes."""

    def __init__(self, budget: int = BUDGET) -> None:
        self._budget = budget
        self._current: dict[Upload, None] = {}

    def add(self, upload: Upload) -> None:
        self._current[upload] = None

    def remove(self, upload: Upload) -> None:
        self._current.pop(upload, None)

    def make_room(self, newest: Upload) -> None:
        """End the oldest uploads until the rest fits the budget: a slow upload is old, a fast one is young."""
        while sum(upload.held for upload in self._current) > self._budget:
            oldest = next(iter(self._current))
            self.remove(oldest)
            oldest.evicted = True
            if oldest is newest:
                raise too_busy()
            oldest.task.cancel()


class Upload:
    """The body of one request.

    Args:
        scope: The request.
        receive: Its ASGI receive function.
        limit: The most bytes that the body may have.
        uploads: All uploads.
        counted: Whether its bytes stay in memory until it ends, and count for the budget. Otherwise they go to disk.

    Raises:
        BodyTooLarge: The announced length is over the limit.
    """

    def __init__(self, scope: Scope, receive: Receive, limit: int, uploads: Uploads, *, counted: bool) -> None:
        task = asyncio.current_task()
        assert task is not None
        self.task, self.held, self.evicted = task, 0, False
        self._receive, self._limit, self._uploads, self._counted = receive, limit, uploads, counted
        self._seen = 0
        self._check(_announced(scope))

    async def receive(self) -> Message:
        """Receive and count the next part. Raises BodyTooLarge, TooBusy."""
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
            raise BodyTooLarge(f"The body must have at most {self._limit:,} bytes, but it has {size:,}. Send less.")


async def discard(receive: Receive) -> None:
    """Receive and drop the rest of a body for a moment.

    A connection that is closed while bytes are unread is reset, and then the client may miss the answer (RFC 9112,
    section 9.6).
    """

    async def drop() -> None:
        while (await receive()).get("more_body"):
            pass

    with suppress(asyncio.TimeoutError):
        await asyncio.wait_for(drop(), DISCARD_S)


def too_busy() -> TooBusy:
    return TooBusy("There are too many uploads at once, and this one was the oldest. Try again.")


def _announced(scope: Scope) -> int:
    lengths = [value for name, value in scope["headers"] if name == b"content-length"]
    return int(lengths[0]) if lengths and lengths[0].isdigit() else 0
