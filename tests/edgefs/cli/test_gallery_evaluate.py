"""`edgefs gallery evaluate` on pictures that were embedded before. tests/edgefs/cli/commands has it on pictures."""

import pytest

from edgefs.cli import main
from runtime.model import Model

pytestmark = pytest.mark.fleet
TINY = ["--bundle", "tiny.edgefs"]


def test_an_evaluation_of_embedded_pictures_is_that_of_the_pictures(shop, run, monkeypatch):
    (shop / "photos").mkdir()
    for name in ("mug", "cup", "stranger"):
        (shop / name / "ask").rename(shop / "photos" / name)
    run("embed", "photos", "--out", "embedded", "--processes", "1", *TINY)
    _, wanted, _ = run("gallery", "evaluate", "--root", "photos", "--gallery", "shop.db", *TINY)
    monkeypatch.setattr(Model, "embed_inputs", lambda *_: pytest.fail("a picture was embedded again"))
    status, got, _ = run("gallery", "evaluate", "--embedded", "embedded", "--gallery", "shop.db", *TINY)
    assert status == 0
    assert got["outcomes"] == wanted["outcomes"]
    assert got["outcomes"].keys() == {"mug", "cup", "(strangers)"}
    assert got["by_rate"] == wanted["by_rate"]


def test_pictures_or_embedded_pictures_must_be_given_and_not_both(shop, capsys):
    for options in ([], ["--root", "mug", "--embedded", "embedded"]):
        with pytest.raises(SystemExit, match="2"):
            main(["gallery", "evaluate", *options, "--gallery", "shop.db", *TINY])
    assert "not allowed with argument --root" in capsys.readouterr().err
