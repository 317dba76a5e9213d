"""MQTT: what each camera sees as retained topics, found by Home Assistant without configuration.

edgefs/DEVICE/available            online | offline (the broker says so when we vanish)
edgefs/DEVICE/CAMERA/label         the stable name, "unknown", or "unavailable" while the camera is
edgefs/DEVICE/CAMERA/attributes    the whole answer as JSON
homeassistant/sensor/…/config      discovery
"""

from __future__ import annotations

import logging
import re
import threading
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, urlsplit

import msgspec
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion

from runtime.app.core.changes import Changes
from runtime.app.core.messages import Answer, Camera, Event
from runtime.app.core.service import Service
from runtime.camera.base import redact
from runtime.errors import OptionError

PORTS = {"mqtt": 1883, "mqtts": 8883}
MAX_QUEUED = 100  # messages while the broker is away; each topic is retained, so older ones are worth nothing
UNKNOWN, UNAVAILABLE = "unknown", "unavailable"

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Broker:
    host: str
    port: int
    user: str | None
    password: str | None
    tls: bool


def parse_broker(url: str) -> Broker:
    """Read mqtt://user:password@host:port, or mqtts:// for TLS. Raises OptionError."""
    try:
        parts = urlsplit(url if "://" in url else f"mqtt://{url}")
        port = parts.port or PORTS[parts.scheme]
        if not parts.hostname:
            raise ValueError("it names no host")
    except (KeyError, ValueError) as error:
        raise OptionError(
            f"--mqtt must be like mqtt://user:password@host:1883, but {redact(url)!r}: {error}"
        ) from error
    user, password = (None if part is None else unquote(part) for part in (parts.username, parts.password))
    return Broker(parts.hostname, port, user, password, parts.scheme == "mqtts")


class Topics:
    """What to publish, as (topic, payload): no socket in it. device: of this machine."""

    def __init__(self, device: str) -> None:
        self.device = re.sub(r"\W", "_", device) or "edgefs"
        self.available = f"edgefs/{self.device}/available"
        self._changes = Changes()
        self._last: dict[str, Answer] = {}

    def discovery(self, cameras: dict[str, str]) -> list[tuple[str, str]]:
        """What Home Assistant needs to know. cameras: id to name."""
        device = {"identifiers": [f"edgefs_{self.device}"], "name": f"edgefs {self.device}", "manufacturer": "edgefs"}
        found = []
        for id_, name in cameras.items():
            config = {
                "name": name,
                "unique_id": f"edgefs_{self.device}_{id_}",
                "state_topic": self._topic(id_, "label"),
                "json_attributes_topic": self._topic(id_, "attributes"),
                "availability_topic": self.available,
                "icon": "mdi:cube-scan",
                "device": device,
            }
            topic = f"homeassistant/sensor/edgefs_{self.device}_{id_}/config"
            found.append((topic, msgspec.json.encode(config).decode()))
        return found

    def tell_again(self) -> None:
        """Take nothing as told: the broker may have forgotten it."""
        self._changes = Changes()

    def of(self, message: Event) -> list[tuple[str, str]]:
        """The topics a message changes."""
        if not self._changes.is_news(message):
            return []
        if isinstance(message, Answer):
            self._last[message.camera] = message
            return self._answer(message)
        if isinstance(message, Camera):
            last = self._last.get(message.id)
            if message.state != "live":
                return [(self._topic(message.id, "label"), UNAVAILABLE)]
            return self._answer(last) if last else []
        return []

    def _answer(self, answer: Answer) -> list[tuple[str, str]]:
        attributes = msgspec.json.encode(answer).decode()
        label = UNKNOWN if answer.stable is None else answer.stable
        return [(self._topic(answer.camera, "label"), label), (self._topic(answer.camera, "attributes"), attributes)]

    def _topic(self, camera: str, what: str) -> str:
        return f"edgefs/{self.device}/{camera}/{what}"


class Mqtt:
    """Publishes until closed; connects again by itself, for ever."""

    def __init__(self, service: Service, broker: Broker) -> None:
        self._service, self._topics = service, Topics(service.device)
        self._wake = threading.Event()
        self._mailbox = service.hub.join(self._wake.set)
        client = self._client = Client(CallbackAPIVersion.VERSION2)
        if broker.user is not None:
            client.username_pw_set(broker.user, broker.password)
        if broker.tls:
            client.tls_set()
        client.will_set(self._topics.available, "offline", qos=1, retain=True)
        client.max_queued_messages_set(MAX_QUEUED)
        client.reconnect_delay_set(1, 30)
        client.on_connect = self._connected
        client.on_disconnect = self._disconnected
        client.connect_async(broker.host, broker.port, keepalive=30)
        client.loop_start()
        self._thread = threading.Thread(target=self._run, name="mqtt messages", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Say goodbye and end."""
        self._mailbox.close()
        self._thread.join()
        self._service.hub.leave(self._mailbox)
        if self._client.is_connected():
            self._client.publish(self._topics.available, "offline", qos=1, retain=True).wait_for_publish(2)
        self._client.disconnect()
        self._client.loop_stop()

    def _run(self) -> None:
        while not self._mailbox.closed:
            self._wake.wait()
            self._wake.clear()
            for message in self._mailbox.take():
                self._publish(self._topics.of(message))

    def _publish(self, topics: list[tuple[str, str]]) -> None:
        for topic, payload in topics:
            self._client.publish(topic, payload, qos=0, retain=True)

    def _connected(self, _client: Any, _data: Any, _flags: Any, reason: Any, _properties: Any) -> None:
        if reason.is_failure:
            log.error("the MQTT broker refuses: %s; check user and password", reason)
            return
        self._topics.tell_again()
        self._publish(self._topics.discovery({id_: eye.stream.name for id_, eye in self._service.eyes.items()}))
        self._publish([(self._topics.available, "online")])

    def _disconnected(self, _client: Any, _data: Any, _flags: Any, reason: Any, _properties: Any) -> None:
        log.warning("the MQTT broker is away (%s); trying again", reason)
