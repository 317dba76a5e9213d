"""The log of a run: its CSV and its curves, also after a resumption."""

import csv
from types import SimpleNamespace

import pytest

from edgefs.training.log import Log


def rows(folder):
    return [row["step"] for row in csv.DictReader((folder / "log.csv").read_text().splitlines())]


def test_a_resumed_log_drops_the_rows_after_the_step_it_continues_from(tmp_path):
    pytest.importorskip("matplotlib")
    measured = SimpleNamespace(mean=50.0, interval=1.0)
    log = Log(tmp_path, 6, quiet=True)
    for step in (2, 4):
        log.step(step, 0.5, 0.25)
        log.validated(step, 1.0, measured, 1e-3)
    assert rows(tmp_path) == ["2", "4"]
    resumed = Log(tmp_path, 6, resumed=2, quiet=True)
    resumed.validated(3, 1.0, measured, 1e-3)
    assert rows(tmp_path) == ["2", "3"]
    resumed.close()


def test_a_run_without_a_terminal_prints_lines_with_the_time_left(tmp_path, capsys):
    log = Log(tmp_path, 100)
    log.step(50, 0.5, 0.25)
    assert "step 50/100  loss 0.5000" in capsys.readouterr().err
