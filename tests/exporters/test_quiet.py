"""Output of noisy libraries is dropped; errors and the loggers' levels are not."""

import logging
import warnings

import pytest

from exporters.quiet import quiet


def test_prints_warnings_and_log_lines_are_dropped_and_levels_restored(capsys, caplog):
    logger = logging.getLogger("noisy")
    logger.setLevel(logging.INFO)
    with quiet("noisy"):
        print("progress 10 %")
        warnings.warn("deprecated", stacklevel=1)
        logger.warning("a remark")
    assert capsys.readouterr().out == ""
    assert caplog.records == []
    assert logger.level == logging.INFO


def test_errors_are_raised():
    with pytest.raises(ValueError, match="wrong"), quiet():
        raise ValueError("wrong")
