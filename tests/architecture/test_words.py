"""Words that once needed decoding do not come back: code, docs and messages use the terms of CONTRIBUTING.md."""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# What is replaced -> what to write.
BANNED = {
    r"verdicts?": "result",
    r"judges?|judged|judging|judgement": "check, decide",
    r"accused": "suspected, compared",
    r"trials?": "candidate check, run",
    r"lessons?": "teaching session, enrolment, training pictures",
    r"\w*disturb\w*": "augment, contend",
    r"yardstick": "reference",
    r"_?keep_house": "say what it does",
    r"Eye|Eyes": "camera worker",
    r"Crew": "worker threads",
    r"plays? the stranger|playing the stranger": "is left out",
    r"earn (?:its|their) place": "pass the check",
    r"own affair": "say what must hold",
    r"takes no no": "has no rejection",
    r"voices?": "logger",
    r"cheapen\w*": "make faster",
    r"thaw\w*": "unfreeze",
    r"play of a probe": "leave-one-class-out scores",
    r"next to no known frame notices": "2 % of known frames fail",
    r"while we are well": "while healthy",
    r"neighbours? in the caches": "other programs",
}
# The list itself, the log of measurements and releases, and a licence.
EXCEPT = {"tests/architecture/test_words.py", "LICENSE", "benchmarks/LOG.md", "CHANGELOG.md"}
SUFFIXES = (".py", ".md", ".js", ".html", ".css", ".toml", ".json", "Makefile", ".service")
FOREIGN = re.compile(r"trial_division|optuna|https?://\S+")


def tracked():
    names = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False).stdout.split(
        "\n"
    )
    if not any(names):
        pytest.skip("this is not a git checkout")
    return [name for name in names if name.endswith(SUFFIXES) and name not in EXCEPT and (ROOT / name).exists()]


def occurrences(banned, names):
    """Every line of these files that has a banned word."""
    pattern = re.compile(rf"(?<![A-Za-z])(?:{banned})(?![A-Za-z])", 0 if banned[0].isupper() else re.IGNORECASE)
    return [
        f"{name}:{number}: {line.strip()[:100]}"
        for name in names
        for number, line in enumerate((ROOT / name).read_text(errors="replace").splitlines(), 1)
        if pattern.search(FOREIGN.sub("", line))
    ]


@pytest.mark.parametrize(("banned", "better"), BANNED.items())
def test_a_replaced_word_does_not_come_back(banned, better):
    found = occurrences(banned, tracked())
    assert found == [], f"write instead: {better}"
