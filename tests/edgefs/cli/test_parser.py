"""A mistyped word is answered with the nearest valid one."""

import pytest

from edgefs.cli import main
from edgefs.cli.parser import Parser, children, leaves, words


@pytest.mark.parametrize(
    ("arguments", "suggestion"),
    [
        (["enrol", "mug", "x.png"], "did you mean 'enroll'?"),
        (["recognise", "x.png"], "did you mean 'recognize'?"),
        (["gallery", "renam"], "did you mean 'rename'?"),
    ],
)
def test_a_mistyped_word_gets_a_suggestion(capsys, arguments, suggestion):
    with pytest.raises(SystemExit, match="2"):
        main(arguments)
    assert suggestion in capsys.readouterr().err


def test_a_word_that_is_like_no_other_gets_no_suggestion(capsys):
    with pytest.raises(SystemExit, match="2"):
        main(["xylophone"])
    assert "did you mean" not in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["live", "--head", "lda"], ["live", "--headl"]])
def test_an_option_that_the_command_lacks_is_refused_and_abbreviations_are_not_guessed(capsys, arguments):
    with pytest.raises(SystemExit, match="2"):
        main(arguments)
    assert "unrecognized arguments: --head" in capsys.readouterr().err


def test_leaves_and_words_of_a_parser():
    parser = Parser(prog="x")
    inner = parser.add_subparsers().add_parser("paint")
    inner.add_argument("colour", choices=("red", "blue"))
    assert list(children(parser)) == ["paint"]
    assert leaves(parser) == [inner] == leaves(inner)
    assert words(parser) == ["paint", "--help"]
    assert words(inner) == ["red", "blue", "--help"]
