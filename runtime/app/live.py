"""`edgefs live`: starts sources, recognizer and interfaces, and runs until a signal or until every source has ended."""

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
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from runtime.app.actions.actions import Actions
from runtime.app.actions.rules import read_rules
from runtime.app.core.broker import parse_broker
from runtime.app.core.camera_reader import CameraSource
from runtime.app.core.messages import Answer
from runtime.app.core.other_model import OtherModel
from runtime.app.core.service import Service
from runtime.app.logs import set_up
from runtime.app.outputs.json_lines import JsonLines
from runtime.app.outputs.mqtt import MqttPublisher
from runtime.app.outputs.window import Window
from runtime.app.systemd import Systemd
from runtime.app.visits.log import VisitLog
from runtime.app.visits.store import DAYS
from runtime.app.web.certificate import certificate
from runtime.app.web.link import address, network_address
from runtime.app.web.metrics import Metrics
from runtime.app.web.server import Server, build, is_loopback, listen, policy_for
from runtime.app.web.token import default_token_file, load_token
from runtime.app.web.users import User, load_users, read_users
from runtime.bundle import Bundle
from runtime.errors import GalleryMismatch, OptionError
from runtime.fleet.address import is_site, parsed
from runtime.recognizer import Recognizer
from runtime.rollout.follower import Follower, device_name

TICK_S = 0.2
STUCK_S = 45.0  # a camera may take 10 s to open and 5 s to close; no call takes three times as long

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Options:
    """The options of `edgefs live`, described in its help.

    Attributes:
        gallery: The file. Beside it the app keeps its other files.
        site: The address of a site, whose gallery is used; `gallery` is this device's copy of it then.
        open_source: Returns the source for a text as `--source` takes it, for sources that are added in the page.
        ready: Called with the page's address, or with None if there is no page, once everything runs.
    """

    bundle: Bundle
    gallery: Path
    sources: Sequence[CameraSource]
    site: str | None = None
    engine: str = "auto"
    threads: int | None = None
    device: str | None = None
    stranger_rate: float | str | None = "gallery"
    reembed: bool = False
    host: str = "127.0.0.1"
    port: int = 8080
    allow_hosts: tuple[str, ...] = ()
    https: bool = False
    token_file: Path | None = None
    new_token: bool = False
    users: Path | None = None
    headless: bool = False
    window: bool = False
    mqtt: str | None = None
    mqtt_commands: bool = False
    actions: Path | None = None
    visits_days: float = DAYS
    follow: str | None = None
    log: Path | None = None
    trusted_keys: Path | None = None
    ready: Callable[[str | None], None] = lambda _: None
    open_source: Callable[[str], CameraSource] | None = None


def run(options: Options) -> None:
    """Run until SIGTERM or SIGINT, until the window is closed, or, headless, until every source has ended.

    Raises:
        PortBusy: The address cannot be listened on.
        OptionError: An option cannot be used here.
        GalleryError: The gallery cannot be opened.
        BundleError: The bundle cannot be used.
        EngineError: No engine runs the bundle.
        CameraError: Headless: a file could not be played to its end.
    """
    with ExitStack() as stack, _stopped_by_signals() as stop:
        handler = set_up(options.log)
        stack.callback(logging.getLogger().removeHandler, handler)
        broker = parse_broker(options.mqtt) if options.mqtt else None
        if options.mqtt_commands and broker is None:
            raise OptionError("--mqtt-commands needs a broker. Add --mqtt mqtt://user:password@host.")
        rules = read_rules(options.actions) if options.actions else []
        listener = None if options.headless or options.window else listen(options.host, options.port)
        if listener is not None:
            stack.callback(listener.close)
        metrics = Metrics()
        follower = _follower(options)
        if follower is not None:  # a gallery that the last switch has filled is embedded again if it has to be
            options = replace(options, bundle=follower.bundle(), reembed=True)
        service = _service(options, metrics, stack, follower)
        actions = Actions(
            rules,
            options.gallery.with_name(f"{options.gallery.name}.actions.db"),
            device=service.device,
            camera_name=lambda id_: service.worker(id_).session.name,
            required=bool(rules),
        )
        stack.callback(actions.close)
        server, link = None, None
        if listener is not None:
            server, link = _server(options, listener, service, metrics, actions)
            stack.enter_context(server)
        stack.callback(service.close)  # before the server: its streams end with the service
        if broker is not None:
            stack.callback(MqttPublisher(service, broker, obey=options.mqtt_commands).close)
        lines = JsonLines(service.hub, sys.stdout) if options.headless else None
        if lines is not None:
            stack.callback(lines.close)
        window = Window(service) if options.window else None
        actions.start(service.hub)
        service.start()
        if follower is not None:
            follower.start(service.recognizer, service.follow_model)
            stack.callback(follower.close)  # before the service and its recognizer
        systemd = Systemd()
        systemd.notify("READY=1")
        stack.callback(systemd.notify, "STOPPING=1")
        options.ready(link)
        if window is not None:
            window.run(stop)
            return
        while not stop.wait(TICK_S):
            systemd.feed_watchdog(healthy=_healthy(service, server))
            if lines is not None and (service.cameras.ended or lines.broken):
                if service.cameras.error is not None:
                    raise service.cameras.error
                return


