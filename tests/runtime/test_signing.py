"""What is signed by a trusted key is opened; what was changed, is unsigned, or another key signed, is not."""

import json
import shutil
import stat
import subprocess
import sys
import zipfile

import numpy as np
import pytest

pytest.importorskip("cryptography", reason="pip install cryptography")

from runtime.bundle import Bundle
from runtime.bundle.manifest import seal
from runtime.errors import BundleCorrupt, OptionError, Untrusted
from runtime.gallery import NewShot, export_gallery, import_gallery, open_gallery
from runtime.signing import SIGNATURE, check_signature, make_keys, sign


@pytest.fixture
def keys(tmp_path):
    """A private key, and the folder of trusted keys that holds its public key."""
    folder = tmp_path / "trusted"
    folder.mkdir()
    shutil.move(make_keys(tmp_path / "maker.key"), folder / "maker.pub")
    return tmp_path / "maker.key", folder


@pytest.fixture
def signed(keys, tiny_bundle, tmp_path):
    """A signed bundle as a directory."""
    return tiny_bundle.signed(keys[0]).save(tmp_path / "signed.edgefs").path


def change(folder, edit):
    """Change a manifest and correct its digest, as whoever replaces a bundle would."""
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text())
    edit(manifest)
    path.write_bytes(seal(manifest))


# -- keys and signatures


def test_a_key_is_private_and_replaces_no_file(tmp_path):
    public = make_keys(tmp_path / "maker.key")
    assert public.name == "maker.key.pub"
    assert stat.S_IMODE((tmp_path / "maker.key").stat().st_mode) == 0o600
    for taken in ("maker.key", "other.key"):
        if taken == "other.key":
            (tmp_path / "other.key.pub").write_text("")
        with pytest.raises(OptionError, match=r"must be new files, but: File exists"):
            make_keys(tmp_path / taken)
    assert not (tmp_path / "other.key").exists()


def test_a_signature_is_of_one_content_one_kind_and_one_key(keys, tmp_path):
    key, folder = keys
    made = sign("bundle", b"content", key)
    assert check_signature("bundle", b"content", made, folder, "it") == "maker.pub"
    other = make_keys(tmp_path / "other.key")
    for kind, content, signature in (
        ("bundle", b"Content", made),
        ("gallery", b"content", made),
        ("bundle", b"content", sign("bundle", b"content", tmp_path / "other.key")),
    ):
        with pytest.raises(Untrusted, match=r"it must be signed by a key in .*, but another key has signed it"):
            check_signature(kind, content, signature, folder, "it")
    with pytest.raises(Untrusted, match="it has no signature; let its author sign it"):
        check_signature("bundle", b"content", None, folder, "it")
    shutil.copy(other, folder)
    signature = sign("bundle", b"content", tmp_path / "other.key")
    assert check_signature("bundle", b"content", signature, folder, "it") == "other.key.pub"


@pytest.mark.parametrize(
    "signature", [b"", b"{}", b"[1]", b'{"ed25519": 1}', b'{"ed25519": "xy"}', b'{"ed25519": "00"}', b"\xff"]
)
def test_a_damaged_signature_is_none(keys, signature):
    with pytest.raises(Untrusted):
        check_signature("bundle", b"content", signature, keys[1], "it")


