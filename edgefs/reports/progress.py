"""Progress on stderr: a bar on a terminal, one line per step everywhere else, nothing with `--quiet`."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Protocol, TypeVar

Item = TypeVar("Item")
is_hidden: ContextVar[bool] = ContextVar("is_hidden", default=False)


class Progress(Protocol):
    """A Protocol, so that a test or another interface can show progress in its own way."""

    def __call__(self, items: Iterable[Item], what: str, total: int | None) -> Iterable[Item]: ...


@contextmanager
def hidden(hide: bool) -> Iterator[None]:
    """Within this, no command shows progress if `hide` is set."""
    token = is_hidden.set(hide)
    try:
        yield
    finally:
        is_hidden.reset(token)


def show(items: Iterable[Item], what: str, total: int | None) -> Iterator[Item]:
    """Yield the items, and show how many of `total` there have been."""
    if is_hidden.get():
        yield from items
        return
    if sys.stderr.isatty() and (bar := _bar(items, what, total)) is not None:
        yield from bar
        return
    start, count = time.perf_counter(), 0
    print(f"{what} …", file=sys.stderr, flush=True)
    for item in items:
        count += 1
        yield item
    print(f"{what}: {count} in {time.perf_counter() - start:.1f} s", file=sys.stderr, flush=True)


def silent(items: Iterable[Item], what: str, total: int | None) -> Iterable[Item]:  # noqa: ARG001
    """Return the items and show nothing."""
    return items


def _bar(items: Iterable[Item], what: str, total: int | None) -> Iterable[Item] | None:
    try:
        from tqdm import tqdm
    except ImportError:  # tqdm is optional on a device
        return None
    return tqdm(items, desc=what, total=total, leave=False)  # type: ignore[no-any-return]
