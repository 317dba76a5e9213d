"""Which pictures are embedded: those of a folder, of a list of files, or of a store such as S3."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from runtime.errors import CameraMissing
from runtime.pictures import SUFFIXES, is_system, pictures_below


@dataclass(frozen=True)
class Picture:
    """One picture.

    Attributes:
        path: Its absolute path, or its address in a store.
        label: The folder that it is in, as a path below the folder that was given; None for that folder itself.
    """

    path: str
    label: str | None

    def read(self) -> bytes:
        """Return its bytes. Raises OSError."""
        if is_address(self.path):
            store, path = _store(self.path)
            with store.open_input_stream(path, compression=None) as file:
                return file.read()  # type: ignore[no-any-return]
        return Path(self.path).read_bytes()


def find_pictures(source: str) -> list[Picture]:
    """Find pictures in a fixed order.

    Args:
        source: A folder, whose folders are searched too; a file that lists a picture in each line; or the address of a
            folder in a store, such as `s3://bucket/photos?region=eu-west-1`.

    Raises:
        CameraMissing: There is no such folder or list, or no picture in it.
    """
    if is_address(source):
        found = _in_store(source)
    elif Path(source).is_dir():
        root = Path(source).absolute()
        classes = pictures_below(root).tell().classes
        found = [Picture(str(path), None if name == "." else name) for name, some in classes.items() for path in some]
    else:
        found = _in_list(Path(source))
    if not found:
        raise CameraMissing(f"{source} must hold pictures, but holds none; check the path")
    return found


def is_address(source: str) -> bool:
    """Return whether a source is in a store, and not a path of this machine."""
    return "://" in source


def _in_list(path: Path) -> list[Picture]:
    try:
        lines = path.read_text("utf-8").splitlines()
    except (OSError, ValueError) as error:
        raise CameraMissing(
            f"{path} must be a folder of pictures, or a text file with the path of a picture in each line, but: "
            f"{getattr(error, 'strerror', None) or error}; check the path"
        ) from error
    names = [line.strip() for line in lines if line.strip()]
    paths = [name if is_address(name) else str((path.parent / name).absolute()) for name in names]
    return [Picture(one, PurePosixPath(one).parent.name or None) for one in dict.fromkeys(paths)]


def _in_store(source: str) -> list[Picture]:
    """A store gives no first bytes for free, so the names of its files tell which are pictures."""
    from pyarrow.fs import FileSelector

    try:
        store, root = _store(source)
        entries = store.get_file_info(FileSelector(root, recursive=True))
    except (OSError, ValueError) as error:
        raise CameraMissing(f"{source} must be a folder in a store, but: {error}; check the address") from error
    parts, found = urlsplit(source), []
    for path in sorted(PurePosixPath(entry.path) for entry in entries if entry.is_file):
        below = path.relative_to(root)
        if path.suffix.lower() in SUFFIXES and not any(is_system(part) for part in below.parts):
            label = below.parent.as_posix()
            address = parts._replace(path=f"{parts.path.rstrip('/')}/{quote(below.as_posix())}")
            found.append(Picture(address.geturl(), None if label == "." else label))
    return found


def _store(address: str) -> tuple[Any, str]:
    """The store of an address, and the path in it."""
    parts = urlsplit(address)
    store, root = _open_store(parts._replace(path="/").geturl())
    return store, f"{root.rstrip('/')}/{unquote(parts.path).strip('/')}"


@cache
def _open_store(root: str) -> tuple[Any, str]:
    """Connect once in each process."""
    from pyarrow.fs import FileSystem

    return FileSystem.from_uri(root)  # type: ignore[no-any-return]
