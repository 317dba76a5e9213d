"""Change a bundle on the device that runs it.

examples:
  edgefs bundle add-plan shop.edgefs --target tensorrt --precision fp16
"""

from __future__ import annotations

import argparse
from typing import Any

from edgefs.cli import bundle_plan

ACTIONS = {"add-plan": bundle_plan}


def configure(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    for name, module in ACTIONS.items():
        action = actions.add_parser(
            name,
            help=module.SUMMARY,
            description=module.__doc__,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        module.configure(action)


def run(args: argparse.Namespace) -> dict[str, Any]:
    return ACTIONS[args.action].run(args)
