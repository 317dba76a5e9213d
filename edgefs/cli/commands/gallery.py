"""Look into a gallery and change it. Every change can be undone; forgetting for 30 minutes.

examples:
  edgefs gallery ls --gallery shop.db
  edgefs gallery rename mug cup
  edgefs gallery undo
  edgefs gallery export shop.zip        edgefs gallery import shop.zip
  edgefs gallery classes                                (views, and what to show next)
  edgefs gallery rate 10%                               (the share of strangers that may be given a name)
  edgefs gallery keep 17                                edgefs gallery drop 17        (a shot that was set aside)
  edgefs gallery evaluate --root test-photos/ --strangers other-photos/
  edgefs gallery evaluate --embedded test-embedded      (written by edgefs embed)
  edgefs gallery why photo.jpg                          edgefs gallery reject mug photo.jpg
  edgefs gallery rm mug --now                           (deleted for good at once: no undo)
  edgefs gallery check                                  edgefs gallery repair
  edgefs gallery backup shop-backup.db                  edgefs gallery restore shop-backup.db
  edgefs gallery swap --bundle better.edgefs            (and back with the old bundle: to the bit)
"""

from __future__ import annotations

import argparse
import time
from shlex import quote
from typing import Any

from edgefs.cli import gallery_evaluate, gallery_files
from edgefs.cli.options import add_bundle_option, add_gallery_option, existing_gallery, load_bundle, share
from edgefs.cli.progress import shots_bar
from edgefs.reports.tables import table
from runtime.errors import InvalidShot
from runtime.gallery import Gallery, open_gallery, peek
from runtime.opencv import read_image
from runtime.recognizer import STRANGER_RATE, Recognizer
from runtime.swap import compare_models, reembed_gallery


def configure(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    for name, summary, arguments in (
        ("ls", "the classes and their shots", ()),
        ("show", "every shot of one class", ("label",)),
        ("rm", "forget a class; it is deleted for good after 30 minutes", ("label",)),
        ("purge", "delete everything that was forgotten or removed for good, without waiting", ()),
        ("check", "verify every record, every crop and the structure of the file", ()),
        ("repair", "rebuild a damaged gallery from the records that can be verified", ()),
        ("backup", "write a complete, verified copy, also while the gallery is in use", ("file",)),
        ("restore", "put a backup in the place of the gallery", ("file",)),
        ("rename", "give a class another name", ("label", "to")),
        ("merge", "move all shots of one class into another", ("label", "into")),
        ("drop", "remove one shot; its number as in show", ("shot",)),
        ("rate", "show or set the share of strangers that may be given a name", ()),
        ("undo", "take back the newest change", ()),
        ("history", "what undo would take back, newest first", ()),
        ("export", "write everything into one file", ("file",)),
        ("import", "add what an exported file holds", ("file",)),
        ("classes", "how well each class is known, and what to show next", ()),
        ("why", "why a picture is taken for what it is", ("picture",)),
        ("reject", 'a picture that is "not this": never taken for this class again', ("label", "picture")),
        ("evaluate", "how well the gallery recognises pictures that it was not taught from", ()),
        ("swap", "let another bundle take over, and compare before and after", ()),
        ("reembed", "embed every shot again, for another bundle or precision", ()),
    ):
        action = actions.add_parser(name, help=summary, description=summary)
        for argument in arguments:
            action.add_argument(argument)
        if name == "rm":
            action.add_argument("--now", action="store_true", help="delete it for good at once; this cannot be undone")
        if name == "export":
            action.add_argument("--key", metavar="KEY", help="sign it with this private key (edgefs bundle make-key)")
        if name == "reembed":
            action.add_argument("--precision", metavar="P", help="of the bundle: fp32, fp16 or int8 (default: fp32)")
        if name == "rate":
            action.add_argument("rate", nargs="?", type=share, metavar="SHARE", help="0.05 or 5%%; left out: show it")
        if name == "evaluate":
            gallery_evaluate.configure(action)
        add_gallery_option(action)
        if name in ("import", *WITH_MODEL):
            add_bundle_option(action)


def run(args: argparse.Namespace) -> dict[str, Any]:
    if args.action == "import":
        return gallery_files.import_(args)
    if args.action == "restore":
        return gallery_files.restore(args)
    existing_gallery(args.gallery)
    if args.action in WITH_MODEL:
        return {"gallery": args.gallery, **WITH_MODEL[args.action](args)}
    gallery = open_gallery(args.gallery, fingerprint=None, dim=None)
    try:
        report: dict[str, Any] = ACTIONS[args.action](gallery, args)
        return {"gallery": args.gallery, **report}
    finally:
        gallery.close()


def _ls(gallery: Gallery, args: argparse.Namespace) -> dict[str, Any]:
    classes = [
        {"label": c.label, "shots": len(c.ids), "bursts": len(set(c.bursts)), "negatives": len(c.negatives)}
        for c in gallery.classes.values()
    ]
    print(table([tuple(c.values()) for c in classes], ("label", "shots", "bursts", "not this")) if classes else "empty")
    for record in gallery.damaged:
        print(f"damaged: {record.what}" + (f" (number {record.id} {record.label})" if record.id else ""))
    if gallery.damaged:
        print(f"Nothing can be changed before a repair. Run: edgefs gallery repair --gallery {quote(args.gallery)}")
    return {"fingerprint": gallery.fingerprint, "dim": gallery.dim, "classes": classes, "damaged": gallery.damaged}


def _show(gallery: Gallery, args: argparse.Namespace) -> dict[str, Any]:
    shots: list[dict[str, Any]] = [
        {
            "id": record.id,
            "kind": "not this" if record.negative else "shot",
            "quality": round(record.quality, 2),
            "time": _utc(record.time_s),
            "burst": record.burst,
            "source": record.source,
        }
        for record in gallery.records(args.label)
    ]
    header = ("id", "kind", "quality", "time", "burst", "source")
    print(table([tuple({**s, "burst": s["burst"][:8]}.values()) for s in shots], header))
    return {"label": args.label, "shots": shots}


def _utc(time_s: float) -> str:
    """Return a time as text; earlier versions imported times that no calendar has."""
    try:
        return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time_s))
    except (OverflowError, ValueError, OSError):
        return f"{time_s:g} s"


