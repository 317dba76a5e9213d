"""Ask which installed packages have known vulnerabilities, and say for which of them nobody could be asked.

    python .ci/audit.py PYTHON        PYTHON is the interpreter whose packages are looked at

pip-audit alone says "No known vulnerabilities found" for packages that its database does not know or that it could not
ask for. Exit status: 0 if all are known to be free of them, 1 if some have one, 2 if some could not be asked for.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any


def summary(report: dict[str, Any]) -> tuple[list[str], int]:
    """Return lines for people and the exit status for a report of pip-audit."""
    packages = [each for each in report["dependencies"] if each["name"] != "edgefs"]
    asked = [each for each in packages if "skip_reason" not in each]
    risky = [each for each in asked if each["vulns"]]
    lines = [f"{len(asked)} of {len(packages)} packages could be asked for, {len(risky)} have known vulnerabilities."]
    for each in risky:
        for found in each["vulns"]:
            versions = ", ".join(found["fix_versions"]) or "no version yet"
            lines.append(f"{each['name']} {each['version']}: {found['id']}, corrected in {versions}")
    if len(asked) < len(packages):
        names = ", ".join(each["name"] for each in packages if each not in asked)
        lines.append(f"Nothing is known about: {names}. Ask again with a connection to pypi.org.")
    return lines, 1 if risky else 2 if len(asked) < len(packages) else 0


def main(python: str) -> int:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "report.json"
        command = [sys.executable, "-m", "pip_audit", "--progress-spinner", "off", "--format", "json", "--output", path]
        environment = {**os.environ, "PIPAPI_PYTHON_LOCATION": str(Path(python).absolute())}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        if not path.is_file() or not path.read_text():
            print(f"Nothing could be asked, so nothing is known about any package: {done.stderr.strip()[-500:]}")
            return 2
        lines, status = summary(json.loads(path.read_text()))
    print(*lines, sep="\n")
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
