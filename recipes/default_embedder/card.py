"""Write the model card into a packed bundle, with the figures of stored benchmark results.

    python -m benchmarks.accuracy --data DATA
    python -m benchmarks.relative_cost
    python recipes/default_embedder/card.py benchmarks/results/accuracy_….json benchmarks/results/relative-cost_….json

The model stays as it is, and so does the bundle's fingerprint.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from distil import git_commit

from exporters.rebuilt import rebuilt
from runtime.bundle import Bundle

CARD = """# The embedded default embedder

It is meant to work without any training on things that it has never seen.

- **Network**: MobileNetV2-1.0 with 640 instead of 1280 channels in its last convolution and a linear head,
  {parameters:,} parameters, stored as int8 and computed in float32; {size} x {size} pixels in, {dim} numbers out.
- **Learned from** ImageNet weights, on {data}. Its targets are the features of two
  larger ImageNet networks on the same pictures, MobileNetV2 at 224 pixels and EfficientNet-Lite2 at 260 pixels, joined
  and reduced to {dim} numbers. No label was used to train. Recipe: `recipes/default_embedder`, commit {commit}.
- **Held out** to choose and to calibrate: the sources trashnet, foodish, vgg_search and Office amazon, ten classes of
  Caltech-101, 128 classes of the two ImageNet sources, and the video clips of `shared/data/clips`.
- **Never trained on and not used to choose the network**: Grocery, COIL-100, Office webcam. The rule that tells
  strangers, which is the same for every network, was looked at on them.

{measured}
- **Limits**: the training photographs show about 1,100 kinds of things, few of them packed goods. The network tells
  objects apart by overall look. Fine print, faces, near-identical parts and things that fill less than a third of the
  frame are beyond it. The table for strangers and its cohort come from such photographs and clips, not from yours.
- **Terms**: the initial weights and the teachers are Apache-2.0. The training photographs are mostly research data;
  read their terms before you ship this in a product.
"""


def table(results: list[dict]) -> str:
    """The figures of stored benchmark results as lines of Markdown."""
    lines = []
    for result in results:
        host = result["host"]
        lines += [f"Measured with `{host['command']}`, {host['machine']}, {host['date'][:10]}:", ""]
        lines += ["| | |", "|---|---|", *(f"| {name} | {value} |" for name, value in result["summary"].items()), ""]
    return "\n".join(lines)


def with_card(bundle: Bundle, results: list[dict]) -> Bundle:
    """The same bundle with a card. Raises ValueError when the results are of another model."""
    for result in results:
        if result["fingerprint"] != bundle.fingerprint:
            raise ValueError(f"results must be of this model, {bundle.fingerprint}, but are of {result['fingerprint']}")
    provenance = {**bundle.manifest["provenance"], "commit": git_commit()}
    card = CARD.format(
        parameters=provenance["parameters"],
        size=bundle.preprocess.size[0],
        dim=bundle.dim,
        data=provenance["data"],
        commit=provenance["commit"],
        measured=table(results),
    )
    measured = {name: value for result in results for name, value in result["summary"].items()}
    return rebuilt(bundle, extra={"MODEL_CARD.md": card.encode()}, provenance={**provenance, "measured": measured})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path, nargs="+", help="stored results of this bundle")
    parser.add_argument("--bundle", type=Path, default=Path(__file__).parents[2] / "runtime/models/default.edgefs")
    args = parser.parse_args()
    results = [json.loads(file.read_text()) for file in args.results]
    with_card(Bundle.load(args.bundle), results).save(args.bundle, overwrite=True)


if __name__ == "__main__":
    main()
