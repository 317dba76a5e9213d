"""Train the default embedder that ships inside edgefs: a small network, from random weights, taught by a larger one.

Idea. A device needs an embedding that costs a few milliseconds on one core and places *any* object well. Labels of a
few hundred classes teach that poorly; the geometry of a network that has seen far more teaches it well. So the student
learns to say of a picture, and of every place in it, what the teacher (MobileNetV2, ImageNet) says. No label is used to
train; labels only choose and measure.

  lessons  compose pictures of the training photos (`scenes.py`); ask the teacher about each place (`lessons.py`)
  train    distil (`distil.py`), from random weights or from those of a bundle (`start.py`); keeps an average of the
           weights, and scores it on held-out classes

Data (`--data`, plain class folders): tiny_imagenet, caltech101, CIFAR-FS train, Office amazon. Held out to select and
calibrate: every 10th class of the first two, and CIFAR-FS val. Measured only: Grocery, COIL-100, Office webcam.

  python recipes/default_embedder --data DATA --teacher mobilenet_v2_imagenet_fp16.safetensors --out OUT \\
      --start runtime/models/default.edgefs

  python recipes/default_embedder/pack.py --data DATA --out OUT            # into runtime/models/default.edgefs, then
  python recipes/default_embedder/card.py RESULTS                          # measured, its model card

Each stage resumes where it was interrupted; `--stage` runs one alone, and training goes on with what lessons there are
while more are being written. Needs the extras `train` and `export`.

What ships was made in three stages, each going on from the bundle of the one before (`--start`). The first (commit
1b58d20) trained the same network from random weights, for 43 minutes at 128 pixels, on blurred crops. The second (4,720
batches) and the third (80 CPU-minutes, 46,080 lessons, half of them close-ups) are this recipe.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import torch
from distil import Config, train
from lessons import make_lessons


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with the data sets, laid out as class folders")
    parser.add_argument("--teacher", type=Path, required=True, help="safetensors with torchvision's mobilenet_v2 keys")
    parser.add_argument("--out", type=Path, required=True, help="folder for lessons, checkpoints and figures")
    parser.add_argument("--start", type=Path, help="bundle to go on from; default: random weights")
    parser.add_argument("--stage", choices=("all", "lessons", "train"), default="all")
    parser.add_argument("--lessons", type=int, default=27 * 1024, help="pictures to compose and ask about")
    parser.add_argument("--minutes", type=float, default=Config.minutes, help="training time")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    config = Config(minutes=args.minutes)
    if args.stage in ("all", "lessons"):
        make_lessons(args.data, args.teacher, args.out, args.lessons, config.seed)
    if args.stage in ("all", "train"):
        train(args.data, args.out, config, args.start)


if __name__ == "__main__":
    main()
