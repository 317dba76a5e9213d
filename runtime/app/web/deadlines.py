"""Deadlines that uvicorn lacks: a client that sends half a request, or reads no response, is disconnected.

They are set in the asyncio protocol, because middleware sees a request only once its header is complete. After every
piece of data, h11 knows what it still waits for. Without deadlines (measured in benchmarks/LOG.md), sixty half-open
sockets block a server that limits its connections, and a server without a limit keeps them open for ever.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

HEADER_S = 5.0  # for a whole request line and header, from the connection or the first byte on
BODY_S = 30.0  # for a whole body: 16 MB over a slow wireless link
READ_S = 10.0  # for a client to read what fills its buffer
MAX_CONNECTIONS = 384  # below the usual limit of 1024 handles

log = logging.getLogger(__name__)


class Deadline:
    """One timer at a time. Its name says what is waited for; waiting for the same again does not extend the time."""

    def __init__(self, expired: Callable[[], None]) -> None:
        self._expired = expired
        self._timer: asyncio.TimerHandle | None = None
        self._name: str | None = None

    def expect(self, name: str, within_s: float) -> None:
        if name != self._name:
            self.met()
            self._name = name
            self._timer = asyncio.get_running_loop().call_later(within_s, self._expired)

    def met(self) -> None:
        self._name = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


class _ReadDeadline(asyncio.Protocol):
    """The part that HTTP and WebSocket share: a timer runs while the write buffer is full."""

    transport: Any

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._read = Deadline(lambda: self.transport.abort())

    def pause_writing(self) -> None:
        super().pause_writing()
        self._read.expect("room", READ_S)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._read.met()

    def connection_lost(self, exc: Exception | None) -> None:
        self._read.met()
        super().connection_lost(exc)


class WebSocketProtocol(_ReadDeadline, WebSocketsSansIOProtocol):  # type: ignore[misc]
    """uvicorn's protocol with a deadline for a client that reads nothing; its pings find a client that is gone.

    Text that is not UTF-8 closes the connection with code 1007; uvicorn would log a traceback for it.
    """

    def send_receive_event_to_app(self) -> None:
        if self.curr_msg_data_type == "text" and not self.close_sent:
            try:
                b"".join(self.frames).decode()
            except UnicodeDecodeError:
                log.info("A WebSocket was closed: its client sent text that is not UTF-8.")
                self.frames = []
                self.conn.send_close(1007)
                self.handle_parser_exception()
                return
        super().send_receive_event_to_app()


class HttpProtocol(_ReadDeadline, H11Protocol):  # type: ignore[misc]
    """uvicorn's protocol with deadlines for the header, for the body and for reading the response.

    With more than MAX_CONNECTIONS connections, the one that has waited longest for its header is closed: a client that
    holds sockets open without a request loses them to clients that send one.
    """

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._opened_s = self.loop.time()
        self._receive = Deadline(self.transport.abort)
        self._watch()
        if len(self.connections) > MAX_CONNECTIONS:
            waiting = [c for c in self.connections if isinstance(c, HttpProtocol) and c.conn.their_state is h11.IDLE]
            oldest = min(waiting, key=lambda connection: connection._opened_s)
            self.connections.discard(oldest)  # at once: more connections may come before the event loop closes it
            oldest.transport.abort()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._watch()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._watch(between=True)

    def connection_lost(self, exc: Exception | None) -> None:
        self._receive.met()
        super().connection_lost(exc)

    def _watch(self, *, between: bool = False) -> None:
        """Run the timer for what h11 waits for; `between` two requests uvicorn's keep-alive timer runs instead."""
        state = self.conn.their_state
        if self.transport.get_protocol() is not self:  # a WebSocket now; h11 would wait for the body of its request
            self._receive.met()
        elif state is h11.IDLE:
            if between:
                self._receive.met()
            else:
                self._receive.expect("header", HEADER_S)
        elif state is h11.SEND_BODY:
            self._receive.expect("body", BODY_S)
        else:
            self._receive.met()
