"""After a power loss at any moment, a bundle, a checkpoint and the files beside a gallery are the old ones or the new.

The calls of Python to the operating system are recorded. A power loss keeps what was synchronised: of a file its bytes,
of a folder its names. Of the later changes each folder keeps some, in their order, and each file keeps nothing, a part,
zeros or everything. The same without the synchronisation must lose something, or the test would prove nothing.
"""

from __future__ import annotations

import builtins
import io
import os
import random
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from runtime import durable
from runtime.bundle import Bundle
from runtime.durable import write_file
from runtime.errors import BundleError
from runtime.gallery.recovery import asides, files

pytestmark = pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="the recorder needs /proc")

ROOT = 0
Names = dict[str, int]  # the entries of a folder: name -> node
Change = tuple[int, str, int | None]  # (folder, name, node); None removes the name


class Recorder:
    """Follows the changes under a folder. Folders and files are numbered, so that a name can move to another folder.

    Attributes:
        log: ("names", the folder that keeps the change, changes), ("data", file, all its bytes) and ("sync", node).
    """

    def __init__(self, root: Path) -> None:
        self.root, self.log = root, []  # type: ignore[var-annotated]
        self.folders: dict[int, Names] = {ROOT: {}}
        self.data: dict[int, bytes] = {}
        self._count, self._written = 0, {}  # type: ignore[var-annotated]
        for path in sorted(root.rglob("*")):
            self.new(path, path.is_dir())
            if path.is_file():
                self.data[self.node(path)] = path.read_bytes()
        self.before = {node: dict(names) for node, names in self.folders.items()}, dict(self.data)
        self.log.clear()

    def node(self, path: Path) -> int:
        node = ROOT
        for part in path.relative_to(self.root).parts:
            node = self.folders[node][part]
        return node

    def names(self, home: Path, *changes: tuple[Path, int | None]) -> None:
        self.flush()
        done = [(self.node(path.parent), path.name, node) for path, node in changes]
        for folder, name, node in done:
            if node is None:
                del self.folders[folder][name]
            else:
                self.folders[folder][name] = node
        self.log.append(("names", self.node(home), done))

    def new(self, path: Path, folder: bool) -> None:
        self._count += 1
        if folder:
            self.folders[self._count] = {}
        else:
            self.data[self._count] = b""
        self.names(path.parent, (path, self._count))

    def opened(self, path: Path) -> None:
        if path.name not in self.folders[self.node(path.parent)]:
            self.new(path, False)
        self._written[self.node(path)] = path

    def flush(self) -> None:
        """Log what was written to open files since the last call."""
        for node, path in self._written.items():
            if path.exists() and (data := path.read_bytes()) != self.data[node]:
                self.data[node] = data
                self.log.append(("data", node, data))

    def moved(self, changes: list[tuple[Path, int | None]], home: Path) -> None:
        self._written.clear()  # what they held was logged before they moved
        self.names(home, *changes)

    def synced(self, path: Path) -> None:
        self.flush()
        self.log.append(("sync", self.node(path), b""))


