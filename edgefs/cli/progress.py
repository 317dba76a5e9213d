"""The progress of a command that takes minutes, on stderr: a bar on a terminal, one line for each step elsewhere.

Nothing is shown with `--quiet`.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from edgefs.reports.progress import is_hidden


class Stages:
    """`with Stages(total) as progress: progress("ONNX")`. total: about how many steps there will be."""

    def __init__(self, total: int) -> None:
        from tqdm import tqdm

        self.begin, self.hidden = time.perf_counter(), is_hidden.get()
        self.bar = tqdm(total=total, disable=self.hidden or None, leave=False, bar_format="{l_bar}{bar}| {elapsed}")

    def __enter__(self) -> Callable[[str], None]:
        return self._stage

    def _stage(self, name: str) -> None:
        if self.bar.disable and not self.hidden:
            print(f"{time.perf_counter() - self.begin:6.1f} s  {name}", file=sys.stderr, flush=True)
        self.bar.update(self.bar.n < self.bar.total - 1)
        self.bar.set_description(name)

    def __exit__(self, *_: object) -> None:
        self.bar.close()


@contextmanager
def shots_bar() -> Iterator[Callable[[int, int], None]]:
    """Give a function that is called with (shots done, all shots), and shows them on a terminal."""
    from tqdm import tqdm

    with tqdm(unit="shot", disable=is_hidden.get() or None, leave=False) as bar:

        def progress(done: int, of: int) -> None:
            bar.total = of
            bar.update(done - bar.n)

        yield progress
