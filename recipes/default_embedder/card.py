"""Write the model card into a packed bundle, from what stored benchmark results say of it.

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

from runtime.bundle import Bundle

CARD = """# The embedded default embedder

Meant to work out of the box on things it has never seen.

- **Network**: a narrow ResNet of plain 3x3 convolutions, {parameters:,} parameters, stored as int8 and computed in
  float32; {size} x {size} pixels in, {dim} numbers out.
- **Learned from** random weights, on {data}: photographs of 32 to 300 pixels, composed into close-ups, scenes and
  shelves. Its targets are the features of an ImageNet MobileNetV2 (the teacher, which is not shipped) on the same
  pictures; no label was used. Recipe: `recipes/default_embedder`, commit {commit}.
- **Never trained on**: Grocery, COIL-100, Office webcam. CIFAR-FS val and every tenth class of the first two sets were
  held out to select and to calibrate. Grocery's train photos and Office webcam were looked at before this network was
  preferred to its earlier stages (`benchmarks/LOG.md`), and webcam shares its ten kinds of things with amazon.

{measured}
- **Limits**: its training photographs are small and show about 350 kinds of things, few of them packed goods. It tells
  objects apart by overall look; fine print, faces, near-identical parts and things that fill less than a third of the
  frame are beyond it. The rejection table and the background come from classes of that kind, not from yours.
- **Terms**: the training sets and the teacher's are research data; read their terms before you ship this in a product.
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
    frames, embeddings = bundle.golden()
    card = CARD.format(
        parameters=provenance["parameters"],
        size=bundle.preprocess.size[0],
        dim=bundle.dim,
        data=provenance["data"],
        commit=provenance["commit"],
        measured=table(results),
    )
    measured = {name: value for result in results for name, value in result["summary"].items()}
    return Bundle.build(
        name=bundle.name,
        description=bundle.manifest["description"],
        preprocess=bundle.preprocess,
        metric=bundle.metric,
        model=bundle.read("model.onnx"),
        golden_frames=frames,
        golden_embeddings=embeddings,
        calibration=bundle.calibration,
        background=bundle.background(),
        provenance={**provenance, "measured": measured},
        extra={"MODEL_CARD.md": card.encode()},
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path, nargs="+", help="stored results of this bundle")
    parser.add_argument("--bundle", type=Path, default=Path(__file__).parents[2] / "runtime/models/default.edgefs")
    args = parser.parse_args()
    results = [json.loads(file.read_text()) for file in args.results]
    with_card(Bundle.load(args.bundle), results).save(args.bundle, overwrite=True)


if __name__ == "__main__":
    main()