@contextmanager
def recorded(root: Path) -> Iterator[Recorder]:
    """Record what Python does under a folder."""
    recorder, real = Recorder(root), {}

    def full(path: Any, dir_fd: int | None = None) -> Path | None:
        path = Path(os.fspath(path))
        path = Path(f"/proc/self/fd/{dir_fd}").readlink() / path if dir_fd is not None else path.absolute()
        return path if path.is_relative_to(root) and path != root else None

    def opening(path: Any, mode: str = "r", *args: Any, **options: Any) -> Any:
        file = real["open"](path, mode, *args, **options)
        if not isinstance(path, int) and set(mode) & set("wxa+") and (where := full(path)):
            recorder.opened(where)
        return file

    def naming(name: str, change: Callable[..., None]) -> Callable[..., Any]:
        def called(*args: Any, **options: Any) -> Any:
            recorder.flush()
            result = real[name](*args, **options)
            paths = [
                full(arg, options.get("dir_fd")) for arg in args[: 2 if name in ("rename", "replace", "link") else 1]
            ]
            if all(paths):
                change(*paths)
            return result

        return called

    def renamed(old: Path, new: Path) -> None:
        recorder.moved([(old, None), (new, recorder.node(old))], new.parent)

    def exchanged(one: Path, other: Path) -> bool:
        recorder.flush()
        if not (done := real["_exchange"](one, other)):
            return False
        recorder.moved([(one, recorder.node(other)), (other, recorder.node(one))], other.parent)
        return bool(done)

    def synced(descriptor: int) -> None:
        real["fsync"](descriptor)
        recorder.synced(Path(f"/proc/self/fd/{descriptor}").readlink())

    gone = lambda path: recorder.names(path.parent, (path, None))  # noqa: E731
    patches = {
        (os, "mkdir"): naming("mkdir", lambda path: recorder.new(path, True)),
        (os, "rmdir"): naming("rmdir", gone),
        (os, "unlink"): naming("unlink", gone),
        (os, "rename"): naming("rename", renamed),
        (os, "replace"): naming("replace", renamed),
        (os, "link"): naming("link", lambda old, new: recorder.names(new.parent, (new, recorder.node(old)))),
        (os, "fsync"): synced,
        (io, "open"): opening,
        (builtins, "open"): opening,
        (durable, "_exchange"): exchanged,
    }
    with pytest.MonkeyPatch.context() as patch:
        for (module, name), hook in patches.items():
            real[name] = getattr(module, name)
            patch.setattr(module, name, hook)
        yield recorder
    recorder.flush()


