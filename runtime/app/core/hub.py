"""From the threads that recognise to everyone who watches: each watcher has a mailbox that cannot grow.

A mailbox keeps the newest message of each key, so somebody slow skips answers instead of receiving old ones; the newest
state waits until it is read.
"""

from __future__ import annotations

import itertools
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

from runtime.app.core.messages import Answer, Camera, Event, Teach

MAX_PENDING = 64
T = TypeVar("T")


class Mailbox(Generic[T]):
    """One watcher's messages. notify: called from any thread, with no lock held, when there is something to take."""

    def __init__(self, notify: Callable[[], None]) -> None:
        self._notify = notify
        self._lock = threading.Lock()
        self._pending: OrderedDict[Hashable, T] = OrderedDict()
        self.closed = False

    def put(self, key: Hashable, message: T) -> None:
        """Replace the older message of this key; over MAX_PENDING keys the oldest message goes."""
        with self._lock:
            self._pending.pop(key, None)
            self._pending[key] = message
            if len(self._pending) > MAX_PENDING:
                self._pending.popitem(last=False)
        self._notify()

    def take(self) -> list[T]:
        """Empty the mailbox, oldest message first."""
        with self._lock:
            messages = list(self._pending.values())
            self._pending.clear()
        return messages

    def close(self) -> None:
        """Tell the watcher that nothing more will come."""
        self.closed = True
        self._notify()


class Hub:
    """Every mailbox. Safe from several threads."""

    def __init__(self) -> None:
        self._mailboxes: tuple[Mailbox[Event], ...] = ()
        self._lock = threading.Lock()
        self._counter = itertools.count()
        self._closed = False

    @property
    def watchers(self) -> int:
        return len(self._mailboxes)

    def join(self, notify: Callable[[], None]) -> Mailbox[Event]:
        """Start watching."""
        mailbox: Mailbox[Event] = Mailbox(notify)
        with self._lock:
            self._mailboxes = (*self._mailboxes, mailbox)
        if self._closed:
            mailbox.close()
        return mailbox

    def leave(self, mailbox: Mailbox[Event]) -> None:
        with self._lock:
            self._mailboxes = tuple(other for other in self._mailboxes if other is not mailbox)

    def publish(self, message: Event) -> None:
        """Put a message into every mailbox."""
        key = self._key(message)
        for mailbox in self._mailboxes:
            mailbox.put(key, message)

    def close(self) -> None:
        """End every watcher, and those that still come."""
        self._closed = True
        for mailbox in self._mailboxes:
            mailbox.close()

    def _key(self, message: Event) -> Hashable:
        if isinstance(message, Teach) and message.accepted:
            return "kept", next(self._counter)  # the page shows every frame that was kept
        if isinstance(message, (Answer, Teach)):
            return type(message), message.camera
        return (type(message), message.id) if isinstance(message, Camera) else type(message)
