"""A device that follows a rollout: it fetches, verifies and tries a bundle, switches to it, and goes back if need be.

Nothing is switched that fails a check, and what was taken back is not tried again. The device's own bundle, with which
the app was started, is the one to which everything can go back.
"""

from __future__ import annotations

import contextlib
import json
import logging
import platform
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from runtime.bundle import Bundle
from runtime.engines import agreement
from runtime.engines.limited_check import check
from runtime.errors import BundleError, EdgefsError, EngineError, GalleryMismatch, GalleryUnwritable, OptionError
from runtime.recognizer import Recognizer
from runtime.rollout.index import MAX_BYTES, NAME, Index, Release, read_index
from runtime.rollout.opening import open_place
from runtime.rollout.place import Unreachable
from runtime.rollout.publish import REPORTS
from runtime.rollout.shares import WINDOW_S, UnknownShare, doubled
from runtime.rollout.state import load_state

LOOK_S, MAX_LOOK_S = 60.0, 900.0  # between two looks at the folder: doubled while something fails
MAX_TRIES = 3  # switches that were begun, or starts of the app while the bundle is watched

log = logging.getLogger(__name__)


class Follower:
    """Follows the rollout of one folder.

    Args:
        where: The folder, a path or an HTTP address; or the address of the database of a site.
        home: A folder of the device for its state and the bundles that it fetches.
        own: The bundle with which the app was started.
        device: The name of the device, which decides whether it is among the first. In the database of a site it must
            be registered; else nothing is reported.
        trusted_keys: A folder of public keys; index and bundle must be signed by one of them.
        engine: How a new bundle is opened: arguments of `Recognizer.swap`.
        clock: Returns seconds that never decrease.

    Raises:
        OptionError: No keys are given, or the address is none.
    """

    def __init__(
        self,
        where: str,
        home: Path,
        own: Bundle,
        device: str,
        trusted_keys: Path | None,
        *,
        engine: Mapping[str, Any] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if trusted_keys is None:
            raise OptionError("--follow needs --trusted-keys DIR: only bundles of a trusted author are fetched")
        self._folder, self._home, self._own, self._device = open_place(where), home, own, device
        self._keys, self._engine, self._clock = trusted_keys, engine or {}, clock
        self.state = load_state(home)
        self.shares = UnknownShare(clock)
        self._watched_since_s = clock()
        self._switched: Callable[[], None] = lambda: None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="rollout", daemon=True)

    def bundle(self) -> Bundle:
        """Return the bundle to start with; call it once, before anything is opened.

        If the app was started several times while a new bundle was watched, the bundle is taken back: it may be what
        ends the app.
        """
        state = self.state
        if state.watched:
            state.starts += 1
            if state.starts > MAX_TRIES:
                self._take_back(f"the app ended {MAX_TRIES} times while it was new")
        while state.current is not None:
            try:
                bundle = self._load(state.current)
            except EdgefsError as error:  # the file is damaged, or its key was removed: if it is sound, it comes again
                self._zip(state.current).unlink(missing_ok=True)
                self._step_back(str(error))
            else:
                self._save()
                return bundle
        self._save()
        return self._own

    def start(self, recognizer: Recognizer, switched: Callable[[], None]) -> None:
        """Begin to look at the folder, in a thread.

        Args:
            recognizer: The recognizer to switch.
            switched: Called after a switch.
        """
        self._switched = switched
        self.recognizer = recognizer
        self._thread.start()

    def close(self) -> None:
        """End. A switch that has begun is finished."""
        self._stop.set()
        if self._thread.ident is not None:
            self._thread.join()

    def step(self, recognizer: Recognizer) -> bool:
        """Look once: at what is watched, and at the folder. Returns whether nothing failed."""
        done = False
        try:
            if self.state.watched:
                self._watch(recognizer)
            self._follow(recognizer, self._read_index())
            done = True
        except (Unreachable, GalleryUnwritable, OSError) as error:  # may work the next time
            self._say(str(error), logging.WARNING)
        except EdgefsError as error:
            self._say(f"{self._name()} is kept: {error}", logging.ERROR)
        self._report()
        return done

    def _run(self) -> None:
        wait_s = LOOK_S
        while not self._stop.is_set():
            done = False
            try:
                done = self.step(self.recognizer)
            except Exception:
                log.exception("The rollout could not be followed; trying again.")
            self._stop.wait(wait_s)
            wait_s = LOOK_S if done or self.state.watched else min(2 * wait_s, MAX_LOOK_S)

    def _read_index(self) -> Index:
        index = read_index(self._folder.read(NAME, MAX_BYTES), f"{self._folder.where}/{NAME}", self._keys)
        if index.serial < self.state.serial:
            raise BundleError(
                f"the index of {self._folder.where} must not be older than number {self.state.serial}, which was read "
                f"before, but has number {index.serial}; publish again"
            )
        if index.serial > self.state.serial:
            self.state.serial = index.serial
            self._save()
        return index

    def _follow(self, recognizer: Recognizer, index: Index) -> None:
        """Switch to what this device should run, unless it runs it already or refused it."""
        state, wanted = self.state, index.of(self._device)
        if wanted is None or wanted == state.current or wanted.sha256 in state.refused:
            return
        self._fetch(wanted)
        bundle = self._load(wanted)
        try:
            state.attempts[wanted.sha256] = state.attempts.get(wanted.sha256, 0) + 1
            self._save()
            if state.attempts[wanted.sha256] > MAX_TRIES:
                raise BundleError(f"the switch to it was begun {MAX_TRIES} times, and never finished")
            check(self._zip(wanted), trusted_keys=self._keys)
            share = self.shares.share()
            recognizer.swap(bundle, **self._engine)
        except (BundleError, EngineError, GalleryMismatch) as error:
            self._refuse(wanted, str(error))
            raise
        if not state.watched:  # else what ran before it is what was watched to its end
            state.before = state.current
            state.unknown_before = share
        state.current, state.watched, state.starts = wanted, True, 0
        self._changed_to(wanted.name)

    def _watch(self, recognizer: Recognizer) -> None:
        """Go back if the new bundle fails or knows less; end the watch when it is over."""
        state = self.state
        why = ""
        share = self.shares.share()
        if fails := _fails(recognizer):
            why = fails
        elif doubled(state.unknown_before, share):
            why = f"{share:.0%} of the answers are unknown, and before it were {state.unknown_before:.0%}"
        elif self._clock() - self._watched_since_s >= WINDOW_S:
            state.watched = False
            self._say(f"{self._name()} is kept after an hour; unknown: {_percent(state.unknown_before, share)}")
            self._save()
            self._tidy()
        if why:
            recognizer.swap(self._load(state.before) if state.before else self._own, **self._engine)
            self._take_back(why)
            self._changed_to(self._name())

    def _changed_to(self, name: str) -> None:
        self.shares, self._watched_since_s = UnknownShare(self._clock), self._clock()
        self._save()
        if self.state.watched:
            self._say(f"{name} runs, and is watched for an hour")
        self._switched()

    def _take_back(self, why: str) -> None:
        """Make the bundle before the current one what runs, for good."""
        if self.state.current is not None:
            self._refuse(self.state.current, why)
        self._step_back(why)

    def _step_back(self, why: str) -> None:
        state = self.state
        was = self._name()
        state.current, state.before, state.watched, state.starts = state.before, None, False, 0
        self._say(f"{was} was taken back, and {self._name()} runs: {why}", logging.ERROR)

    def _refuse(self, release: Release, why: str) -> None:
        self.state.refused[release.sha256] = why
        self._save()

    def _fetch(self, release: Release) -> None:
        if not self._zip(release).is_file():
            self._folder.fetch(release.file, self._zip(release), release.bytes, release.sha256, self._stop.is_set)

    def _load(self, release: Release) -> Bundle:
        """Open a fetched bundle. Raises Untrusted or BundleError."""
        bundle = Bundle.load(self._zip(release), trusted_keys=self._keys)
        if bundle.fingerprint != release.fingerprint:
            raise BundleError(f"{bundle.where} must have the fingerprint of the index, but has another; publish again")
        return bundle

    def _zip(self, release: Release) -> Path:
        return self._home / f"{release.sha256}.edgefs.zip"

    def _tidy(self) -> None:
        """Delete the bundles that are of no use any more."""
        kept = {self._zip(release).name for release in (self.state.current, self.state.before) if release}
        for path in self._home.glob("*.edgefs.zip*"):
            if path.name not in kept:
                path.unlink(missing_ok=True)

    def _name(self) -> str:
        return self.state.current.name if self.state.current else self._own.name

    def _say(self, what: str, level: int = logging.INFO) -> None:
        if what != self.state.said:  # once, not every minute
            self.state.said = what
            log.log(level, "rollout: %s", what)
            self._save()

    def _save(self) -> None:
        try:
            self.state.save(self._home)
        except OSError as error:
            log.warning("%s cannot be written: %s; free some space", self._home, error.strerror or error)

    def _report(self) -> None:
        """Write what runs here into the folder, if it can be written."""
        state = self.state
        report = {
            "device": self._device,
            "bundle": self._name(),
            "sha256": state.current and state.current.sha256,
            "serial": state.serial,
            "watched": state.watched,
            "unknown_before": state.unknown_before,
            "unknown": self.shares.share(),
            "refused": state.refused,
            "said": state.said,
        }
        with contextlib.suppress(Unreachable):
            self._folder.write(f"{REPORTS}/{self._device}.json", json.dumps(report, indent=1).encode())


def _fails(recognizer: Recognizer) -> str:
    """Return why the engine in use does not reproduce the golden frames of the bundle; "" if it does."""
    frames, expected = recognizer.bundle.golden()
    artifact = next(a for a in recognizer.bundle.artifacts if a.file == recognizer.engine.info.artifact)
    try:
        worst = float(agreement(recognizer.engine.embed(frames), expected).min())
    except (EngineError, ValueError) as error:
        return str(error)
    return "" if np.isfinite(worst) and worst >= artifact.min_cosine else f"golden frames agree by {worst:.4f} only"


def _percent(before: float | None, now: float | None) -> str:
    before_text, now_text = ("not known" if share is None else f"{share:.0%}" for share in (before, now))
    return f"{before_text} before, {now_text} now"


def device_name() -> str:
    """Return a name of this device that stays the same: that of the machine, and the beginning of its machine-id."""
    with contextlib.suppress(OSError):
        return f"{platform.node()}-{Path('/etc/machine-id').read_text().strip()[:8]}"
    return platform.node() or "edgefs"
