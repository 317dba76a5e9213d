"""The rules of actions: listed with their results, added, removed and tested."""

from __future__ import annotations

from msgspec import Struct

from runtime.app.actions.actions import Actions
from runtime.app.actions.outbox import Result
from runtime.app.actions.rules import Rule, target
from runtime.app.core.messages import Done, Label
from runtime.app.web.routes import BadRequest, Call, NotFound, Route


class ActionResult(Struct, frozen=True):
    """The newest attempt to deliver one event. `time_s` is in unix seconds; `tries` counts the attempts."""

    id: str
    time_s: float
    ok: bool
    tries: int
    what: str


class ActionRule(Struct, frozen=True):
    """A rule as it can be shown: `target` has no passwords, and secrets are left out.

    `fixed` rules come from the file that `--actions` names. `waiting` counts events that are not delivered yet.
    `results` are the newest, newest first.
    """

    name: str
    kind: str
    target: str
    signed: bool
    label: str | None
    certainty: str
    camera: str | None
    dwell_s: float
    fixed: bool
    waiting: int
    results: list[ActionResult]


class ActionRules(Struct, frozen=True):
    """All rules. `durable` tells whether events that wait survive a crash; else they are in memory only."""

    durable: bool
    rules: list[ActionRule]


class RuleName(Struct, frozen=True, forbid_unknown_fields=True):
    """The name of a rule."""

    name: Label


def rules(call: Call) -> ActionRules:
    actions = _actions(call)
    waiting = actions.waiting()
    return ActionRules(
        actions.durable,
        [_shown(actions, rule, waiting.get(rule.name, 0)) for rule in actions.rules.values()],
    )


def set_rule(call: Call) -> Done:
    _actions(call).set_rule(call.body)
    return Done(f"rule {call.body.name!r} is in force")


def remove(call: Call) -> Done:
    names = call.request.query_params.getlist("name")
    if len(names) != 1:
        raise BadRequest(f"The query must name one rule (?name=door), but it names {len(names)}.")
    _actions(call).remove_rule(names[0])
    return Done(f"rule {names[0]!r} is removed")


def test(call: Call) -> ActionResult:
    return _result(_actions(call).test(call.body.name))


def _actions(call: Call) -> Actions:
    if call.app.actions is None:
        raise NotFound("This server must run actions, but it was started without them.")
    return call.app.actions


def _shown(actions: Actions, rule: Rule, waiting: int) -> ActionRule:
    return ActionRule(
        name=rule.name,
        kind=str(rule.do.__struct_config__.tag),
        target=target(rule.do),
        signed=getattr(rule.do, "secret", None) is not None,
        label=rule.label,
        certainty=rule.certainty,
        camera=rule.camera,
        dwell_s=rule.dwell_s,
        fixed=rule.name in actions.fixed,
        waiting=waiting,
        results=[_result(result) for result in actions.results(rule.name)],
    )


def _result(result: Result) -> ActionResult:
    return ActionResult(result.id, result.time_s, result.ok, result.tries, result.what)


BASE = "/api/v1/actions"
ROUTES = (
    Route("GET", BASE, "The rules of actions and their newest results", rules, gives=ActionRules, refuses=(404, 507)),
    Route(
        *("PUT", BASE, "Add a rule, or replace the one of this name", set_rule),
        takes=Rule,
        gives=Done,
        refuses=(404, 507),
    ),
    Route(
        *("DELETE", BASE, "Remove a rule and its waiting events", remove),
        gives=Done,
        query=("name",),
        refuses=(404, 507),
    ),
    Route(
        *("POST", f"{BASE}/test", "Deliver a test event at once and return the result", test),
        takes=RuleName,
        gives=ActionResult,
        refuses=(404, 507),
    ),
)
