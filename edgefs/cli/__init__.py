"""The command line: one command a file, each with `configure(parser)` and `run(args) -> dict`.

`run` prints for people and returns what it printed as one JSON object; `--json FILE` writes it (`-`: stdout, and the
words for people go to stderr). A dict with `"passed": False` makes the exit status 1. Argparse, because the core has
numpy as its only requirement and `edgefs --help` must be instant.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import json
import math
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from edgefs import __version__
from edgefs.errors import package_missing
from runtime.errors import EdgefsError

COMMANDS = {
    "demo": "play the main job from start to end: enrol, recognise, report (no camera, no network)",
    "enroll": "teach a class from pictures, a video or a camera",
    "recognize": "name what pictures, a video or a camera show",
    "train": "meta-train an embedding: protonet, maml, fomaml, anil, reptile",
    "finetune": "fine-tune a pretrained network on your classes, or fit a head on its frozen features",
    "adapt": "move a network to a domain without labels: dann, mmd, coral, adabn",
    "evaluate": "N-way K-shot accuracy with interval, of a checkpoint or of a bundle on any engine",
    "export": "checkpoint, torchvision backbone or your own ONNX to a verified bundle",
    "live": "the camera app: point a camera, press, name it, done",
    "gallery": "list, show, rename, merge, forget, undo, export, import, re-embed",
    "bench": "how fast a bundle is on this machine, and how far the figures can be trusted",
    "doctor": "what this machine has, and the install line for what is missing",
}
EXAMPLES = """examples:
  edgefs demo
  edgefs enroll mug mug-photos/ --gallery shop.db
  edgefs recognize clip.mp4 --gallery shop.db --json answers.json
  edgefs gallery ls --gallery shop.db
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status: 0, 1 (an error, or a target missed), 2 (usage), 130 (interrupted)."""
    argv = list(sys.argv[1:] if argv is None else argv)
    parser = _parser(argv)
    args = parser.parse_args(argv)
    if not hasattr(args, "run"):
        parser.print_help()
        return 2
    try:
        with contextlib.redirect_stdout(sys.stderr) if args.json == "-" else contextlib.nullcontext():
            report = _run(args)
        status = 0 if report.get("passed", True) else 1
    except EdgefsError as error:
        print(f"edgefs: {error}", file=sys.stderr)
        report, status = {"error": {"type": type(error).__name__, "message": str(error)}}, 1
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        return _reader_gone()
    return max(status, _write_json(report, args.json))


def _run(args: argparse.Namespace) -> dict[str, Any]:
    try:
        return args.run(args)  # type: ignore[no-any-return]
    except ModuleNotFoundError as error:
        raise package_missing(error) from error


def _parser(argv: Sequence[str]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="edgefs",
        description="Show it, name it, and it is recognised: on the device, without training.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"edgefs {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")
    asked = next((word for word in argv if not word.startswith("-")), None)
    for name, summary in COMMANDS.items():
        command = commands.add_parser(
            name, help=summary, description=summary, formatter_class=argparse.RawDescriptionHelpFormatter
        )
        if name == asked:  # the others are not even imported
            module = importlib.import_module(f"edgefs.cli.commands.{name}")
            command.description = module.__doc__
            module.configure(command)
            leaves = [command] if not command._subparsers else list(_subcommands(command))
            for leaf in leaves:
                leaf.add_argument(
                    "--json", metavar="FILE", help="also write the result as one JSON object; - for stdout"
                )
            command.set_defaults(run=module.run)
    return parser


def _subcommands(parser: argparse.ArgumentParser) -> list[argparse.ArgumentParser]:
    actions = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    return [child for action in actions for child in action.choices.values()]


def _write_json(report: dict[str, Any], target: str | None) -> int:
    if target is None:
        return 0
    text = json.dumps(_plain(report), indent=1, allow_nan=False) + "\n"
    try:
        if target == "-":
            print(text, end="", flush=True)
        else:
            Path(target).write_text(text)
    except BrokenPipeError:
        return _reader_gone()
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        why = getattr(error, "strerror", None) or error
        print(f"edgefs: --json {target} cannot be written: {why}; choose another place", file=sys.stderr)
        return 1
    return 0


def _reader_gone() -> int:
    """`edgefs … | head`: Python must not complain again when it flushes at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 141


def _plain(value: Any) -> Any:
    """Make a value strict JSON: dataclasses become objects, arrays lists, NaN and infinities null, paths strings."""
    if hasattr(value, "tolist"):  # numpy, scalars too
        value = value.tolist()
    if hasattr(value, "__dataclass_fields__"):
        shown = [name for name, field in value.__dataclass_fields__.items() if field.repr]
        return {name: _plain(getattr(value, name)) for name in shown}
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return str(value) if isinstance(value, Path) else value
