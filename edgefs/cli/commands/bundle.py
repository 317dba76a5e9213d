"""Check or sign a bundle, write it in the newest format, add a plan to it, or compare its precisions on the device.

examples:
  edgefs bundle verify shop.edgefs.zip
  edgefs bundle make-key maker.key                        # and maker.key.pub, for the folder of trusted keys
  edgefs bundle sign shop.edgefs --key maker.key
  edgefs bundle verify shop.edgefs --trusted-keys keys/
  edgefs bundle seal old.edgefs             # a bundle of format 1 gets the digest of format 2
  edgefs bundle add-plan shop.edgefs --target tensorrt --precision fp16
  edgefs bundle decide shop.edgefs           # which precisions are faster than fp32 here
"""

from __future__ import annotations

import argparse
from typing import Any

from edgefs.cli.bundle import decide, key, plan, seal, sign, verify

ACTIONS = {
    "verify": verify,
    "sign": sign,
    "make-key": key,
    "seal": seal,
    "add-plan": plan,
    "decide": decide,
}


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
    result: dict[str, Any] = ACTIONS[args.action].run(args)
    return result