def _follower(options: Options) -> Follower | None:
    """Return what follows a rollout, with its files beside the gallery."""
    if options.follow is None:
        return None
    home = options.gallery.with_name(f"{options.gallery.name}.rollout")
    engine = {"engine": options.engine, "threads": options.threads, "device": options.device}
    name = parsed(options.follow).device if is_site(options.follow) else device_name()  # a site knows registered names
    return Follower(options.follow, home, options.bundle, name, options.trusted_keys, engine=engine)


def _service(options: Options, metrics: Metrics, stack: ExitStack, follower: Follower | None) -> Service:
    """Return the service; without its gallery if another model filled that and a page can offer to embed it again."""

    def opened(gallery: str | Path | None, **kwargs: Any) -> Recognizer:
        return Recognizer(options.bundle, gallery=gallery, stranger_rate=options.stranger_rate, **kwargs)

    engine = {"engine": options.engine, "threads": options.threads, "device": options.device}
    other = None
    try:
        recognizer = stack.enter_context(opened(options.site or options.gallery, reembed=options.reembed, **engine))
    except GalleryMismatch:
        if options.headless or options.window or options.site:
            raise
        recognizer = stack.enter_context(opened(None, **engine))
        other = OtherModel(options.gallery, recognizer, lambda: opened(options.gallery, engine=recognizer.engine))
        log.warning("%s was filled by another model; the page offers to embed it again.", options.gallery)
    service = Service(
        recognizer,
        options.sources,
        device=platform.node() or "edgefs",
        other_model=other,
        on_answer=_counted(metrics, follower),
        visits=VisitLog(options.gallery, recognizer.bundle.fingerprint, days=options.visits_days),
        open_source=None if options.headless or options.window else options.open_source,
        trusted_keys=options.trusted_keys,
    )
    metrics.watch(service)
    return service


def _counted(metrics: Metrics, follower: Follower | None) -> Callable[[Answer], None]:
    """Return what is called with every answer; in an empty gallery everything is unknown, which is not counted."""
    if follower is None:
        return metrics.count

    def count(answer: Answer) -> None:
        metrics.count(answer)
        if answer.candidate is not None:
            follower.shares.count(unknown=answer.certainty == "unknown")

    return count


def _server(
    options: Options, listener: socket.socket, service: Service, metrics: Metrics, actions: Actions
) -> tuple[Server, str]:
    """Return the server and the address to open; it asks for a token when other machines can connect."""
    port = listener.getsockname()[1]
    link = address(options.host, port, https=options.https)
    token_file = options.token_file or default_token_file()
    users, fresh = _users(options, token_file, link)
    policy = policy_for(options.host, port, users, options.allow_hosts)
    names = [platform.node() or "edgefs", "localhost", "127.0.0.1", *filter(None, [network_address()])]
    tls = certificate(token_file.parent, names) if options.https else None
    server = Server(build(service, policy, metrics, actions), listener, tls)
    return server, link if fresh is None else f"{link}#token={fresh}"


def _users(options: Options, token_file: Path, link: str) -> tuple[list[User], str | None]:
    """Return who may use the app, and the text of the only token if it is new. New tokens are printed."""
    if options.users is not None:
        roles = read_users(options.users)
        users, fresh = load_users(roles, token_file.with_name("live-users.json"), renew=options.new_token)
        for name, secret in fresh.items():
            print(f"access token of {name} ({roles[name]}), shown this once: {secret}", file=sys.stderr)
            print(f"link for {name}: {link}#token={secret}", file=sys.stderr, flush=True)
        return users, None
    if is_loopback(options.host):
        return [], None
    token, text = load_token(token_file, renew=options.new_token)
    hint = "shown when it was made; --new-token makes another" if text is None else f"shown this once: {text}"
    print(f"access token, {hint}", file=sys.stderr, flush=True)
    return [User("teacher", "teacher", token)], text


def _healthy(service: Service, server: Server | None) -> bool:
    """Return whether every thread ran lately; if not, systemd restarts the process."""
    alive_s = min(service.cameras.alive_s, server.alive_s) if server else service.cameras.alive_s
    return time.monotonic() - alive_s < STUCK_S


@contextmanager
def _stopped_by_signals() -> Iterator[threading.Event]:
    """Yield an event that SIGTERM or SIGINT sets; a second signal has its usual effect.

    Python delivers signals to the main thread, so in any other thread the event is never set.
    """
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
