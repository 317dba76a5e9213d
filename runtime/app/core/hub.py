"""Distribution of messages from the threads that recognise to every subscriber; each subscriber has a bounded mailbox.

A mailbox keeps only the newest message of each key, so a slow subscriber skips answers instead of receiving old ones.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

from runtime.app.core.messages import Answer, Camera, Event, RegionAnswer, Teach

MAX_PENDING = 64
T = TypeVar("T")


class Mailbox(Generic[T]):
    """The messages that wait for one subscriber.

    Args:
        notify: Called from any thread, with no lock held, when there is something to take.
    """

    def __init__(self, notify: Callable[[], None]) -> None:
        self._notify = notify
        self._lock = threading.Lock()
        self._pending: OrderedDict[Hashable, T] = OrderedDict()
        self.closed = False

    def put(self, key: Hashable, message: T) -> None:
        """Replace the older message of this key; with more than MAX_PENDING keys the oldest message is dropped."""
        with self._lock:
            self._pending.pop(key, None)
            self._pending[key] = message
            if len(self._pending) > MAX_PENDING:
                self._pending.popitem(last=False)
        self._notify()

    def take(self) -> list[T]:
        """Empty the mailbox and return its messages, oldest first."""
        with self._lock:
            messages = list(self._pending.values())
            self._pending.clear()
        return messages

    def close(self) -> None:
        """Tell the subscriber that no more messages will come."""
        self.closed = True
        self._notify()


class Hub:
    """All mailboxes. Safe to use from several threads."""

    def __init__(self) -> None:
        self._mailboxes: tuple[Mailbox[Event], ...] = ()
        self._lock = threading.Lock()
        self._counter = itertools.count()
        self._closed = False

    @property
    def subscribers(self) -> int:
        return len(self._mailboxes)

    def subscribe(self, notify: Callable[[], None]) -> Mailbox[Event]:
        """Return a new mailbox that receives every message from now on; `notify` is called as in `Mailbox`."""
        mailbox: Mailbox[Event] = Mailbox(notify)
        with self._lock:
            self._mailboxes = (*self._mailboxes, mailbox)
        if self._closed:
            mailbox.close()
        return mailbox

    def unsubscribe(self, mailbox: Mailbox[Event]) -> None:
        with self._lock:
            self._mailboxes = tuple(other for other in self._mailboxes if other is not mailbox)

    def publish(self, message: Event) -> None:
        """Put a message into every mailbox."""
        key = self._key(message)
        for mailbox in self._mailboxes:
            mailbox.put(key, message)

    def close(self) -> None:
        """Close every mailbox, and those of later subscribers."""
        self._closed = True
        for mailbox in self._mailboxes:
            mailbox.close()

    def _key(self, message: Event) -> Hashable:
        if isinstance(message, Teach) and message.accepted:
            return "kept", next(self._counter)  # the page shows every frame that was kept
        if isinstance(message, RegionAnswer):
            return RegionAnswer, message.camera, message.region
        if isinstance(message, (Answer, Teach)):
            return type(message), message.camera
        return (type(message), message.id) if isinstance(message, Camera) else type(message)


class ChangeFilter:
    """Tells the messages that report a change from those that repeat what was already sent.

    JSON lines and MQTT send one message for each change of the answer or of a camera, not thirty answers a second.
    """

    def __init__(self) -> None:
        self._answers: dict[str, tuple[str | None, str | None]] = {}
        self._cameras: dict[str, tuple[str, str]] = {}

    def is_change(self, message: Event) -> bool:
        """Return whether a message differs from the last one of its kind and camera, and remember it."""
        if isinstance(message, Answer):
            return self._differs(self._answers, message.camera, (message.stable, message.suggestion))
        if isinstance(message, RegionAnswer):
            key = f"{message.camera}: {message.region}"
            return self._differs(self._answers, key, (message.stable, message.suggestion))
        if isinstance(message, Camera):
            return self._differs(self._cameras, message.id, (message.state, message.message))
        return False

    @staticmethod
    def _differs(known: dict[str, T], key: str, value: T) -> bool:
        differs = key not in known or known[key] != value
        known[key] = value
        return differs


class AsyncNotification:
    """A `notify` function that a coroutine can wait for. Create it in the event loop; call it from any thread."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._event = asyncio.Event()

    def __call__(self) -> None:
        with contextlib.suppress(RuntimeError):  # the loop has ended: no coroutine waits
            self._loop.call_soon_threadsafe(self._event.set)

    async def wait(self) -> None:
        """Return once after any number of calls."""
        await self._event.wait()
        self._event.clear()