def _rm(gallery: Gallery, args: argparse.Namespace) -> dict[str, Any]:
    count = gallery.forget(args.label, now=args.now)
    if args.now:
        print(f"deleted {args.label} and its {count} shots for good")
        return {"label": args.label, "shots": count}
    print(f"forgot {args.label} and its {count} shots; to get it back: edgefs gallery undo --gallery {args.gallery}")
    return {"label": args.label, "shots": count}


def _rename(gallery: Gallery, args: argparse.Namespace) -> dict[str, Any]:
    gallery.rename(args.label, args.to)
    print(f"{args.label} is now {args.to}")
    return {"label": args.label, "to": args.to}


def _merge(gallery: Gallery, args: argparse.Namespace) -> dict[str, Any]:
    count = gallery.merge(args.label, args.into)
    print(f"moved {count} shots of {args.label} into {args.into}")
    return {"label": args.label, "into": args.into, "shots": count}


def _rate(gallery: Gallery, args: argparse.Namespace) -> dict[str, Any]:
    if args.rate is not None:
        gallery.set_stranger_rate(args.rate)
    rate = STRANGER_RATE if gallery.stranger_rate is None else gallery.stranger_rate
    print(f"at most {100 * rate:g} % of strangers may be given a name")
    return {"rate": rate}


def _drop(gallery: Gallery, args: argparse.Namespace) -> dict[str, Any]:
    label = gallery.remove_shot(_shot_id(args.shot))
    print(f"removed shot {args.shot} of {label}; to get it back: edgefs gallery undo --gallery {args.gallery}")
    return {"label": label, "shot": int(args.shot)}


def _shot_id(number: str) -> int:
    if not number.isdecimal():
        raise InvalidShot(f"A shot must be named by its number, as in edgefs gallery show LABEL, but got {number!r}.")
    return int(number)


