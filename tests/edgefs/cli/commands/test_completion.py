"""The completion scripts know every command and its options, and a real shell accepts them."""

import shutil
import subprocess

import pytest

from edgefs.cli import COMMANDS, main


def script(capsys, shell):
    assert main(["completion", shell]) == 0
    return capsys.readouterr().out


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_script_has_every_command_and_the_options_of_each(capsys, shell):
    text = script(capsys, shell)
    assert all(name in text for name in COMMANDS)
    assert "gallery" in text
    assert ("-l closed-set" if shell == "fish" else "--closed-set") in text


@pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not installed")
@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["ga"], ["gallery"]),
        (["gallery", "ren"], ["rename"]),
        (["gallery", "ls", "--gal"], ["--gallery"]),
        (["recognize", "x.png", "--cl"], ["--closed-set"]),
        (["completion", "zs"], ["zsh"]),
    ],
)
def test_bash_completes(capsys, words, expected):
    line = " ".join(["edgefs", *words])
    test = f"COMP_WORDS=({line}); COMP_CWORD={len(words)}; _edgefs; echo ${{COMPREPLY[@]}}"
    done = subprocess.run(
        ["bash"], input=f"{script(capsys, 'bash')}\n{test}", capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == expected


def test_an_unknown_shell_is_a_usage_error(capsys):
    with pytest.raises(SystemExit, match="2"):
        main(["completion", "tcsh"])
    assert "choose from" in capsys.readouterr().err
