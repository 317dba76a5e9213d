"""Progress on stderr."""

import re

from edgefs.reports.progress import hidden, show


def test_away_from_a_terminal_progress_is_two_lines_a_step(capsys):
    assert list(show("abc", "reading", 3)) == ["a", "b", "c"]
    assert re.fullmatch(r"reading …\nreading: 3 in \d\.\d s\n", capsys.readouterr().err)


def test_nothing_is_shown_where_it_is_hidden_and_afterwards_it_is_shown_again(capsys):
    with hidden(True):
        assert list(show("abc", "reading", 3)) == ["a", "b", "c"]
    assert capsys.readouterr().err == ""
    list(show("abc", "reading", 3))
    assert "reading: 3" in capsys.readouterr().err
