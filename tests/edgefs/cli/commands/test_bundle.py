"""`edgefs bundle` checks a bundle and gives an old one its digest."""

import json

from edgefs.cli import main
from runtime.bundle import Bundle


def test_a_sound_bundle_is_verified_and_a_damaged_one_refused(tiny_bundle_dir, capsys):
    assert main(["bundle", "verify", str(tiny_bundle_dir)]) == 0
    assert "is sound" in capsys.readouterr().out
    (tiny_bundle_dir / "model.onnx").write_bytes(b"x")
    assert main(["bundle", "verify", str(tiny_bundle_dir)]) == 1
    assert "model.onnx" in capsys.readouterr().err


def test_a_bundle_without_a_digest_is_sealed(tiny_bundle_dir):
    path = tiny_bundle_dir / "manifest.json"
    manifest = json.loads(path.read_text())
    digest = manifest.pop("digest")
    path.write_text(json.dumps({**manifest, "version": 1}))
    assert main(["bundle", "seal", str(tiny_bundle_dir)]) == 0
    assert Bundle.load(tiny_bundle_dir).manifest["digest"] == digest
