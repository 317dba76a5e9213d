"""The bundle: one model, its preprocessing contract, and golden frames to check it with."""

from runtime.bundle.bundle import Artifact, Bundle

__all__ = ["Artifact", "Bundle"]
