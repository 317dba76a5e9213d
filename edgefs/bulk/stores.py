"""Pictures in a store such as S3: addresses, what is read from them, and what to do when that fails."""

from __future__ import annotations

import re
from functools import cache
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from edgefs.errors import StoreLost
from runtime.errors import CameraMissing

HOST = re.compile(r"([^:@]+@)?(\[[^@]*\]|[^:@]*)(:\d+)?")  # of an address without a password
SECRET = re.compile(r"secret|key|token|password|^sig$", re.IGNORECASE)
KEYS = "for S3 set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or write them into ~/.aws/credentials"
UNREACHABLE = "NETWORK_CONNECTION|[Tt]imeout"
ADVICE = (  # words in the messages of pyarrow, and what to do then
    (UNREACHABLE, "check that the store runs and can be reached from this machine"),
    (
        "Error (ACCESS_DENIED|INVALID_ACCESS_KEY_ID|INVALID_SIGNATURE|SIGNATURE_DOES_NOT_MATCH)|[Tt]oken (has|is)",
        f"check the access key and what it may read; {KEYS}",
    ),
)


def is_address(source: str) -> bool:
    """Return whether a source is in a store, and not a path of this machine."""
    return "://" in source


def require_usable(address: str) -> None:
    """Refuse an address with a secret: the address of each picture is stored and shown. Raises CameraMissing."""
    scheme = address.partition("://")[0]
    try:
        parts = urlsplit(address)
        plain = bool(HOST.fullmatch(parts.netloc)) and not (":" in parts.netloc and "@" in parts.path)
        options = [name for name, _ in parse_qsl(parts.query, keep_blank_values=True)]
    except ValueError:  # as for a "[" without its "]"
        plain, options = False, []
    if not plain or any(SECRET.search(name) for name in options):
        raise CameraMissing(
            f"an address of {scheme}:// must hold no key, token or password, because the address of each picture is "
            f"stored, but one seems to hold it; take it out, and {KEYS}"
        )
    if "#" in address:
        raise CameraMissing(f"{address} must have %23 in the place of #; write it so")


def read_address(address: str) -> bytes:
    """Return the content of a file of a store.

    Raises:
        OSError: It is absent, or cannot be read.
        StoreLost: The store does not answer, or refuses other questions too.
    """
    store, path = open_store(address)
    try:
        with store.open_input_stream(path, compression=None) as file:
            return file.read()  # type: ignore[no-any-return]
    except FileNotFoundError:
        raise
    except OSError as error:
        if why := error if re.search(UNREACHABLE, str(error)) else _refused(store, path):
            raise StoreLost(
                f"the store of {address} must answer until all pictures are read, but: {why}; {advice(why)}, and run "
                "the command again"
            ) from error
        raise


def _refused(store: Any, path: str) -> OSError | None:
    """Why the store does not answer about the folder of a file that it does not give either; None if it does."""
    try:
        store.get_file_info(str(PurePosixPath(path).parent))
    except OSError as error:
        return error
    return None


def advice(error: Exception) -> str:
    """What to do about an error of a store."""
    return next((what for words, what in ADVICE if re.search(words, str(error))), "check the address")


def open_store(address: str) -> tuple[Any, str]:
    """The store of an address, and the path in it. Raises OSError, ValueError."""
    parts = urlsplit(address)
    store, root = connect(parts._replace(path="/").geturl())
    return store, f"{root.rstrip('/')}/{unquote(parts.path).strip('/')}"


@cache
def connect(root: str) -> tuple[Any, str]:
    """Connect once in each process."""
    from pyarrow.fs import FileSystem

    return FileSystem.from_uri(root)  # type: ignore[no-any-return]
