"""The audit does not take a package that it could not ask for as one without vulnerabilities."""

import importlib.util
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def audit():
    spec = importlib.util.spec_from_file_location("audit", ROOT / ".ci" / "audit.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


SOUND = {"name": "numpy", "version": "2.4.6", "vulns": []}
RISKY = {"name": "h11", "version": "0.14", "vulns": [{"id": "CVE-2025-43859", "fix_versions": ["0.16.0"]}]}
UNKNOWN = {"name": "segno", "skip_reason": "Dependency not found on PyPI and could not be audited: segno (1.6.6)"}
OURS = {"name": "edgefs", "skip_reason": "Dependency not found on PyPI"}


@pytest.mark.parametrize(
    ("packages", "status", "says"),
    [
        ([SOUND, OURS], 0, "1 of 1 packages could be asked for, 0 have"),
        ([SOUND, UNKNOWN], 2, "Nothing is known about: segno. Ask again"),
        ([SOUND, UNKNOWN, RISKY], 1, "h11 0.14: CVE-2025-43859, corrected in 0.16.0"),
    ],
)
def test_the_summary_says_what_was_asked_and_found(audit, packages, status, says):
    lines, found = audit.summary({"dependencies": packages})
    assert found == status
    assert any(says in line for line in lines)


def test_without_an_answer_nothing_is_known(audit, capsys, monkeypatch):
    failed = type("Done", (), {"stderr": "ConnectionError: no route to host"})
    monkeypatch.setattr(audit.subprocess, "run", lambda *_, **__: failed)
    assert audit.main("python") == 2
    assert "nothing is known about any package: ConnectionError" in capsys.readouterr().out
