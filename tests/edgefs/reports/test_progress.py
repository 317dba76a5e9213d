"""Progress on stderr."""

import re

from edgefs.reports.progress import show


def test_away_from_a_terminal_progress_is_two_lines_a_step(capsys):
    assert list(show("abc", "reading", 3)) == ["a", "b", "c"]
    assert re.fullmatch(r"reading …\nreading: 3 in \d\.\d s\n", capsys.readouterr().err)
