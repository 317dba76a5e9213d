"""Tiny class folders that a network can learn, and configs that train on them in seconds."""

import numpy as np
import pytest


@pytest.fixture(scope="session")
def write_pictures():
    """Write class folders: a class is a pattern, a picture adds noise.  shift: of the grey values, a domain's."""
    cv2 = pytest.importorskip("cv2")

    def write(root, *, names=("ant", "bee", "cat"), n_images=10, size=32, shift=0, seed=0):
        noise = np.random.default_rng(seed)
        for i, name in enumerate(names):
            pattern = np.kron(np.random.default_rng(i).integers(0, 200, (4, 4)), np.ones((size // 4, size // 4)))
            (root / name).mkdir(parents=True, exist_ok=True)
            for k in range(n_images):
                image = np.clip(pattern + shift + noise.normal(0, 20, pattern.shape), 0, 255).astype(np.uint8)
                cv2.imwrite(str(root / name / f"{k:02d}.png"), image)
        return root

    return write


@pytest.fixture
def small_config(tmp_path, write_pictures):
    from edgefs.methods import config_of

    def make(**options):
        root = options.pop("root", None) or write_pictures(tmp_path / "pictures")
        base = {
            "out": str(tmp_path / "run"), "backbone": "lenet", "size": 16, "threads": 1, "epochs": 3, "batch": 8,
            "lr": 3e-3,
        }  # fmt: skip
        return config_of(options.pop("method", "finetune"), root=str(root), **{**base, **options})

    return make
