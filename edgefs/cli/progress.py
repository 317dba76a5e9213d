"""The progress of a command that takes minutes, on stderr: a bar on a terminal, one line for each step elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable


class Stages:
    """`with Stages(total) as progress: progress("ONNX")`. total: about how many steps there will be."""

    def __init__(self, total: int) -> None:
        from tqdm import tqdm

        self.begin = time.perf_counter()
        self.bar = tqdm(total=total, disable=None, leave=False, bar_format="{l_bar}{bar}| {elapsed}")

    def __enter__(self) -> Callable[[str], None]:
        return self._stage

    def _stage(self, name: str) -> None:
        if self.bar.disable:
            print(f"{time.perf_counter() - self.begin:6.1f} s  {name}", file=sys.stderr, flush=True)
        self.bar.update(self.bar.n < self.bar.total - 1)
        self.bar.set_description(name)

    def __exit__(self, *_: object) -> None:
        self.bar.close()
