"""A small grey image folder and a config that trains on it in a second."""

import numpy as np
import pytest


@pytest.fixture(scope="session")
def small_data(tmp_path_factory):
    cv2 = pytest.importorskip("cv2")
    root = tmp_path_factory.mktemp("small")
    for i in range(15):
        rng = np.random.default_rng(i)
        pattern = np.kron(rng.integers(0, 256, (4, 4)), np.ones((4, 4)))
        folder = root / f"class{i:02d}"
        folder.mkdir()
        for k in range(8):
            image = np.clip(pattern + rng.normal(0, 60, pattern.shape), 0, 255).astype(np.uint8)
            cv2.imwrite(str(folder / f"{k}.png"), image)
    return root


@pytest.fixture
def small_config(small_data, tmp_path):
    from edgefs.methods import config_of

    def make(method="protonet", **options):
        base = {
            "root": str(small_data), "out": str(tmp_path / "run"), "size": 16, "backbone": "conv4_32", "threads": 1,
            "n_way": 3, "val_way": 3, "n_shot": 1, "n_query": 3, "val_query": 3, "val_episodes": 20,
            "steps": 6, "val_every": 3,
        }  # fmt: skip
        extra = (
            {"bf16": False}
            if method in ("protonet", "classifier")
            else {"inner_steps": 2, "val_inner_steps": 2, "tasks": 2}
        )
        return config_of(method, data="folder", **{**base, **extra, **options})

    return make
