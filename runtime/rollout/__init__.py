"""New bundles for many devices: published in a folder, fetched by each device, and taken back if they do harm."""

from runtime.rollout.index import Index, Release
from runtime.rollout.publish import publish, reports

__all__ = ["Index", "Release", "publish", "reports"]
