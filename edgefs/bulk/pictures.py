"""Which pictures are embedded: those of a folder, of a list of files, or of a store such as S3."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote, urlsplit

from edgefs.bulk.stores import advice, is_address, open_store, read_address, require_usable
from runtime.errors import CameraMissing
from runtime.opencv import decode_image, read_image
from runtime.pictures import SUFFIXES, is_system, pictures_below

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


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
        """Return its bytes. Raises OSError; StoreLost if its store does not answer."""
        return read_address(self.path) if is_address(self.path) else Path(self.path).read_bytes()


def find_pictures(source: str) -> list[Picture]:
    """Find pictures in a fixed order.

    Args:
        source: A folder, whose folders are searched too; a file that lists a picture in each line; or the address of a
            folder in a store, such as `s3://bucket/photos?region=eu-west-1`.

    Raises:
        CameraMissing: There is no such folder or list, or no picture in it; or an address holds a secret.
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


def read_picture(source: str) -> NDArray[np.uint8]:
    """Read a picture of this machine or of a store to `uint8 [H, W, 3]` BGR.

    Raises:
        CameraMissing: It cannot be read.
        FrameError: It cannot be decoded.
        StoreLost: Its store does not answer.
    """
    if not is_address(source):
        return read_image(source)
    require_usable(source)
    try:
        data = read_address(source)
    except (OSError, ValueError) as error:
        raise CameraMissing(f"{source} must be a readable picture, but: {error}; {advice(error)}") from error
    return decode_image(data, source)


def _in_list(path: Path) -> list[Picture]:
    try:
        lines = path.read_text("utf-8").splitlines()
    except (OSError, ValueError) as error:
        raise CameraMissing(
            f"{path} must be a folder of pictures, or a text file with the path of a picture in each line, but: "
            f"{getattr(error, 'strerror', None) or error}; check the path"
        ) from error
    names = [line.strip() for line in lines if line.strip()]
    for name in filter(is_address, names):
        require_usable(name)
    paths = [name if is_address(name) else str((path.parent / name).absolute()) for name in names]
    return [Picture(one, _folder_of(one) or None) for one in dict.fromkeys(paths)]


def _folder_of(path: str) -> str:
    return PurePosixPath(unquote(urlsplit(path).path) if is_address(path) else path).parent.name


def _in_store(source: str) -> list[Picture]:
    """A store gives no first bytes for free, so the names of its files tell which are pictures."""
    from pyarrow.fs import FileSelector

    require_usable(source)
    try:
        store, root = open_store(source)
        entries = store.get_file_info(FileSelector(root, recursive=True))
    except (OSError, ValueError) as error:
        raise CameraMissing(f"{source} must be a folder in a store, but: {error}; {advice(error)}") from error
    parts, found = urlsplit(source), []
    files = [PurePosixPath(entry.path).relative_to(root) for entry in entries if entry.is_file]
    for below in sorted(files, key=lambda one: (one.parent.as_posix(), one.name)):  # the order of a local folder
        if below.suffix.lower() in SUFFIXES and not any(is_system(part) for part in below.parts):
            label = below.parent.as_posix()
            address = parts._replace(path=f"{parts.path.rstrip('/')}/{quote(below.as_posix())}")
            found.append(Picture(address.geturl(), None if label == "." else label))
    return found
