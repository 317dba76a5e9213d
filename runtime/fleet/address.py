"""The address of a site: postgresql://USER@HOST/DATABASE?device=NAME&copy=FILE"""

from __future__ import annotations

import os
import re
import socket
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from runtime.errors import OptionError

SCHEMES = ("postgresql://", "postgres://")
# What has another form is refused before PostgreSQL's client sees it: that would take a part of a password for a host
# or a port, and name it in its messages.
_PLAIN = r"[^@/?#\[\]%]|%(?!00)[0-9A-Fa-f]{2}"
_FORM = re.compile(rf"\w+://((?:{_PLAIN})*@)?(?:{_PLAIN}|[/?\[\]])*")


def is_site(gallery: object) -> bool:
    """Return whether a gallery is named by the address of a database."""
    return isinstance(gallery, str) and gallery.startswith(SCHEMES)


@dataclass(frozen=True)
class Address:
    """Where a site is, and who this device is there.

    Attributes:
        conninfo: What PostgreSQL's client is given.
        device: The name of this device; by default the user of the address, or else the name of this computer.
        copy: The copy of the gallery on this device.
    """

    conninfo: str
    device: str
    copy: Path

    @property
    def shown(self) -> str:
        """The address without a password."""
        parts = urlsplit(self.conninfo)
        host = parts.netloc.rpartition("@")[2]
        user = f"{parts.username}@" if parts.username else ""
        return urlunsplit((parts.scheme, user + host, parts.path, "", ""))


def parsed(url: str) -> Address:
    """Return the parts of an address. Raises OptionError."""
    if not _FORM.fullmatch(url):
        raise OptionError(
            "The address of a site must be postgresql://USER@HOST/DATABASE with other characters percent-encoded (%40 "
            "for @), but one of them is not. Encode it; a password belongs into ~/.pgpass (docs/fleet.md)."
        )
    parts = urlsplit(url)
    options = dict(parse_qsl(parts.query))
    device = options.pop("device", None) or parts.username or options.get("user") or socket.gethostname()
    if not re.fullmatch(r"[\w.-]{1,63}", device):
        raise OptionError(f"The name of a device must be 1 to 63 letters, digits, '-', '_' or '.', but got {device!r}.")
    given = options.pop("copy", None)
    # urlunsplit would drop the two slashes before an empty host
    conninfo = f"postgresql://{parts.netloc}{parts.path}" + (f"?{urlencode(options)}" if options else "")
    copy = Path(given).expanduser() if given else _folder() / f"{_file_name(parts.netloc, parts.path, device)}.db"
    return Address(conninfo, device, copy)


def _folder() -> Path:
    """Return the user's folder for data."""
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local/share") / "edgefs" / "fleet"


def _file_name(netloc: str, path: str, device: str) -> str:
    host = netloc.rpartition("@")[2] or "local"
    return "-".join(re.sub(r"[^\w.]+", "_", part.strip("/")) or "default" for part in (host, path, device))
