"""The versions that a figure depends on, without importing the packages."""

import importlib.metadata

from exporters import versions


def test_only_what_is_installed_is_listed_with_its_version(monkeypatch):
    monkeypatch.setattr(versions, "PACKAGES", ("numpy", "no-such-package"))
    assert versions.installed() == {"numpy": importlib.metadata.version("numpy")}
