"""The default bundle, which ships inside the package."""

from __future__ import annotations

from pathlib import Path

from runtime.bundle import Bundle


def default_bundle() -> Bundle:
    """Load and check the default bundle, which `recipes/default_embedder` made."""
    return Bundle.load(Path(__file__).parent / "default.edgefs")