def _undo(gallery: Gallery, _: argparse.Namespace) -> dict[str, Any]:
    undone = gallery.undo()
    print(f"undone: {undone}")
    return {"undone": undone}


def _history(gallery: Gallery, _: argparse.Namespace) -> dict[str, Any]:
    history = gallery.history()
    for operation in history:
        print(f"{time.strftime('%Y-%m-%d %H:%M', time.localtime(operation.time_s))}  {operation.what}")
    return {"history": history}


def _reembed(args: argparse.Namespace) -> dict[str, Any]:
    bundle = load_bundle(args.bundle, args.trusted_keys)
    with Recognizer(bundle, precision=args.precision) as recognizer, shots_bar() as progress:
        precision = recognizer.engine.info.precision
        count = reembed_gallery(args.gallery, bundle, recognizer.embed, progress, precision)
    print(
        f"re-embedded {count} shots for {bundle.name}" if count else f"nothing to do: filled by {bundle.name} already"
    )
    return {"bundle": bundle.where, "shots": count}


def _classes(args: argparse.Namespace) -> dict[str, Any]:
    with Recognizer(load_bundle(args.bundle, args.trusted_keys), gallery=args.gallery) as recognizer:
        classes = recognizer.classes()
    rows = [(c.label, c.n_shots, c.n_views, c.n_bursts, f"{c.threshold:.2f}", c.advice) for c in classes]
    print(table(rows, ("label", "shots", "views", "bursts", "threshold", "next")) if rows else "empty")
    return {"classes": classes}


def _why(args: argparse.Namespace) -> dict[str, Any]:
    with Recognizer(load_bundle(args.bundle, args.trusted_keys), gallery=args.gallery) as recognizer:
        why = recognizer.explain(recognizer.recognize(read_image(args.picture)))
    for sentence in why.sentences:
        print(sentence)
    rows = [(near.shot_id, f"{near.score:.2f}", near.source) for near in why.nearest]
    print(table(rows, ("shot", "score", "source")) if rows else "")
    return {"picture": args.picture, "why": why}


def _reject(args: argparse.Namespace) -> dict[str, Any]:
    with Recognizer(load_bundle(args.bundle, args.trusted_keys), gallery=args.gallery) as recognizer:
        shot_id = recognizer.reject(read_image(args.picture), args.label)
    print(f"{args.picture} is not {args.label}; to take that back: edgefs gallery undo --gallery {args.gallery}")
    return {"label": args.label, "shot": shot_id}


def _swap(args: argparse.Namespace) -> dict[str, Any]:
    bundle = load_bundle(args.bundle, args.trusted_keys)
    before = peek(args.gallery).fingerprint
    with Recognizer(bundle) as recognizer, shots_bar() as progress:
        comparison = compare_models(args.gallery, bundle, recognizer.embed, progress, recognizer.engine.info.precision)
    if comparison is None:
        print(f"nothing to do: filled by {bundle.name} already")
        return {"bundle": bundle.where, "shots": 0}
    old, new = comparison
    rows = [(label, *(f"{100 * share.get(label, float('nan')):.0f} %" for share in comparison)) for label in new]
    print(table(rows, ("label", "named right before", "after")))
    print(f"To go back, swap again with the bundle of fingerprint {before[:12]}:")
    print(f"  edgefs gallery swap --gallery {args.gallery} --bundle OLD.edgefs")
    return {"bundle": bundle.where, "fingerprint_before": before, "before": old, "after": new}


WITH_MODEL = {
    "evaluate": gallery_evaluate.run,
    "reembed": _reembed,
    "classes": _classes,
    "why": _why,
    "reject": _reject,
    "swap": _swap,
}
ACTIONS = {
    "check": gallery_files.check,
    "repair": gallery_files.repair,
    "backup": gallery_files.backup,
    "purge": gallery_files.purge,
    "ls": _ls,
    "show": _show,
    "rm": _rm,
    "rename": _rename,
    "merge": _merge,
    "drop": _drop,
    "rate": _rate,
    "undo": _undo,
    "history": _history,
    "export": gallery_files.export,
}
