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
        return hmac.compare_digest(_digest(token), self._digest)


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
        token = secrets.token_urlsafe(32)
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f"{path.name}.{os.getpid()}.part")
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write(_digest(token) + "\n")
        part.replace(path)
    except (OSError, ValueError) as error:
        raise OptionError(
            f"The digest of the access token must be stored in {path}, but: {error}. "
            "Choose another file with --token-file."
        ) from error
    return Token(_digest(token)), token


def default_token_file() -> Path:
    """Return the file in the state directory of systemd, or else in that of the XDG specification."""
    state = os.environ.get("STATE_DIRECTORY") or os.environ.get("XDG_STATE_HOME")
    folder = Path(state.split(":")[0]) if state else Path.home() / ".local" / "state" / "edgefs"
    return folder / "live-token.sha256"


def _digest(token: str) -> str:
    return sha256(token.encode(errors="surrogateescape")).hexdigest()
