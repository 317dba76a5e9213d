"""The bundle: one model, its preprocessing contract and its proof. `Bundle` is all that other packages need."""

from runtime.bundle.bundle import Artifact, Bundle

__all__ = ["Artifact", "Bundle"]
