"""The one secret: made by us, shown once, kept as its digest. Whoever reads the disk cannot log in with it."""

from __future__ import annotations

import hmac
import os
import secrets
from hashlib import sha256
from pathlib import Path

from runtime.errors import OptionError


class Token:
    """Checks tokens against a digest."""

    def __init__(self, digest: str) -> None:
        self._digest = digest

    def fits(self, token: str) -> bool:
        """Whether this is the token, in constant time."""
        return hmac.compare_digest(_digest(token), self._digest)


def load_token(path: Path, *, renew: bool = False) -> tuple[Token, str | None]:
    """Read the digest at path, or make a token there; returns it in the clear only when it is new.

    Raises OptionError where it cannot be kept.
    """
    try:
        if path.exists() and not renew:
            digest = path.read_text().strip()
            if len(digest) == 64:
                return Token(digest), None
        token = secrets.token_urlsafe(32)
        path.parent.mkdir(parents=True, exist_ok=True)
        aside = path.with_name(f"{path.name}.{os.getpid()}.part")
        with os.fdopen(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write(_digest(token) + "\n")
        aside.replace(path)
    except (OSError, ValueError) as error:
        raise OptionError(
            f"{path} must be a place to keep the digest of the access token, but: {error}. "
            "Do: choose another with --token-file"
        ) from error
    return Token(_digest(token)), token


def default_token_file() -> Path:
    """Where systemd, or else the XDG rules, keep state."""
    state = os.environ.get("STATE_DIRECTORY") or os.environ.get("XDG_STATE_HOME")
    folder = Path(state.split(":")[0]) if state else Path.home() / ".local" / "state" / "edgefs"
    return folder / "live-token.sha256"


def _digest(token: str) -> str:
    return sha256(token.encode(errors="surrogateescape")).hexdigest()
