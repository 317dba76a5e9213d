"""The embedded default bundle: works out of the box, without a network, for things it has never seen."""

from __future__ import annotations

from pathlib import Path

from runtime.bundle import Bundle


def default_bundle() -> Bundle:
    """Load and check the bundle that ships inside the package; `recipes/default_embedder` made it."""
    return Bundle.load(Path(__file__).parent / "default.edgefs")
