"""Joins rules, trigger, outbox and senders: what the live app sees becomes events that are delivered."""

from __future__ import annotations

import logging
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from datetime import datetime, timezone
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from runtime.app.actions.outbox import Outbox, OutboxUnusable, Pending, Result
from runtime.app.actions.rules import Command, Csv, Rule, check
from runtime.app.actions.senders import deliver
from runtime.app.actions.trigger import Firing, Seen, Trigger
from runtime.app.actions.webhook import NotDelivered
from runtime.app.core.hub import Hub
from runtime.app.core.messages import Answer, RegionAnswer
from runtime.app.core.region_watch import place
from runtime.errors import OptionError

FIRST_PAUSE_S, LONGEST_PAUSE_S = 1.0, 300.0  # of a rule after a failure; the pause doubles with each
LOOK_S = 60.0  # between two looks for events that are too old
MAX_RULES = 100

log = logging.getLogger(__name__)


class UnknownRule(OptionError, LookupError):
    """No rule has this name."""


class Actions:
    """Watches the answers of a hub and delivers the events of all rules, until closed.

    Each rule has a thread that delivers its events one after another, so that one slow receiver delays no other.

    Args:
        rules: The rules of the file that `--actions` names. They cannot be changed while the app runs.
        path: Where events wait, and where the rules are stored that the page or the API makes; None for in memory.
        device: The name of this device, for the events.
        camera_name: Returns the name of a camera by its id.
        required: Whether an unusable file is an error; else events wait in memory then.

    Raises:
        OutboxUnusable: The file cannot be used, and it is required.
    """

    def __init__(
        self,
        rules: Sequence[Rule],
        path: Path | None,
        *,
        device: str,
        camera_name: Callable[[str], str],
        required: bool = False,
    ) -> None:
        self._device, self._camera_name = device, camera_name
        self.fixed = {rule.name: rule for rule in rules}
        self.durable = path is not None
        try:
            self._outbox = Outbox(path)
        except OutboxUnusable as error:
            if required:
                raise
            log.warning("%s Until then events wait in memory only.", error)
            self._outbox, self.durable = Outbox(None), False
        self._own = {rule.name: rule for rule in self._outbox.rules() if rule.name not in self.fixed}
        self._trigger = Trigger()
        self._lock = threading.Lock()  # around the rules
        self._stop = threading.Event()
        self._senders: dict[str, _Sender] = {}
        self._notified = threading.Event()
        self._hub: Hub | None = None
        self._watcher = threading.Thread(target=self._watch, name="actions", daemon=True)
        self._apply()

    @property
    def rules(self) -> dict[str, Rule]:
        """All rules by name: those of the file, then those that were added."""
        return self.fixed | self._own

    def start(self, hub: Hub) -> None:
        """Watch the answers of a hub."""
        self._hub = hub
        self._mailbox = hub.subscribe(self._notified.set)
        self._watcher.start()

    def close(self) -> None:
        """Stop; the events that wait are delivered after the next start."""
        self._stop.set()
        self._notified.set()
        if self._hub is not None:
            self._hub.unsubscribe(self._mailbox)
            self._watcher.join()
        for sender in self._senders.values():
            sender.stop()
        for sender in self._senders.values():
            sender.thread.join(15)
        self._outbox.close()

    def set_rule(self, rule: Rule) -> None:
        """Add a rule, or replace the one of this name. Raises OptionError if it cannot be used or is in the file."""
        check(rule)
        if isinstance(rule.do, (Command, Csv)):
            raise OptionError(
                "Programs and CSV files must be named in the file of --actions, so that nobody can run or write "
                "something else over the network."
            )
        with self._lock:
            self._require_own(rule.name)
            if len(self.rules) >= MAX_RULES and rule.name not in self._own:
                raise OptionError(f"There must be at most {MAX_RULES} rules. Remove one.")
            self._outbox.set_rule(rule.name, rule)
            self._own = self._own | {rule.name: rule}
            self._apply()

    def remove_rule(self, name: str) -> None:
        """Remove a rule, its waiting events and its results. Raises UnknownRule, or OptionError for one of the file."""
        with self._lock:
            self._require_own(name)
            if name not in self._own:
                raise _unknown(name)
            self._outbox.set_rule(name, None)
            self._own = {key: rule for key, rule in self._own.items() if key != name}
            self._apply()

    def waiting(self) -> dict[str, int]:
        """Return how many events of each rule wait."""
        return self._outbox.waiting()

    def results(self, name: str) -> list[Result]:
        """Return the newest results of a rule, newest first."""
        return self._outbox.results(name)

    def test(self, name: str) -> Result:
        """Deliver a test event at once, and return the result. Raises UnknownRule."""
        rule = self.rules.get(name)
        if rule is None:
            raise _unknown(name)
        certainty = "unknown" if rule.certainty == "unknown" else "sure"
        label = None if certainty == "unknown" else rule.label or "test"
        event = self._event(Firing(rule, Seen("test", rule.camera or "test", label, certainty), 0.0), test=True)
        try:
            return self._outbox.tested(name, event["id"], deliver(rule.do, event), ok=True)
        except NotDelivered as error:
            return self._outbox.tested(name, event["id"], str(error), ok=False)

    def seen(self, seen: Seen, now_s: float) -> None:
        """Store an event for every rule that fires on this."""
        with self._lock:
            firings = self._trigger.update(seen, now_s)
        for firing in firings:
            event = self._event(firing)
            self._outbox.put(event["id"], firing.rule.name, msgspec.json.encode(event))
            sender = self._senders.get(firing.rule.name)
            if sender is not None:
                sender.notify()

    def _require_own(self, name: str) -> None:
        if name in self.fixed:
            raise OptionError(f"Rule {name!r} must be changed in the file that --actions names. Then restart the app.")

    def _apply(self) -> None:
        """Let the trigger and the sender threads follow the rules."""
        self._trigger.rules = tuple(self.rules.values())
        for name in [name for name, sender in self._senders.items() if self.rules.get(name) != sender.rule]:
            self._senders.pop(name).stop()
        for name, rule in self.rules.items():
            if name not in self._senders:
                self._senders[name] = _Sender(rule, self._outbox)

    def _watch(self) -> None:
        looked_s = time.monotonic()
        while not self._stop.is_set():
            self._notified.wait(LOOK_S)
            self._notified.clear()
            for message in self._mailbox.take():
                if isinstance(message, (Answer, RegionAnswer)) and self._trigger.rules:
                    self._guarded(partial(self._look, message))
            if time.monotonic() - looked_s >= LOOK_S:
                looked_s = time.monotonic()
                self._guarded(self._outbox.drop_old)

    def _look(self, answer: Answer | RegionAnswer) -> None:
        camera, name = answer.camera, self._camera_name(answer.camera)
        if isinstance(answer, RegionAnswer):
            camera, name = place(camera, answer.region), place(name, answer.region)
        label = answer.stable or answer.suggestion
        certainty = "sure" if answer.stable else "maybe" if answer.suggestion else "unknown"
        seen = Seen(camera, name, label, certainty, answer.score)
        self.seen(seen, time.monotonic())

    def _event(self, firing: Firing, *, test: bool = False) -> dict[str, Any]:
        now = datetime.now(timezone.utc)
        seen = firing.seen
        return {
            "id": uuid.uuid4().hex,
            "time": now.isoformat(timespec="milliseconds"),
            "device": self._device,
            "rule": firing.rule.name,
            "camera": seen.camera,
            "camera_name": seen.camera_name,
            "label": seen.label,
            "certainty": seen.certainty,
            "score": seen.score,
            "dwell_s": round(firing.dwell_s, 3),
            "test": test,
        }

    @staticmethod
    def _guarded(work: Callable[[], None]) -> None:
        """Log an error and go on: the disk may be full."""
        try:
            work()
        except Exception:
            log.exception("An event could not be stored.")


