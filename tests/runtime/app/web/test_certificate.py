"""The self-signed certificate of --https."""

from __future__ import annotations

import ssl
import sys

import pytest

from runtime.app.web.certificate import certificate
from runtime.errors import OptionError


def test_it_is_made_once_for_names_and_addresses_and_its_key_is_private(tmp_path):
    x509 = pytest.importorskip("cryptography.x509", reason="pip install cryptography")
    public, private = certificate(tmp_path / "state", ["shop", "192.0.2.7"])
    assert private.stat().st_mode & 0o777 == 0o600
    ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(public, private)
    names = x509.load_pem_x509_certificate(public.read_bytes()).extensions.get_extension_for_class(
        x509.SubjectAlternativeName
    )
    assert [str(each.value) for each in names.value] == ["shop", "192.0.2.7"]
    before = public.read_bytes()
    certificate(tmp_path / "state", ["other"])
    assert public.read_bytes() == before


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    pytest.importorskip("cryptography", reason="pip install cryptography")
    (tmp_path / "file").write_text("")
    with pytest.raises(OptionError, match=r"must be stored in .*file"):
        certificate(tmp_path / "file", ["shop"])


def test_without_the_package_the_message_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "cryptography", None)
    with pytest.raises(OptionError, match="pip install cryptography"):
        certificate(tmp_path, ["shop"])
