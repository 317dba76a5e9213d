"""The access token on the disk."""

from __future__ import annotations

import stat

import pytest

from runtime.app.web.token import load_token
from runtime.errors import OptionError


def test_the_token_is_shown_once_and_only_its_digest_is_kept(tmp_path):
    path = tmp_path / "state" / "token"
    token, clear = load_token(path)
    assert clear
    assert token.fits(clear)
    assert not token.fits(clear + "x")
    assert not token.fits("")
    assert clear not in path.read_text()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    again, shown = load_token(path)
    assert shown is None
    assert again.fits(clear)
    other, renewed = load_token(path, renew=True)
    assert not other.fits(clear)
    assert other.fits(renewed)


def test_a_place_that_cannot_keep_the_token_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OptionError, match="--token-file"):
        load_token(tmp_path / "file" / "token")
