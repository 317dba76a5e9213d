"""Prepare the database of a site, see how it stands, and decide conflicts (docs/fleet.md).

examples:
  edgefs fleet init postgresql://admin@db/shop --teacher till1 --device camera1 --device camera2
  edgefs live --source 0 --gallery postgresql://camera1@db/shop
  edgefs fleet status postgresql://till1@db/shop
  edgefs fleet conflicts postgresql://till1@db/shop
  edgefs fleet take-back postgresql://till1@db/shop till1/1f2e3d4c 7    # let that change not count
"""

from __future__ import annotations

import argparse
import secrets
import time
from contextlib import closing
from typing import Any

from edgefs.reports.tables import table
from runtime.errors import NothingToUndo
from runtime.fleet.address import parsed
from runtime.fleet.database import SiteDatabase, init
from runtime.fleet.events import Event, EventKey
from runtime.fleet.fold import State, fold
from runtime.fleet.history import reversible

EVENTS_AT_ONCE = 10_000


def configure(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    for name, summary in (
        ("init", "create the tables and roles of a site, or bring them up to date, and register devices"),
        ("status", "the model of a site, its devices, and how much there is"),
        ("conflicts", "changes that were made without knowing of each other"),
        ("take-back", "let a change not count, such as one side of a conflict"),
    ):
        action = actions.add_parser(name, help=summary, description=summary)
        action.add_argument("url", metavar="URL", help="postgresql://USER@HOST/DATABASE")
        if name == "init":
            help_ = "a name that may {}; it gets a login of the same name (may be repeated)"
            action.add_argument("--device", action="append", default=[], metavar="NAME", help=help_.format("teach"))
            action.add_argument(
                "--teacher", action="append", default=[], metavar="NAME", help=help_.format("make every change")
            )
        elif name == "take-back":
            action.add_argument("origin", metavar="ORIGIN", help="the maker of the change, as `conflicts` prints it")
            action.add_argument("n", type=int, metavar="N", help="its number there")


def run(args: argparse.Namespace) -> dict[str, Any]:
    return ACTIONS[args.action](args)


def _init(args: argparse.Namespace) -> dict[str, Any]:
    address = parsed(args.url)
    info = init(address.conninfo, args.device, args.teacher)
    print(f"{address.shown} is a site of format {info.version} with {info.events} changes.")
    names = [*args.device, *args.teacher]
    if names:
        print(f"registered: {', '.join(names)}. Give each login a password in PostgreSQL: \\password {names[0]}")
    return {"site": address.shown, "version": info.version, "devices": args.device, "teachers": args.teacher}


def _status(args: argparse.Namespace) -> dict[str, Any]:
    address = parsed(args.url)
    with closing(SiteDatabase(address.conninfo)) as database:
        info, state = database.info(), _state(database)
        origins, size = database.origins(), database.size_bytes()
    shots = sum(place is not None for place in state.places.values())
    print(f"{address.shown}: model {(info.fingerprint or 'none yet')[:12]}, this login is a {info.role}")
    print(f"{len(state.classes)} classes, {shots} shots, {info.events} changes, {size / 1e6:.1f} MB")
    print(f"{len(state.removed)} shots can still come back, {len(state.conflicts)} conflicts")
    print(table([(name, str(n), str(seq)) for name, n, seq in origins], ("origin", "changes", "newest place")))
    return {
        "site": address.shown,
        "fingerprint": info.fingerprint,
        "dim": info.dim,
        "role": info.role,
        "classes": len(state.classes),
        "shots": shots,
        "events": info.events,
        "bytes": size,
        "removed": len(state.removed),
        "conflicts": len(state.conflicts),
        "origins": [{"origin": name, "events": n, "newest": seq} for name, n, seq in origins],
    }


def _conflicts(args: argparse.Namespace) -> dict[str, Any]:
    with closing(SiteDatabase(parsed(args.url).conninfo)) as database:
        state = _state(database)
    found = [
        {"event": [*one.event], "other": None if one.other is None else [*one.other], "text": one.text}
        for one in state.conflicts
    ]
    for one in state.conflicts:
        print(f"{one.text}")
        for key in (one.event, one.other):
            if key is not None:
                print(f"    {key.origin} {key.n}: {state.events[key].what}")
    print(f"{len(found)} conflicts. To let a change not count: edgefs fleet take-back URL ORIGIN N")
    return {"conflicts": found}


def _take_back(args: argparse.Namespace) -> dict[str, Any]:
    address, key = parsed(args.url), EventKey(args.origin, args.n)
    with closing(SiteDatabase(address.conninfo)) as database:
        info, state = database.info(), _state(database)
        if not reversible(state, key):
            raise NothingToUndo(
                f"Change {key.n} of {key.origin} must be one that counts, but it is unknown, undone or final. "
                "List them: edgefs fleet conflicts URL"
            )
        what = state.events[key].what
        own = EventKey(f"{address.device}/{secrets.token_hex(4)}", 1)
        undo = Event(own, "undo", {"event": [*key]}, info.events, f"undone: {what}", time.time())
        database.send(undo, info.fingerprint or "", {})
        database.hint()
    print(f"taken back: {what}")
    return {"event": [*key], "what": what}


def _state(database: SiteDatabase) -> State:
    """Read every event of the site, and what they say."""
    events: list[Event] = []
    while more := database.events_after((events[-1].seq or 0) if events else 0, EVENTS_AT_ONCE):
        events += more
    return fold(events)


ACTIONS = {"init": _init, "status": _status, "conflicts": _conflicts, "take-back": _take_back}
