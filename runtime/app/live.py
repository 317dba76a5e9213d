"""The live app put together: sources, recognizer, faces; it runs until a signal, or until every source has ended."""

from __future__ import annotations

import logging
import platform
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runtime.app.core.camera_worker import Source
from runtime.app.core.other_model import OtherModel
from runtime.app.core.service import Service
from runtime.app.logs import set_up
from runtime.app.outputs.json_lines import Lines
from runtime.app.outputs.mqtt import Mqtt, parse_broker
from runtime.app.outputs.window import Window
from runtime.app.systemd import Systemd
from runtime.app.web.metrics import Metrics
from runtime.app.web.server import Server, build, is_loopback, listen, policy_for
from runtime.app.web.token import default_token_file, load_token
from runtime.bundle import Bundle
from runtime.errors import GalleryMismatch
from runtime.recognizer import Recognizer

TICK_S = 0.2
STUCK_S = 45.0  # a camera may take 10 s to open and 5 to close; nothing takes three times that

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Options:
    """What `edgefs live` was asked for; see its help. ready: called with the page's address, or None."""

    bundle: Bundle
    gallery: Path
    sources: Sequence[Source]
    engine: str = "auto"
    threads: int | None = None
    stranger_rate: float | None = 0.05
    reembed: bool = False
    host: str = "127.0.0.1"
    port: int = 8080
    allow_hosts: tuple[str, ...] = ()
    token_file: Path | None = None
    new_token: bool = False
    headless: bool = False
    window: bool = False
    mqtt: str | None = None
    log: Path | None = None
    ready: Callable[[str | None], None] = lambda _: None


def run(options: Options) -> None:
    """Run until SIGTERM or SIGINT, until the window is closed, or, headless, until every source has ended.

    Raises EdgefsError if it cannot start: PortBusy, OptionError, GalleryError, BundleError, EngineError.
    """
    with ExitStack() as stack, _stopped_by_signals() as stop:
        handler = set_up(options.log)
        stack.callback(logging.getLogger().removeHandler, handler)
        broker = parse_broker(options.mqtt) if options.mqtt else None
        listener = None if options.headless or options.window else listen(options.host, options.port)
        if listener is not None:
            stack.callback(listener.close)
        metrics = Metrics()
        service = _service(options, metrics, stack)
        server = None if listener is None else stack.enter_context(_server(options, listener, service, metrics))
        stack.callback(service.close)  # before the server: its streams end with the service
        if broker is not None:
            stack.callback(Mqtt(service, broker).close)
        lines = Lines(service.hub, sys.stdout) if options.headless else None
        if lines is not None:
            stack.callback(lines.close)
        window = Window(service) if options.window else None
        service.start()
        systemd = Systemd()
        systemd.say("READY=1")
        stack.callback(systemd.say, "STOPPING=1")
        options.ready(_address(options.host, server.port) if server else None)
        if window is not None:
            window.run(stop)
            return
        while not stop.wait(TICK_S):
            systemd.feed_watchdog(healthy=_healthy(service, server))
            if lines is not None and (service.ended or lines.broken):
                return


def _service(options: Options, metrics: Metrics, stack: ExitStack) -> Service:
    """The service on the gallery asked for, or without it if another model filled it and somebody can be told."""

    def opened(gallery: Path | None, **kwargs: Any) -> Recognizer:
        return Recognizer(options.bundle, gallery=gallery, stranger_rate=options.stranger_rate, **kwargs)

    engine = {"engine": options.engine, "threads": options.threads}
    other = None
    try:
        recognizer = stack.enter_context(opened(options.gallery, reembed=options.reembed, **engine))
    except GalleryMismatch:
        if options.headless or options.window:
            raise
        recognizer = stack.enter_context(opened(None, **engine))
        other = OtherModel(options.gallery, recognizer, lambda: opened(options.gallery, engine=recognizer.engine))
        log.warning("%s was filled by another model: the page offers to embed it again", options.gallery)
    service = Service(
        recognizer,
        options.sources,
        device=platform.node() or "edgefs",
        stranger_rate=options.stranger_rate,
        other_model=other,
        on_answer=metrics.answer,
    )
    metrics.watch(service)
    return service


def _server(options: Options, listener: socket.socket, service: Service, metrics: Metrics) -> Server:
    """The page and the API, with a token when others than this machine can connect."""
    token = None
    if not is_loopback(options.host):
        token, fresh = load_token(options.token_file or default_token_file(), renew=options.new_token)
        news = "shown when it was made; --new-token makes another" if fresh is None else f"shown this once: {fresh}"
        print(f"access token, {news}", file=sys.stderr, flush=True)
    policy = policy_for(options.host, listener.getsockname()[1], token, options.allow_hosts)
    return Server(build(service, policy, metrics), listener)


def _healthy(service: Service, server: Server | None) -> bool:
    """Whether every thread was at work lately; if not, systemd restarts us."""
    alive_s = min(service.alive_s, server.alive_s) if server else service.alive_s
    return time.monotonic() - alive_s < STUCK_S


def _address(host: str, port: int) -> str:
    name = platform.node() if host in ("0.0.0.0", "::", "") else host
    return f"http://{f'[{name}]' if ':' in name else name}:{port}/"


@contextmanager
def _stopped_by_signals() -> Iterator[threading.Event]:
    """An event that SIGTERM or SIGINT sets; a second signal acts as usual. Signals come to the main thread only."""
    stop = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    usual: dict[int, Any] = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}

    def end(number: int, _frame: object) -> None:
        stop.set()
        signal.signal(number, usual[number])

    for number in usual:
        signal.signal(number, end)
    try:
        yield stop
    finally:
        for number, handler in usual.items():
            signal.signal(number, handler)