def after_power_loss(recorder: Recorder, end: int, dice: random.Random) -> tuple[dict[int, Names], dict[int, bytes]]:
    """Return the folders and the bytes of the files, if the power fails after `end` calls."""
    folders, durable_data = {node: dict(names) for node, names in recorder.before[0].items()}, dict(recorder.before[1])
    latest, pending = dict(durable_data), {}  # type: ignore[var-annotated]
    for kind, node, what in recorder.log[:end]:
        if kind == "names":
            pending.setdefault(node, []).append(what)
        elif kind == "data":
            latest[node] = what
        elif node in latest:
            durable_data[node] = latest[node]
        else:
            for changes in pending.pop(node, []):
                _apply(folders, changes)
    share = dice.choice((0.0, 0.5, 1.0))
    for waiting in pending.values():
        for changes in waiting[: round(len(waiting) * dice.choice((share, dice.random())))]:
            _apply(folders, changes)
    for node, data in latest.items():
        if durable_data.get(node) != data:
            kept = durable_data.get(node, b"")
            durable_data[node] = dice.choice((kept, b"", data[: len(data) // 2], bytes(len(data)), data))
    return folders, durable_data


def _apply(folders: dict[int, Names], changes: list[Change]) -> None:
    for folder, name, node in changes:
        if node is None:
            folders.setdefault(folder, {}).pop(name, None)
        else:
            folders.setdefault(folder, {})[name] = node


def written(
    path: Path, node: int, folders: dict[int, Names], data: dict[int, bytes], is_folder: Callable[[int], bool]
) -> None:
    """Write a state as real files."""
    if not is_folder(node):
        path.write_bytes(data.get(node, b""))
        return
    path.mkdir()
    for name, child in folders.get(node, {}).items():
        written(path / name, child, folders, data, is_folder)


def losses(
    root: Path, change: Callable[[], object], state_of: Callable[[Path], str], states: int, *, synced: bool = True
) -> int:
    """Return how many power losses leave neither the state before nor the new one, which it must be at the end."""
    before = state_of(root)
    with recorded(root) as recorder:
        change()
    new = state_of(root)
    assert before != new
    if not synced:
        recorder.log = [call for call in recorder.log if call[0] != "sync"]
    assert len(recorder.log) >= (4 if synced else 2)
    dice, lost, where = random.Random(0), 0, root.with_name("after")
    for number in range(states):
        end = number % (len(recorder.log) + 1)
        folders, data = after_power_loss(recorder, end, dice)
        written(where, ROOT, folders, data, recorder.folders.__contains__)
        lost += state_of(where) not in ({before, new} if end < len(recorder.log) else {new})
        shutil.rmtree(where)
    return lost


# -- what is replaced: (prepare the folder, change it, name the state that a reader finds)

Scenario = tuple[Callable[[], object], Callable[[], object], Callable[[Path], str]]


def bundle_state(name: str) -> Callable[[Path], str]:
    def state(root: Path) -> str:
        try:
            return Bundle.load(root / name).name
        except BundleError as error:
            return "none" if not (root / name).exists() else f"damaged: {error}"

    return state


def file_state(name: str) -> Callable[[Path], str]:
    return lambda root: (
        (root / name).read_bytes()[:40].hex() + str((root / name).stat().st_size) if (root / name).exists() else "none"
    )


def scenario(kind: str, root: Path, tiny: Any, monkeypatch: pytest.MonkeyPatch) -> Scenario:
    if "bundle" in kind:
        name = "a.edgefs.zip" if "zip" in kind else "a.edgefs"
        if "two renames" in kind:
            monkeypatch.setattr(durable, "_exchange", lambda *_: False)
        first = (lambda: None) if "new" in kind else (lambda: tiny.bundle(seed=0).save(root / name))
        return first, lambda: tiny.bundle(seed=1).save(root / name, overwrite=True), bundle_state(name)
    if kind == "checkpoint":
        path = root / "best.safetensors"
        return (
            lambda: write_file(path, b"old" * 5000),
            lambda: write_file(path, memoryview(b"new" * 7000)),
            file_state(path.name),
        )
    if kind == "aside":
        rows = np.ones((50, 4), np.float32)
        path = asides.aside_path(root / "shop.db", "model")

        def state(root: Path) -> str:
            try:
                return f"{asides._read(root / path.name)[0].size} shots"
            except asides._UNREADABLE as error:
                return f"damaged: {error}"

        old, new = ((path, np.arange(count), rows[:count], "model", "fp32") for count in (50, 20))
        return lambda: asides._write(*old), lambda: asides._write(*new), state
    assert kind == "gallery"  # the names alone: what SQLite writes is in tests/runtime/gallery/test_power_loss.py
    path, part = root / "shop.db", root / "shop.db.part"
    return (
        lambda: path.write_bytes(b"old" * 5000),
        lambda: (part.write_bytes(b"new" * 7000), files.replace(path, part)),
        file_state(path.name),
    )


KINDS = (
    "bundle",
    "bundle zip",
    "new bundle",
    "new bundle zip",
    "bundle by two renames",
    "checkpoint",
    "aside",
    "gallery",
)


@pytest.mark.parametrize("kind", KINDS)
def test_60_power_losses_leave_the_old_or_the_new(kind, tmp_path, tiny, monkeypatch):
    assert lost_of(kind, tmp_path, tiny, monkeypatch, 60) == 0


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_500_power_losses_leave_the_old_or_the_new(kind, tmp_path, tiny, monkeypatch):
    assert lost_of(kind, tmp_path, tiny, monkeypatch, 500) == 0


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # numpy leaves a broken file open
@pytest.mark.parametrize("kind", KINDS)
def test_without_synchronisation_something_would_be_lost(kind, tmp_path, tiny, monkeypatch):
    assert lost_of(kind, tmp_path, tiny, monkeypatch, 60, synced=False) > 0


def lost_of(kind, folder, tiny, monkeypatch, states, *, synced=True):
    root = folder / "disk"
    root.mkdir()
    prepare, change, state_of = scenario(kind, root, tiny, monkeypatch)
    prepare()
    return losses(root, change, state_of, states, synced=synced)
