"""The live app put together: sources, recognizer, faces; it runs until a signal, or until every source has ended."""

from __future__ import annotations

import logging
import platform
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runtime.app.service import Service, Source
from runtime.bundle import Bundle
from runtime.recognizer import Recognizer

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Options:
    """What `edgefs live` was asked for."""

    bundle: Bundle
    gallery: Path | None
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


def run(options: Options) -> None:
    """Run until SIGTERM, SIGINT, or, headless, until every source has ended. Raises EdgefsError if it cannot start."""
    with ExitStack() as stack, _stopped_by_signals() as stop:
        listener = None
        if not options.headless:
            from runtime.app.server import listen

            listener = listen(options.host, options.port)
            stack.callback(listener.close)
        recognizer = stack.enter_context(
            Recognizer(
                options.bundle,
                gallery=options.gallery,
                engine=options.engine,
                threads=options.threads,
                stranger_rate=options.stranger_rate,
                reembed=options.reembed,
            )
        )
        from runtime.app.metrics import Metrics

        metrics = Metrics()
        device = platform.node() or "edgefs"
        service = Service(
            recognizer, options.sources, device=device, stranger_rate=options.stranger_rate, on_answer=metrics.answer
        )
        metrics.watch(service)
        if listener is not None:
            from runtime.app.server import Server, build, is_loopback, policy_for
            from runtime.app.token import default_token_file, load_token

            port = listener.getsockname()[1]
            token = fresh = None
            if not is_loopback(options.host):
                token, fresh = load_token(options.token_file or default_token_file(), renew=options.new_token)
            policy = policy_for(options.host, port, token, options.allow_hosts)
            server = stack.enter_context(Server(build(service, policy, metrics), listener))
            _announce(options.host, server.port, fresh, needs_token=token is not None)
        stack.callback(service.close)  # before the server: its streams end with the service
        service.start()
        while not stop.wait(0.2):
            if options.headless and service.ended:
                break


def _announce(host: str, port: int, token: str | None, *, needs_token: bool) -> None:
    name = platform.node() if host in ("0.0.0.0", "::") else host
    shown = f"[{name}]" if ":" in name else name
    print(f"edgefs live: http://{shown}:{port}/", file=sys.stderr, flush=True)
    if token is not None:
        print(f"access token, shown this once: {token}", file=sys.stderr, flush=True)
    elif needs_token:
        print("the access token was shown when it was made; --new-token makes another", file=sys.stderr, flush=True)


@contextmanager
def _stopped_by_signals() -> Iterator[threading.Event]:
    """An event that SIGTERM or SIGINT sets; a second signal acts as usual."""
    stop = threading.Event()
    usual: dict[int, Any] = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}

    def end(number: int, _frame: object) -> None:
        stop.set()
        signal.signal(number, usual[number])

    if threading.current_thread() is threading.main_thread():
        for number in usual:
            signal.signal(number, end)
    try:
        yield stop
    finally:
        if threading.current_thread() is threading.main_thread():
            for number, handler in usual.items():
                signal.signal(number, handler)
