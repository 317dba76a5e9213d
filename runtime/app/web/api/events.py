"""The WebSocket: the whole state first, then every change and every answer as it happens."""

from __future__ import annotations

import asyncio

import anyio
import msgspec
from starlette.websockets import WebSocket, WebSocketDisconnect

from runtime.app.core.hub import AsyncNotification
from runtime.app.core.messages import Hello, State
from runtime.app.web.routes import App, Route

PATH = "/api/v1/events"
MAX_SUBSCRIBERS = 32
ROUTES: tuple[Route, ...] = ()  # OpenAPI has no WebSockets; openapi.py describes it in words


async def events(app: App, socket: WebSocket) -> None:
    """Send messages until either side closes. Messages from the client are read and ignored."""
    hub = app.service.hub
    if hub.subscribers >= MAX_SUBSCRIBERS:
        await socket.close(1013)
        return
    await socket.accept()
    notification = AsyncNotification()
    mailbox = hub.subscribe(notification)
    app.service.changed()  # the number of viewers is in the state
    reader = asyncio.create_task(_until_gone(socket))
    reader.add_done_callback(lambda _: mailbox.close())
    try:
        state = await anyio.to_thread.run_sync(app.service.state, limiter=app.workers)
        await _send(socket, _hello(state))
        while not mailbox.closed:
            for message in mailbox.take():
                await _send(socket, message)
            await notification.wait()
        if not reader.done():
            await socket.close(1001)
    except (WebSocketDisconnect, RuntimeError):  # RuntimeError: the other side had closed
        pass
    finally:
        hub.unsubscribe(mailbox)
        reader.cancel()
        app.service.changed()


async def _until_gone(socket: WebSocket) -> None:
    try:
        while True:
            await socket.receive_text()
    except (WebSocketDisconnect, KeyError, RuntimeError):
        return


async def _send(socket: WebSocket, message: msgspec.Struct) -> None:
    await socket.send_text(msgspec.json.encode(message).decode())


def _hello(state: State) -> Hello:
    return Hello(*(getattr(state, name) for name in State.__struct_fields__))
