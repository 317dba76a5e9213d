"""Make the table and the cohort of the default bundle, from which a device tells strangers, with its own network.

    python recipes/default_embedder/calibration.py --shared ../shared [--bundle runtime/models/default.edgefs]

`pack.py` does this too. Run it alone when the rule in `runtime/matching/acceptance.py` changed; the network and its
fingerprint stay. `card.py` writes the model card again afterwards.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from photos import Photo, limited, read_pool

from exporters.rebuilt import rebuilt
from exporters.sources.clips import read_clips
from exporters.verify.calibration import calibrate, thing_of_clip, things_of_photos
from runtime.bundle import Bundle
from runtime.engines import open_engine

DEFAULT = Path(__file__).parents[2] / "runtime/models/default.edgefs"
MIN_KINDS, MIN_PHOTOS = 5, 6  # of a source, and of a kind, that calibrate
MAX_PHOTOS, MAX_KINDS = 12, 40  # of a kind, and of a source


def kinds_of(pool: list[Photo]) -> list[Photo]:
    """Photographs of the kinds that calibrate: evenly spread over those of each source that has enough of them."""
    photos = limited(pool, MAX_PHOTOS)
    counts = Counter((photo.source, photo.label) for photo in photos)
    chosen = set()
    for source in sorted({source for source, _ in counts}):
        kinds = sorted(kind for kind, n in counts.items() if kind[0] == source and n >= MIN_PHOTOS)
        if len(kinds) >= MIN_KINDS:
            chosen |= {kinds[i] for i in np.linspace(0, len(kinds) - 1, min(MAX_KINDS, len(kinds))).astype(int)}
    return [photo for photo in photos if (photo.source, photo.label) in chosen]


def calibrated(bundle: Bundle, shared: Path, pool: list[Photo]) -> Bundle:
    """The bundle with a table and a cohort from photographs of the pool and from the clips."""
    photos, engine = kinds_of(pool), open_engine(bundle, "onnxruntime", threads=1)

    def embed(images: Iterable[np.ndarray]) -> np.ndarray:
        return np.concatenate([engine.embed(bundle.preprocess.batch([image])) for image in images])

    pictures = embed(np.ascontiguousarray(photo.decode()[:, :, ::-1]) for photo in photos)
    things = things_of_photos(pictures, [photo.label for photo in photos], [photo.source for photo in photos])
    for clip in read_clips(shared / "data/clips"):
        things.append(thing_of_clip(clip.group, embed(clip.frames), clip.times_s))
    made = calibrate(things, metric=bundle.metric)
    return rebuilt(bundle, extra={}, calibration=made.table, cohort=made.cohort)  # the card is written anew


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shared", type=Path, required=True, help="the folder `shared`, as for training")
    parser.add_argument("--bundle", type=Path, default=DEFAULT)
    args = parser.parse_args()
    calibrated(Bundle.load(args.bundle), args.shared, read_pool(args.shared)).save(args.bundle, overwrite=True)


if __name__ == "__main__":
    main()
