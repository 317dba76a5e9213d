"""The access token: made at random, shown once, and stored as its digest, with which nobody can log in."""

from __future__ import annotations

import hmac
import os
import secrets
from hashlib import sha256
from pathlib import Path

from runtime.errors import OptionError


class Token:
    """Compares tokens with a digest."""

    def __init__(self, digest: str) -> None:
        self._digest = digest

    def fits(self, token: str) -> bool:
        """Return whether this is the token; the comparison takes constant time."""
        return hmac.compare_digest(digest_of(token), self._digest)


def load_token(path: Path, *, renew: bool = False) -> tuple[Token, str | None]:
    """Read the digest at a path, or make a token and store its digest there.

    Args:
        path: The file of the digest.
        renew: Whether to make a new token even if there is one.

    Returns:
        The token, and its text if it is new, else None.

    Raises:
        OptionError: The digest cannot be read or stored.
    """
    try:
        if path.exists() and not renew:
            digest = path.read_text().strip()
            if len(digest) == 64:
                return Token(digest), None
    except (OSError, ValueError) as error:
        raise _unusable(path, error) from error
    token = secrets.token_urlsafe(32)
    store_digest(path, digest_of(token))
    return Token(digest_of(token)), token


def store_digest(path: Path, text: str) -> None:
    """Write a file that only its owner can read. Raises OptionError."""
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write(f"{text}\n")
        part.replace(path)
    except (OSError, ValueError) as error:
        raise _unusable(path, error) from error


def default_token_file() -> Path:
    """Return the file in the state directory of systemd, or else in that of the XDG specification."""
    state = os.environ.get("STATE_DIRECTORY") or os.environ.get("XDG_STATE_HOME")
    folder = Path(state.split(":")[0]) if state else Path.home() / ".local" / "state" / "edgefs"
    return folder / "live-token.sha256"


def digest_of(token: str) -> str:
    """Return the SHA-256 digest of a token; a token of 32 random bytes cannot be found from it."""
    return sha256(token.encode(errors="surrogateescape")).hexdigest()


def _unusable(path: Path, error: Exception) -> OptionError:
    return OptionError(
        f"The digest of the access token must be stored in {path}, but: {error}. Choose another file with --token-file."
    )