def test_every_flipped_bit_of_a_signature_makes_it_void(keys):
    made = bytearray(bytes.fromhex(json.loads(sign("bundle", b"content", keys[0]))["ed25519"]))
    for bit in range(8 * len(made)):
        made[bit // 8] ^= 1 << bit % 8
        with pytest.raises(Untrusted):
            check_signature("bundle", b"content", json.dumps({"ed25519": made.hex()}).encode(), keys[1], "it")
        made[bit // 8] ^= 1 << bit % 8


def test_a_folder_without_usable_keys_is_refused(keys, tmp_path):
    key, folder = keys
    empty = tmp_path / "empty"
    with pytest.raises(OptionError, match="must be a folder of public ed25519 keys"):
        check_signature("bundle", b"", None, empty, "it")
    empty.mkdir()
    with pytest.raises(OptionError, match=r"it has none; copy the \.pub files"):
        check_signature("bundle", b"", None, empty, "it")
    for content in (b"no key", key.read_bytes(), b"x" * 100_000):
        (empty / "a.pem").write_bytes(content)
        with pytest.raises(OptionError, match="must be a folder of public ed25519 keys"):
            check_signature("bundle", b"", None, empty, "it")
    with pytest.raises(OptionError, match="--key must be a private ed25519 key"):
        sign("bundle", b"", folder / "maker.pub")
    with pytest.raises(OptionError, match="--key must be a private ed25519 key"):
        sign("bundle", b"", tmp_path / "absent")


def test_keys_of_openssl_work(tmp_path):
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    key, folder = tmp_path / "a.key", tmp_path / "trusted"
    folder.mkdir()
    subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", key], check=True)
    subprocess.run(["openssl", "pkey", "-in", key, "-pubout", "-out", folder / "a.pem"], check=True)
    assert check_signature("bundle", b"content", sign("bundle", b"content", key), folder, "it") == "a.pem"


def test_without_the_package_the_message_says_how_to_install_it(keys, monkeypatch):
    monkeypatch.setitem(sys.modules, "cryptography.hazmat.primitives.asymmetric", None)
    with pytest.raises(OptionError, match="pip install cryptography"):
        check_signature("bundle", b"", b"", keys[1], "it")


# -- bundles


def test_a_signed_bundle_opens_as_a_directory_as_a_zip_and_after_it_was_saved_again(keys, signed, tmp_path):
    bundle = Bundle.load(signed, trusted_keys=keys[1])
    zipped = bundle.save(tmp_path / "again.edgefs.zip").path
    again = Bundle.load(zipped, trusted_keys=keys[1])
    assert again.signature == bundle.signature
    assert again.manifest == bundle.manifest
    assert Bundle.load(signed).signature  # without trusted keys anything opens


@pytest.mark.parametrize(
    "edit",
    [
        lambda manifest: manifest["artifacts"][0].update(min_cosine=0.1),
        lambda manifest: manifest.update(name="another"),
        lambda manifest: manifest.update(description="more"),
    ],
)
def test_a_changed_manifest_is_not_opened_even_with_a_new_digest(keys, signed, edit):
    change(signed, edit)
    Bundle.load(signed)
    with pytest.raises(Untrusted, match=r"signed\.edgefs must be signed by a key in .*it was changed since"):
        Bundle.load(signed, trusted_keys=keys[1])


def test_a_changed_file_is_not_opened(keys, signed):
    path = signed / "MODEL_CARD.md"
    path.write_bytes(path.read_bytes().upper())
    with pytest.raises(BundleCorrupt, match="must match its sha256"):
        Bundle.load(signed, trusted_keys=keys[1])


def test_an_unsigned_bundle_and_one_of_another_key_are_not_opened_and_their_models_not_read(
    keys, tiny_bundle, tmp_path, monkeypatch
):
    make_keys(tmp_path / "other.key")
    unsigned = tiny_bundle.save(tmp_path / "unsigned.edgefs").path
    other = tiny_bundle.signed(tmp_path / "other.key").save(tmp_path / "other.edgefs").path
    monkeypatch.setattr(Bundle, "_check_files", lambda _: pytest.fail("a file was read"))
    for path, why in ((unsigned, "no signature"), (other, "another key")):
        with pytest.raises(Untrusted, match=why):
            Bundle.load(path, trusted_keys=keys[1])


def test_the_signature_of_another_bundle_is_none(keys, signed, grey_bundle, tmp_path):
    other = grey_bundle.save(tmp_path / "grey.edgefs").path
    shutil.copy(signed / SIGNATURE, other)
    with pytest.raises(Untrusted):
        Bundle.load(other, trusted_keys=keys[1])


# -- archives of galleries


def filled():
    gallery = open_gallery(None, fingerprint="model", dim=4)
    gallery.add("mug", [NewShot(np.ones(4, np.float32), None, "burst", 0.5, "camera 0", 1.0)])
    return gallery


def test_a_signed_archive_is_imported_and_any_other_is_not(keys, tmp_path):
    key, folder = keys
    signed, unsigned = tmp_path / "signed.zip", tmp_path / "unsigned.zip"
    export_gallery(filled(), signed, key=key)
    export_gallery(filled(), unsigned)
    empty = open_gallery(None, fingerprint="model", dim=4)
    with pytest.raises(Untrusted, match="no signature"):
        import_gallery(empty, unsigned, trusted_keys=folder)
    with zipfile.ZipFile(signed) as members, zipfile.ZipFile(tmp_path / "changed.zip", "w") as changed:
        for info in members.infolist():
            changed.writestr(info, members.read(info).replace(b'"mug"', b'"cup"'))
    with pytest.raises(Untrusted, match="it was changed since"):
        import_gallery(empty, tmp_path / "changed.zip", trusted_keys=folder)
    assert not empty.classes
    assert import_gallery(empty, signed, trusted_keys=folder).added == 1
    again = open_gallery(None, fingerprint="model", dim=4)
    assert import_gallery(again, signed).added == 1  # without trusted keys a signature is not looked at
