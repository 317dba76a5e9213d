"""`edgefs bundle` checks a bundle and gives an old one its digest."""

import json

import pytest

from edgefs.cli import main
from runtime.bundle import Bundle
from runtime.signing import make_keys


def test_a_sound_bundle_is_verified_and_a_damaged_one_refused(tiny_bundle_dir, capsys):
    assert main(["bundle", "verify", str(tiny_bundle_dir)]) == 0
    assert "is sound" in capsys.readouterr().out
    (tiny_bundle_dir / "model.onnx").write_bytes(b"x")
    assert main(["bundle", "verify", str(tiny_bundle_dir)]) == 1
    assert "model.onnx" in capsys.readouterr().err


def test_a_bundle_is_signed_and_verified_with_trusted_keys(tiny_bundle_dir, tmp_path, capsys):
    pytest.importorskip("cryptography")
    key, keys = tmp_path / "maker.key", tmp_path / "keys"
    keys.mkdir()
    assert main(["bundle", "make-key", str(key)]) == 0
    (tmp_path / "maker.key.pub").rename(keys / "maker.pub")
    verify = ["bundle", "verify", str(tiny_bundle_dir), "--trusted-keys", str(keys)]
    assert main(verify) == 1
    assert "must be signed by a key in" in capsys.readouterr().err
    assert main(["bundle", "sign", str(tiny_bundle_dir), "--key", str(key)]) == 0
    assert main(verify) == 0
    assert "is sound" in capsys.readouterr().out


def test_no_command_opens_an_unsigned_bundle_with_trusted_keys(tiny_bundle_dir, tmp_path, capsys):
    pytest.importorskip("cryptography")
    make_keys(tmp_path / "maker.key")
    opened = ["--bundle", str(tiny_bundle_dir), "--trusted-keys", str(tmp_path), "--gallery", str(tmp_path / "g.db")]
    (tmp_path / "g.db").touch()
    for command in (["live", "--source", "0"], ["enroll", "mug", str(tmp_path)], ["recognize", str(tmp_path)]):
        assert main([*command, *opened]) == 1
        assert "it has no signature" in capsys.readouterr().err


def test_a_bundle_without_a_digest_is_sealed(tiny_bundle_dir):
    path = tiny_bundle_dir / "manifest.json"
    manifest = json.loads(path.read_text())
    digest = manifest.pop("digest")
    path.write_text(json.dumps({**manifest, "version": 1}))
    assert main(["bundle", "seal", str(tiny_bundle_dir)]) == 0
    assert Bundle.load(tiny_bundle_dir).manifest["digest"] == digest
