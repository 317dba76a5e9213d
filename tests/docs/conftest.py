"""What the tests of pages share: how a page is run, and the pictures that the pages speak of."""

import importlib.util
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def walk():
    """tests/docs/walk.py, loaded by its path: there are no packages under tests."""
    for package in ("cv2", "skimage", "onnxruntime"):
        pytest.importorskip(package)
    spec = importlib.util.spec_from_file_location("walk", Path(__file__).parent / "walk.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def material(walk, tmp_path_factory):
    """A folder with the pictures and clips that the pages speak of."""
    folder = tmp_path_factory.mktemp("material")
    walk.material(folder)
    return folder
