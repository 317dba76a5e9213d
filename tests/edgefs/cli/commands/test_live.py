"""`edgefs live`: its options, before anything is started."""

import argparse

import pytest

from edgefs.cli.commands import live
from edgefs.cli.commands.live import _named, _port
from runtime.errors import OptionError


def test_sources_are_read_from_a_file_so_that_no_password_is_in_an_argument(tmp_path):
    file = tmp_path / "cameras.txt"
    file.write_text("# cameras\nrtsp://user:password@door/\n\n1\n")
    assert list(_named(["0", f"@{file}"], "--source")) == ["0", "rtsp://user:password@door/", "1"]


@pytest.mark.parametrize(
    ("text", "says"),
    [(None, "--mqtt @.* must be a file with one value a line"), ("# none\n", "at least one")],
)
def test_a_file_without_values_is_refused(tmp_path, text, says):
    file = tmp_path / "cameras.txt"
    if text is not None:
        file.write_text(text)
    with pytest.raises(OptionError, match=says):
        list(_named([f"@{file}"], "--mqtt"))


@pytest.mark.parametrize("text", ["65536", "-1", "http"])
def test_a_port_out_of_range_is_refused(text):
    with pytest.raises(argparse.ArgumentTypeError, match="must be a port from 0 to 65535"):
        _port(text)
    assert _port("0") == 0


def test_the_options_reach_the_app(monkeypatch, tmp_path):
    pytest.importorskip("starlette")
    given = {}
    monkeypatch.setattr("runtime.app.live.run", lambda options: given.update(vars(options)))
    parser = argparse.ArgumentParser()
    live.configure(parser)
    gallery = tmp_path / "shop.db"
    report = live.run(parser.parse_args(["--source", str(tmp_path), "--port", "0", "--gallery", str(gallery)]))
    assert (given["port"], given["gallery"], given["headless"]) == (0, gallery, False)
    assert len(report["sources"]) == 1
