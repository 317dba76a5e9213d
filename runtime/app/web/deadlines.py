"""Deadlines under uvicorn, which has none: a client that sends half a request, or takes nothing, is cut off.

At the asyncio protocol, because no middleware sees a request before its header is complete: after every piece of data,
h11 knows what it still waits for. Measured without (benchmarks/LOG.md): sixty half-open sockets starve a server that
limits its connections, and one that does not keeps them for ever.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

HEADER_S = 5.0  # for a whole request line and header, from the connection or the first byte on
BODY_S = 30.0  # for a whole body: 16 MB over a slow radio link
TAKE_S = 10.0  # for a client to take what fills its buffer
MAX_CONNECTIONS = 384  # below the usual limit of 1024 handles


class Deadline:
    """One timer at a time; `what` names what is waited for, and going on waiting for the same does not extend it."""

    def __init__(self, expired: Callable[[], None]) -> None:
        self._expired = expired
        self._timer: asyncio.TimerHandle | None = None
        self._what: str | None = None

    def expect(self, what: str, within_s: float) -> None:
        if what != self._what:
            self.met()
            self._what = what
            self._timer = asyncio.get_running_loop().call_later(within_s, self._expired)

    def met(self) -> None:
        self._what = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


class _TakeDeadline(asyncio.Protocol):
    """The part HTTP and WebSocket share: while the write buffer is full a timer runs."""

    transport: Any

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._take = Deadline(lambda: self.transport.abort())

    def pause_writing(self) -> None:
        super().pause_writing()
        self._take.expect("room", TAKE_S)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._take.met()

    def connection_lost(self, exc: Exception | None) -> None:
        self._take.met()
        super().connection_lost(exc)


class WebSocketProtocol(_TakeDeadline, WebSocketsSansIOProtocol):  # type: ignore[misc]
    """uvicorn's, with a deadline for a client that takes nothing; its pings find one that is gone."""


class HttpProtocol(_TakeDeadline, H11Protocol):  # type: ignore[misc]
    """uvicorn's, with deadlines for the header, the body and the taking, and room for a newcomer.

    Over MAX_CONNECTIONS the one that has waited longest for its header goes: whoever holds sockets open without asking
    anything loses them to whoever asks.
    """

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._came_s = self.loop.time()
        self._receive = Deadline(self.transport.abort)
        self._watch()
        if len(self.connections) > MAX_CONNECTIONS:
            waiting = [c for c in self.connections if isinstance(c, HttpProtocol) and c.conn.their_state is h11.IDLE]
            oldest = min(waiting, key=lambda connection: connection._came_s)
            self.connections.discard(oldest)  # at once: others may come before the loop gets to close it
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

    def handle_websocket_upgrade(self, event: h11.Request) -> None:
        self._receive.met()
        super().handle_websocket_upgrade(event)

    def _watch(self, *, between: bool = False) -> None:
        """Let the timer run for what h11 still waits for. between: two requests, where uvicorn's keep-alive counts."""
        state = self.conn.their_state
        if state is h11.IDLE:
            if between:
                self._receive.met()
            else:
                self._receive.expect("header", HEADER_S)
        elif state is h11.SEND_BODY:
            self._receive.expect("body", BODY_S)
        else:
            self._receive.met()
