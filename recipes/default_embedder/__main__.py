"""Train the default embedder that ships inside edgefs: a small network, from random weights, taught by a larger one.

Idea. A device needs an embedding that costs about a millisecond on one core and places *any* object well. Labels of
a few hundred classes teach that poorly; the geometry of a network that has seen far more teaches it well. So the
student learns, from random weights, to place a crop where the teacher (MobileNetV2, ImageNet) places the same crop:
target = teacher feature → centre → L2 → PCA to 256 → L2. The teacher sees clean crops; the student sees them under
changed light, blur and noise, so that its embedding holds still while the camera moves. No label is used to train;
labels only choose and measure.

  crops    render random crops and scenes of the training classes; store them with the teacher's features
  train    distil; keeps an average of the weights, and scores it on held-out classes
  measure  few-shot accuracy on data never trained or selected on; also writes the rejection calibration material

Data (`--data`, plain class folders): tiny_imagenet, caltech101, CIFAR-FS train, Office amazon. Held out to select and
calibrate: every 10th class of the first two, and CIFAR-FS val. Measured only: Grocery, COIL-100, Office webcam.

  python recipes/default_embedder --data DATA --teacher mobilenet_v2_imagenet_fp16.safetensors --out OUT

  python recipes/default_embedder/pack.py --data DATA --out OUT            # into runtime/models/default.edgefs

Each stage resumes where it was interrupted; `--stage` runs one alone. Needs the extras `train`, `export` and `demo`.

Time: on 2 busy x86 cores 13 minutes of crops (8 GB on disk), 43 of training, 2 of measuring. The schedule follows the
clock, so figures depend on the machine. Seen with 5,021 batches of 128 (5-way, ± 95 % interval over 600 episodes):
Grocery 67.0 ± 1.0 (1 shot), 82.9 ± 1.4 (4 shots); Office webcam 77.3 ± 0.7 (1), 91.7 ± 0.4 (5); CIFAR-FS val
49.1 ± 0.9 (1), 66.2 ± 0.8 (5); COIL-100 13-way 98.6 (1 view), 100 (3 views); AUROC for strangers on Grocery 0.75.
The teacher at 224 pixels: Grocery 85.2 and 96.1, webcam 89.0 and 98.7, AUROC 0.86.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import torch
from crops import make_crops
from distil import Config, train
from measure import calibration_material, measure


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with the data sets, laid out as class folders")
    parser.add_argument("--teacher", type=Path, required=True, help="safetensors with torchvision's mobilenet_v2 keys")
    parser.add_argument("--out", type=Path, required=True, help="folder for crops, checkpoints and figures")
    parser.add_argument("--stage", choices=("all", "crops", "train", "measure"), default="all")
    parser.add_argument("--minutes", type=float, default=Config.minutes, help="training time")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    config = Config(minutes=args.minutes)
    if args.stage in ("all", "crops"):
        make_crops(args.data, args.teacher, args.out, config.seed)
    if args.stage in ("all", "train"):
        train(args.data, args.out, config)
    if args.stage in ("all", "measure"):
        measure(args.data, args.out)
        calibration_material(args.data, args.out)


if __name__ == "__main__":
    main()
