"""The address at which other devices open the page, as text and as a QR code."""

from __future__ import annotations

import io
import platform
import socket
import sys

WILDCARDS = ("0.0.0.0", "::", "")  # nosec B104 # a comparison, nothing is bound


def address(host: str, port: int, *, https: bool = False) -> str:
    """Return the page's address.

    Args:
        host: What the server listens on. For all addresses, that of this machine in its network is used.
        port: The port.
        https: Whether the server uses TLS.
    """
    name = (network_address() or platform.node() or "localhost") if host in WILDCARDS else host
    return f"http{'s' if https else ''}://{f'[{name}]' if ':' in name else name}:{port}/"


def network_address() -> str | None:
    """Return the IP address from which this machine sends to its network; None without a network. Nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # an address for documentation (RFC 5737)
            found: str = probe.getsockname()[0]
        except OSError:
            return None
    return None if found.startswith("127.") else found


def terminal_code(text: str) -> str:
    """Return a QR code drawn with block characters; "" where it cannot be shown: no segno, or no such characters."""
    try:
        import segno

        out = io.StringIO()
        segno.make(text, error="l", micro=False).terminal(out, compact=True, border=2)
        out.getvalue().encode(sys.stderr.encoding or "ascii")
    except (ImportError, UnicodeEncodeError):
        return ""
    return out.getvalue()


def picture_code(text: str) -> bytes | None:
    """Return a QR code as an SVG file; None if segno is not installed."""
    try:
        import segno
    except ImportError:
        return None
    out = io.BytesIO()
    segno.make(text, error="l", micro=False).save(out, kind="svg", scale=4, border=3, light="#ffffff", dark="#000000")
    return out.getvalue()
