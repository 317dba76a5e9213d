"""Progress of commands: every command can be told to show none, and then says only errors."""

import pytest

from edgefs.cli import COMMANDS, build_parser, main
from edgefs.cli.parser import leaves, words
from edgefs.cli.progress import Stages, shots_bar
from edgefs.reports.progress import hidden

pytest.importorskip("tqdm")


def test_every_command_can_be_quiet():
    assert [leaf.prog for leaf in leaves(build_parser(COMMANDS)) if "--quiet" not in words(leaf)] == []


def test_away_from_a_terminal_a_stage_is_a_line_and_in_quiet_nothing(capsys):
    with Stages(2) as progress:
        progress("ONNX")
    assert "ONNX" in capsys.readouterr().err
    with hidden(True), Stages(2) as progress:
        progress("ONNX")
    assert capsys.readouterr().err == ""


def test_the_bar_of_shots_is_only_for_terminals(capsys):
    with shots_bar() as progress:
        progress(1, 2)
    assert capsys.readouterr().err == ""


def test_a_quiet_command_shows_no_progress_but_its_result_and_its_errors(shop, capsys):
    words = ["gallery", "evaluate", "--root", "mug", "--gallery", "shop.db", "--bundle", "tiny.edgefs"]
    main(words)
    assert "recognising pictures" in capsys.readouterr().err
    main([*words, "--quiet"])
    out, err = capsys.readouterr()
    assert "recognising pictures" not in err
    assert out
    assert main(["recognize", "nothing.jpg", "--gallery", "shop.db", "--bundle", "tiny.edgefs", "--quiet"]) == 1
    assert "nothing.jpg" in capsys.readouterr().err
