"""Delivers one event in the way that its rule says."""

from __future__ import annotations

import csv
import io
import os
import signal
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec

from runtime.app.actions.rules import Channels, Command, Csv, Do, Mqtt, Webhook
from runtime.app.actions.webhook import DEADLINE_S, NotDelivered, post
from runtime.app.core.broker import parse_broker
from runtime.app.tables import plain_cells

COLUMNS = ("id", "time", "camera_name", "label", "certainty", "score", "dwell_s", "rule", "test")


def deliver(do: Do, event: dict[str, Any]) -> str:
    """Deliver an event and return the outcome in words. Raises NotDelivered."""
    body = msgspec.json.encode(event)
    if isinstance(do, Webhook):
        return post(do, event["id"], body)
    if isinstance(do, Mqtt):
        return _publish(do, body)
    if isinstance(do, Command):
        return _run(do, body)
    if isinstance(do, Csv):
        return _append(do, event)
    return _notify(do, event)


def sentence(event: dict[str, Any]) -> str:
    """Return the event as a sentence for people."""
    what = event["label"] or "something unknown"
    maybe = "may have seen" if event["certainty"] == "maybe" else "has seen"
    return f"{event['camera_name']} {maybe} {what}."


def _publish(do: Mqtt, body: bytes) -> str:
    from paho.mqtt.client import Client  # here, so that a rule without MQTT needs no paho
    from paho.mqtt.enums import CallbackAPIVersion

    broker = parse_broker(do.url)
    client = Client(CallbackAPIVersion.VERSION2)
    if broker.user is not None:
        client.username_pw_set(broker.user, broker.password)
    try:
        if broker.tls:
            client.tls_set()
        client.connect_timeout = DEADLINE_S
        client.connect(broker.host, broker.port)
        client.loop_start()
        message = client.publish(do.topic, body, qos=1)
        message.wait_for_publish(DEADLINE_S)
        if not message.is_published():
            raise NotDelivered(f"the broker did not acknowledge it within {DEADLINE_S:g} s")
    except (OSError, RuntimeError, ValueError) as error:
        raise NotDelivered(str(error)) from error
    finally:
        client.disconnect()
        client.loop_stop()
    return "acknowledged by the broker"


def _run(do: Command, body: bytes) -> str:
    """Run the program in a process group of its own, which ends at the deadline."""
    try:
        process = subprocess.Popen(
            do.command,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
    except (OSError, ValueError) as error:
        raise NotDelivered(f"it cannot be started: {error}") from error
    try:
        _, errors = process.communicate(body, timeout=DEADLINE_S)
    except subprocess.TimeoutExpired as error:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        raise NotDelivered(f"it did not end within {DEADLINE_S:g} s") from error
    if process.returncode != 0:
        said = errors.decode(errors="replace").strip()[-200:]
        raise NotDelivered(f"it ended with status {process.returncode}{': ' + said if said else ''}")
    return "ended with status 0"


def _append(do: Csv, event: dict[str, Any]) -> str:
    """Append a line in one write, after the line that a crash left incomplete, and wait until it is on the disk."""
    path = Path(do.path)
    try:
        with path.open("a+b") as file:
            size = file.seek(0, os.SEEK_END)
            torn = size > 0 and (file.seek(size - 1), file.read(1))[1] != b"\n"
            text = io.StringIO()
            writer = csv.writer(text, lineterminator="\n")
            if size == 0:
                writer.writerow(COLUMNS)
            writer.writerow(plain_cells(event[column] for column in COLUMNS))
            file.write(b"\n" * torn + text.getvalue().encode())
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise NotDelivered(f"it cannot be written: {error}") from error
    return "written"


def _notify(do: Channels, event: dict[str, Any]) -> str:
    try:
        import apprise
    except ImportError as error:
        raise NotDelivered("Apprise must be installed: pip install 'edgefs[channels]'") from error
    channels = apprise.Apprise()
    for url in do.urls:
        if not channels.add(url):
            raise NotDelivered(f"Apprise does not know the channel {url.partition(':')[0]}://")
    if not channels.notify(title="edgefs", body=sentence(event)):
        raise NotDelivered("a channel refused the message")
    return "sent"
