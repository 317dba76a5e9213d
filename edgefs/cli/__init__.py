"""The command line. Each command is one file with `configure(parser)` and `run(args) -> dict`.

`run` prints for people and returns what it printed as one JSON object, which `--json FILE` writes. With `--json -` the
object goes to stdout, and the text for people to stderr. An object with `"passed": False` makes the exit status 1.
Argparse is used because the core requires only numpy, and `edgefs --help` must answer at once.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import sys
from collections.abc import Collection, Sequence
from typing import Any

from edgefs import __version__
from edgefs.cli.output import allow_ascii, reader_gone, unwritable, write_json
from edgefs.cli.parser import Parser, leaves
from edgefs.errors import package_missing
from edgefs.reports.progress import hidden
from edgefs.reports.words import language
from runtime.errors import EdgefsError, OptionError

COMMANDS = {
    "demo": "run the main job from start to end: enrol, recognise, report (no camera, no network)",
    "enroll": "teach a class from pictures, a video or a camera",
    "recognize": "name what pictures, a video or a camera show",
    "train": "meta-train an embedding: protonet, maml, fomaml, anil, reptile",
    "finetune": "fine-tune a pretrained network on your classes, or fit a head on its frozen features",
    "adapt": "move a network to a domain without labels: dann, mmd, coral, adabn",
    "evaluate": "N-way K-shot accuracy with interval, of a checkpoint or of a bundle on any engine",
    "export": "checkpoint, torchvision backbone or your own ONNX to a verified bundle",
    "live": "the camera app: point a camera at a thing, hold the button, name it",
    "gallery": "list, show, rename, merge, forget, undo, export, import, re-embed",
    "models": "the ladder of models: list, show, build",
    "bundle": "check a bundle, write it in the newest format, or add a TensorRT plan to it",
    "embed": "embed many pictures once, into Parquet files",
    "search": "find the pictures that look like a picture, among those that were embedded",
    "rollout": "publish a bundle for many devices, and see what they report",
    "fleet": "the gallery of many devices: prepare its database, see how it stands, decide conflicts",
    "bench": "how fast a bundle is on this machine, and how reliable the figures are",
    "doctor": "what this machine has, and the install line for what is missing",
    "completion": "print a completion script for bash, zsh or fish",
}
FLEET = ("embed", "fleet", "rollout", "search")  # in edgefs/cli/fleet; the others are in edgefs/cli/commands
EXAMPLES = """examples:
  edgefs demo
  edgefs enroll mug mug-photos/ --gallery shop.db
  edgefs recognize clip.mp4 --gallery shop.db --json answers.json
  edgefs gallery ls --gallery shop.db

exit status:
  0    done
  1    an error, or a target that was missed; the message says what to do, and --json FILE has it, too
  2    wrong usage
  130  interrupted (Ctrl-C)
  141  the reader of the output went away
"""
# Options, beside --json, whose file is written when the command has finished.
WRITTEN = ("report", "csv", "html", "publish")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Returns:
        The exit status: 0, 1 (an error, or a target missed), 2 (wrong usage), 130 (interrupted) or 141 (the reader of
        the output is gone).
    """
    allow_ascii(sys.stdout, sys.stderr)
    argv = list(sys.argv[1:] if argv is None else argv)
    asked = next((word for word in argv if not word.startswith("-")), None)
    parser = build_parser({asked} if asked else ())
    args = parser.parse_args(argv)
    if not hasattr(args, "run"):
        parser.print_help()
        return 2
    if args.json != "-" and (problem := unwritable("--json", args.json)):
        print(f"edgefs: {problem}", file=sys.stderr)
        return 1
    try:
        elsewhere = contextlib.redirect_stdout(sys.stderr) if args.json == "-" else contextlib.nullcontext()
        with elsewhere, hidden(args.quiet):
            report = _run(args)
        status = 0 if report.get("passed", True) else 1
    except EdgefsError as error:
        print(f"edgefs: {error}", file=sys.stderr)
        report, status = {"error": {"type": type(error).__name__, "message": str(error)}}, 1
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        return reader_gone()
    return max(status, write_json(report, args.json))


def build_parser(loaded: Collection[str]) -> argparse.ArgumentParser:
    """The parser of the whole command line; only the commands in `loaded` are imported and get their options."""
    parser = Parser(
        prog="edgefs",
        description="Show it, name it, and it is recognised: on the device, without training.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"edgefs {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")
    for name, summary in COMMANDS.items():
        command = commands.add_parser(
            name, help=summary, description=summary, formatter_class=argparse.RawDescriptionHelpFormatter
        )
        if name in loaded:
            module = importlib.import_module(f"edgefs.cli.{'fleet' if name in FLEET else 'commands'}.{name}")
            command.description = module.__doc__
            module.configure(command)
            for leaf in leaves(command):
                leaf.add_argument(
                    "--json", metavar="FILE", help="also write the result as one JSON object; - for stdout"
                )
                leaf.add_argument("--quiet", action="store_true", help="show no progress; errors are still said")
            command.set_defaults(run=module.run)
    if language() == "zh":
        from edgefs.cli.chinese import translate  # here, so that English needs no dictionary

        translate(parser)
    return parser


def _run(args: argparse.Namespace) -> dict[str, Any]:
    for option in WRITTEN:
        if problem := unwritable(f"--{option}", getattr(args, option, None)):
            raise OptionError(problem)
    try:
        return args.run(args)  # type: ignore[no-any-return]
    except ModuleNotFoundError as error:
        raise package_missing(error) from error
