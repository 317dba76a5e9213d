"""`edgefs gallery evaluate`: how well a gallery recognises pictures that it was not taught from."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from edgefs.cli.options import load_bundle
from edgefs.reports.progress import show
from edgefs.reports.tables import table
from runtime import pictures
from runtime.gallery import check_labels, clean_label
from runtime.recognizer import Recognizer

Item = TypeVar("Item")
OUTCOMES = ("right", "wrong", "maybe", "unknown")


def configure(action: argparse.ArgumentParser) -> None:
    """Add the options."""
    known = action.add_mutually_exclusive_group(required=True)
    known.add_argument("--root", metavar="DIR", help="a folder for each class, with its pictures")
    known.add_argument("--embedded", metavar="DIR", help="the same, as edgefs embed has written it")
    action.add_argument("--strangers", metavar="DIR", help="pictures of things that are not taught")
    action.add_argument("--out", metavar="DIR", help="write the confusion and the rates as pictures")


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Evaluate, print a table with a row for each class, and name the mistakes."""
    from edgefs.bulk.shards import read_classes
    from edgefs.data.images import pictures_below
    from edgefs.evaluation.own_gallery import evaluate_embedded, evaluate_gallery, write_plots

    others = pictures.pictures_below(Path(args.strangers)).tell().pictures if args.strangers else []
    with Recognizer(load_bundle(args.bundle, args.trusted_keys), gallery=args.gallery) as recognizer:
        if args.embedded:
            classes = _named(read_classes(Path(args.embedded), recognizer.bundle))
            rows = {label: [(one.picture.path, one.embedding) for one in some] for label, some in classes.items()}
            known, found = set(classes), evaluate_embedded(recognizer, rows, others, show)
        else:
            folders = _named(pictures_below(Path(args.root)))
            known, found = set(folders), evaluate_gallery(recognizer, folders, others, show)
        labels = recognizer.labels
    outcomes = {label: found.of(label) for label in labels if label in known}
    if any(one.truth is None for one in found.pictures):
        outcomes["(strangers)"] = found.of(None)
    print(table([(label, *row.values()) for label, row in outcomes.items()], ("class", *OUTCOMES)))
    for one in found.mistakes:
        near = one.answer.nearest[0].shot_id if one.answer.nearest else "-"
        print(f"{one.path}: {one.answer.text} ({one.answer.score:.2f}), nearest shot {near}")
    if args.out:
        write_plots(found, labels, Path(args.out))
    mistakes = [{"path": one.path, "truth": one.truth, "text": one.answer.text} for one in found.mistakes]
    return {"outcomes": outcomes, "mistakes": mistakes, "by_rate": found.by_rate}


def _named(classes: Mapping[str, list[Item]]) -> dict[str, list[Item]]:
    """Classes by the labels that a gallery would give them. Raises InvalidLabel."""
    check_labels(classes)
    return {clean_label(name): some for name, some in classes.items()}
