"""Small image folders, made by code."""

import numpy as np
import pytest


@pytest.fixture
def write_classes():
    """Write `n_images` pictures for each named class: a class is a pattern, an image adds noise."""
    cv2 = pytest.importorskip("cv2")

    def write(folder, names, *, n_images=6, size=32, grey=False):
        for i, name in enumerate(names):
            rng = np.random.default_rng(i)
            pattern = np.kron(rng.integers(0, 256, (4, 4, 3)), np.ones((size // 4, size // 4, 1)))
            (folder / name).mkdir(parents=True, exist_ok=True)
            for k in range(n_images):
                image = np.clip(pattern + rng.normal(0, 20, pattern.shape), 0, 255).astype(np.uint8)
                cv2.imwrite(str(folder / name / f"{k:02d}.png"), image[..., 0] if grey else image)
        return folder

    return write
