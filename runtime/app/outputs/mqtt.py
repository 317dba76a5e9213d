"""MQTT: the answer of each camera as retained topics, which Home Assistant finds without configuration.

edgefs/DEVICE/available            online | offline (the broker publishes this when the connection is lost)
edgefs/DEVICE/CAMERA/label         the smoothed label, "unknown", or "unavailable" while the camera is not live
edgefs/DEVICE/CAMERA/attributes    the whole answer as JSON; certainty is "sure", "maybe" or "unknown" of the candidate
homeassistant/sensor/…/config      the description of the sensor

Commands are in commands.py.
"""

from __future__ import annotations

import logging
import re
import threading
from typing import Any

import msgspec
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion

from runtime.app.core.broker import Broker
from runtime.app.core.hub import ChangeFilter
from runtime.app.core.messages import Answer, Camera, Event
from runtime.app.core.service import Service
from runtime.app.outputs.commands import Commands, handler

MAX_QUEUED = 100  # messages while the broker is away; only the newest of each retained topic matters
UNKNOWN, UNAVAILABLE = "unknown", "unavailable"

log = logging.getLogger(__name__)


class Topics:
    """Turns messages into (topic, payload) pairs; it has no connection. `device` is the name of this device."""

    def __init__(self, device: str) -> None:
        self.device = re.sub(r"\W", "_", device) or "edgefs"
        self.available = self.of_device("available")
        self._changes = ChangeFilter()
        self._last: dict[str, Answer] = {}

    def of_device(self, what: str) -> str:
        """Return a topic of this device."""
        return f"edgefs/{self.device}/{what}"

    def discovery(self, cameras: dict[str, str]) -> list[tuple[str, str]]:
        """Return the descriptions for Home Assistant. `cameras` maps ids to names."""
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

    def reset(self) -> None:
        """Publish everything again: a new broker has no retained topics."""
        self._changes = ChangeFilter()

    def of(self, message: Event) -> list[tuple[str, str]]:
        """Return the topics that a message changes."""
        if not self._changes.is_change(message):
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
        certainty = "sure" if answer.stable else "maybe" if answer.suggestion else "unknown"
        smoothed = {"certainty": certainty, "candidate": answer.stable or answer.suggestion or answer.candidate}
        attributes = msgspec.json.encode(msgspec.to_builtins(answer) | smoothed).decode()
        label = UNKNOWN if answer.stable is None else answer.stable
        return [(self._topic(answer.camera, "label"), label), (self._topic(answer.camera, "attributes"), attributes)]

    def _topic(self, camera: str, what: str) -> str:
        return self.of_device(f"{camera}/{what}")


class MqttPublisher:
    """Publishes until closed, and connects again after every loss.

    Args:
        service: The service.
        broker: Where to connect.
        obey: Whether to obey commands.
    """

    def __init__(self, service: Service, broker: Broker, *, obey: bool = False) -> None:
        self._service, self._topics = service, Topics(service.device)
        self._notified = threading.Event()
        self._mailbox = service.hub.subscribe(self._notified.set)
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
        self._commands = Commands(service, self._result) if obey else None
        if self._commands is not None:
            client.on_message = handler(self._commands)
        client.connect_async(broker.host, broker.port, keepalive=30)
        client.loop_start()
        self._thread = threading.Thread(target=self._run, name="mqtt messages", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Publish "offline" and disconnect."""
        if self._commands is not None:
            self._commands.close()
        self._mailbox.close()
        self._thread.join()
        self._service.hub.unsubscribe(self._mailbox)
        if self._client.is_connected():
            self._client.publish(self._topics.available, "offline", qos=1, retain=True).wait_for_publish(2)
        self._client.disconnect()
        self._client.loop_stop()

    def _run(self) -> None:
        while not self._mailbox.closed:
            self._notified.wait()
            self._notified.clear()
            for message in self._mailbox.take():
                self._publish(self._topics.of(message))

    def _publish(self, topics: list[tuple[str, str]]) -> None:
        for topic, payload in topics:
            self._client.publish(topic, payload, qos=0, retain=True)

    def _result(self, id_: str, payload: str) -> None:
        self._client.publish(self._topics.of_device(f"result/{id_}"), payload, qos=1)

    def _connected(self, _client: Any, _data: Any, _flags: Any, reason: Any, _properties: Any) -> None:
        if reason.is_failure:
            log.error("The MQTT broker refuses: %s. Check the user and the password.", reason)
            return
        self._topics.reset()
        names = {id_: worker.session.name for id_, worker in self._service.workers.items()}
        self._publish(self._topics.discovery(names))
        self._publish([(self._topics.available, "online")])
        if self._commands is not None:
            self._client.subscribe(self._topics.of_device("command/+"), qos=1)

    def _disconnected(self, _client: Any, _data: Any, _flags: Any, reason: Any, _properties: Any) -> None:
        log.warning("The connection to the MQTT broker is lost (%s); trying again.", reason)
