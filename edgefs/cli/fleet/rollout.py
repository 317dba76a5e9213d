"""Publish a bundle for the devices that follow a folder or a database, and show what they report.

examples:
  edgefs rollout publish shop.edgefs --to /srv/rollout --key maker.key --share 0.1     # every tenth device
  edgefs rollout publish shop.edgefs --to /srv/rollout --key maker.key                 # all of them
  edgefs rollout publish shop.edgefs --to postgresql://till@db/shop --key maker.key    # in the database of a site
  edgefs rollout status /srv/rollout
  edgefs live --follow http://server/rollout --trusted-keys keys/                      # on a device
"""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path
from typing import Any

from edgefs.cli.options import share
from runtime.bundle import Bundle


def configure(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    publish = actions.add_parser("publish", help="sign a bundle and publish it for a share of the devices")
    publish.add_argument("bundle", metavar="PATH", help="a bundle directory or its .zip")
    publish.add_argument(
        "--to",
        required=True,
        metavar="DIR|URL",
        help="a folder, an address that takes PUT, or postgresql://USER@HOST/DATABASE (docs/rollout.md)",
    )
    publish.add_argument("--key", type=Path, required=True, metavar="KEY", help="private key (edgefs bundle make-key)")
    publish.add_argument(
        "--share", type=share, default=1.0, metavar="X", help="the share of the devices, 0.1 or 10%% (default: all)"
    )
    status = actions.add_parser("status", help="what is published there, and what the devices report")
    status.add_argument("where", metavar="DIR|URL", help="as for publish --to; reports are not read from http://")


def run(args: argparse.Namespace) -> dict[str, Any]:
    from runtime.rollout import publish
    from runtime.rollout.opening import open_place
    from runtime.rollout.publish import published, reports

    place = open_place(args.to if args.action == "publish" else args.where)
    if args.action == "publish":
        index = publish(Bundle.load(args.bundle), args.to, args.key, args.share)
        print(f"{index.release.name} is published in {place.where} for {index.share:.0%} of the devices")
        return asdict(index)
    found, devices = published(place), reports(place)
    if found is None:
        print(f"nothing is published in {place.where}")
    else:
        print(f"{found.release.name} for {found.share:.0%} of the devices, number {found.serial}")
    for device in devices:
        print(f"  {device.get('device')!r}: {device.get('bundle')!r}; {device.get('said')!r}")
    return {"index": found and asdict(found), "devices": devices}
