"""One signed POST, with a deadline for the whole request.

The headers and the signature are those of the Standard Webhooks specification (standardwebhooks.com), so that its
libraries can check them. Redirects are not followed.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import http.client
import socket
import threading
import time
from contextlib import suppress
from urllib.parse import unquote, urlsplit

from runtime.app.actions.rules import Webhook, signing_key

DEADLINE_S = 10.0


class NotDelivered(Exception):
    """An event could not be delivered; the message says why."""


def post(webhook: Webhook, id_: str, body: bytes, *, deadline_s: float = DEADLINE_S) -> str:
    """POST an event and return the server's answer in words. Raises NotDelivered unless that is 2xx."""
    parts = urlsplit(webhook.url)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.hostname or "", parts.port, timeout=deadline_s)
    late = threading.Event()

    def end() -> None:  # a server that sends one byte a second would hold the thread for ever
        late.set()
        with suppress(OSError):
            if connection.sock is not None:
                connection.sock.shutdown(socket.SHUT_RDWR)

    timer = threading.Timer(deadline_s, end)
    timer.daemon = True
    timer.start()
    try:
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        connection.request("POST", path, body, {**webhook.headers, **headers_of(webhook, id_, body, time.time())})
        response = connection.getresponse()
        response.read(1000)
        if late.is_set():  # the end of the connection can look like the end of the headers
            raise TimeoutError
    except (OSError, ValueError, http.client.HTTPException) as error:
        why = f"no answer within {deadline_s:g} s" if late.is_set() or isinstance(error, TimeoutError) else error
        raise NotDelivered(f"{why}") from error
    finally:
        timer.cancel()
        connection.close()
    if not 200 <= response.status < 300:
        raise NotDelivered(f"the server answered {response.status} {response.reason}")
    return f"{response.status} {response.reason}".strip()


def headers_of(webhook: Webhook, id_: str, body: bytes, now_s: float) -> dict[str, str]:
    """Return the headers of a request. `now_s` is the time in Unix seconds."""
    stamp = str(int(now_s))
    headers = {
        "content-type": "application/json",
        "user-agent": "edgefs",
        "webhook-id": id_,
        "webhook-timestamp": stamp,
    }
    parts = urlsplit(webhook.url)
    if parts.username is not None:
        user = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        headers["authorization"] = f"Basic {base64.b64encode(user.encode()).decode()}"
    key = signing_key(webhook)
    if key is not None:
        digest = hmac.new(key, b".".join((id_.encode(), stamp.encode(), body)), hashlib.sha256).digest()
        headers["webhook-signature"] = f"v1,{base64.b64encode(digest).decode()}"
    return headers
