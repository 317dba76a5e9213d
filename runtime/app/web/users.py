"""Who may use the app: every user has a name, a role, and an access token of which only the digest is stored.

A *teacher* may do everything, a *viewer* may look at everything and change nothing.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from runtime.app.web.token import Token, digest_of, store_digest
from runtime.errors import OptionError

Role = Literal["viewer", "teacher"]
Name = Annotated[str, msgspec.Meta(pattern=r"^[\w.@-]{1,40}\Z")]
EXAMPLE = 'anna = "teacher"\ntill = "viewer"'


@dataclass(frozen=True)
class User:
    """One user, whose name is in the log."""

    name: str
    role: Role
    token: Token


def holder(users: Sequence[User], token: str) -> User | None:
    """Return the user whose token this is. Every token is compared, so the time tells nothing about who it was."""
    found = [user for user in users if user.token.fits(token)]
    return found[0] if found else None


def read_users(path: Path) -> dict[str, Role]:
    """Read a file with one line for each user, such as `anna = "teacher"`. Raises OptionError."""
    try:
        roles = msgspec.toml.decode(path.read_bytes(), type=dict[Name, Role])
        if not roles:
            raise ValueError("it names nobody.")
    except (OSError, ValueError, ImportError) as error:  # msgspec's errors are ValueErrors
        raise OptionError(
            f"--users {path} must be a file with the role of each user, but: {error} It looks like this:\n{EXAMPLE}"
        ) from error
    return roles


def load_users(roles: Mapping[str, Role], path: Path, *, renew: bool = False) -> tuple[list[User], dict[str, str]]:
    """Read the digests of the users' tokens, and make a token for each user who has none.

    Args:
        roles: The role of each user. Whoever is no longer in it has no token any more.
        path: The file of the digests.
        renew: Whether everybody gets a new token.

    Returns:
        The users, and the text of each new token by the user's name.

    Raises:
        OptionError: The digests cannot be read or stored.
    """
    try:
        known = {} if renew or not path.exists() else msgspec.json.decode(path.read_bytes(), type=dict[str, str])
    except (OSError, msgspec.MsgspecError) as error:
        raise OptionError(
            f"The digests of the users' tokens must be in {path}, but: {error}. Remove it to make all tokens again."
        ) from error
    fresh = {name: secrets.token_urlsafe(32) for name in roles if name not in known}
    digests = {name: digest_of(fresh[name]) if name in fresh else known[name] for name in roles}
    if digests != known:
        store_digest(path, msgspec.json.encode(digests).decode())
    return [User(name, role, Token(digests[name])) for name, role in roles.items()], fresh