def _unknown(name: str) -> UnknownRule:
    return UnknownRule(f"A rule must have the name {name!r}, but none has. GET /api/v1/actions lists them.")


class _Sender:
    """The thread that delivers the events of one rule, and tries again after every failure."""

    def __init__(self, rule: Rule, outbox: Outbox) -> None:
        self.rule, self._outbox = rule, outbox
        self._stopped, self._notified = threading.Event(), threading.Event()
        self.thread = threading.Thread(target=self._run, name=f"action {rule.name}", daemon=True)
        self.thread.start()

    def notify(self) -> None:
        """Look for a new event now."""
        self._notified.set()

    def stop(self) -> None:
        """End after the delivery in progress."""
        self._stopped.set()
        self._notified.set()

    def _run(self) -> None:
        failures = 0
        while not self._stopped.is_set():
            try:
                event = self._outbox.next(self.rule.name)
                if event is None:
                    self._notified.wait()
                    self._notified.clear()
                    continue
                failures = 0 if self._deliver(event) else failures + 1
            except OutboxUnusable:
                failures += 1
                log.exception("The events of rule %r cannot be read or written.", self.rule.name)
            if failures:
                self._stopped.wait(min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2 ** min(failures - 1, 20)))

    def _deliver(self, event: Pending) -> bool:
        try:
            outcome = deliver(self.rule.do, msgspec.json.decode(event.body))
        except Exception as error:  # a library behind a sender may raise anything
            if not isinstance(error, NotDelivered):
                log.exception("Rule %r failed.", self.rule.name)
            self._outbox.failed(event, str(error) or type(error).__name__)
            return False
        self._outbox.delivered(event, outcome)
        return True
