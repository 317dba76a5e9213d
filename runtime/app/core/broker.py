"""The address of an MQTT broker."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from runtime.camera.base import redact
from runtime.errors import OptionError

PORTS = {"mqtt": 1883, "mqtts": 8883}


@dataclass(frozen=True)
class Broker:
    """The address of a broker."""

    host: str
    port: int
    user: str | None
    password: str | None
    tls: bool


def parse_broker(url: str) -> Broker:
    """Parse mqtt://user:password@host:port, or mqtts:// for TLS. Raises OptionError."""
    try:
        parts = urlsplit(url if "://" in url else f"mqtt://{url}")
        port = parts.port or PORTS[parts.scheme]
        if not parts.hostname:
            raise ValueError("it names no host.")
    except (KeyError, ValueError) as error:
        raise OptionError(
            f"The MQTT broker must be like mqtt://user:password@host:1883, but {redact(url)!r} is not: {error}"
        ) from error
    user, password = (None if part is None else unquote(part) for part in (parts.username, parts.password))
    return Broker(parts.hostname, port, user, password, parts.scheme == "mqtts")
