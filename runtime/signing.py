"""Signatures by ed25519 keys: they say who made a bundle or a gallery archive, where a digest only finds damage.

Keys are PEM files as `openssl genpkey -algorithm ed25519` writes them. A signature is a small JSON file beside what it
signs, so that one can be added to what exists. What is signed states its kind, so that a signature of a gallery is none
for a bundle.
"""

from __future__ import annotations

import json
import os
from hashlib import sha256
from pathlib import Path
from typing import Any

from runtime.durable import write_file
from runtime.errors import OptionError, Untrusted

SIGNATURE = "signature.json"  # the name of the file or of the zip's member
MAX_SIGNATURE_BYTES = 4096
MAX_KEY_BYTES = 65_536
_FORMAT, _VERSION = "edgefs-signature", 1


def make_keys(path: Path) -> Path:
    """Make a key to sign with, which only its owner may read, and the public key beside it.

    Args:
        path: Of the private key.

    Returns:
        The path of the public key, `path` with the ending .pub.

    Raises:
        OptionError: One of the files exists already, cannot be written, or the package cryptography is missing.
    """
    ed25519, serialization = _library()
    key, public = ed25519.Ed25519PrivateKey.generate(), path.with_name(f"{path.name}.pub")
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    shown = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    try:
        if public.exists():
            raise FileExistsError(17, "File exists", str(public))
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(secret)
            file.flush()
            os.fsync(file.fileno())
        write_file(public, shown)
    except OSError as error:
        raise OptionError(
            f"{path} and {public} must be new files, but: {error.strerror or error}; choose another name or folder"
        ) from error
    return public


def sign(kind: str, content: bytes, key: Path) -> bytes:
    """Return the contents of a signature file.

    Args:
        kind: "bundle" or "gallery".
        content: What is signed: the manifest of a bundle or the gallery.json of an archive, which state all digests.
        key: The private key.

    Raises:
        OptionError: The file is no private ed25519 key, or the package cryptography is missing.
    """
    ed25519, serialization = _library()
    try:
        private = serialization.load_pem_private_key(_read(key), None)
        if not isinstance(private, ed25519.Ed25519PrivateKey):
            raise ValueError("it is a key of another kind")
    except (OSError, ValueError, TypeError) as error:  # TypeError: it is encrypted
        raise OptionError(
            f"--key must be a private ed25519 key without a password, but {key}: {error}; "
            "make one: edgefs bundle make-key FILE"
        ) from error
    facts = {"format": _FORMAT, "version": _VERSION, "kind": kind, "sha256": sha256(content).hexdigest()}
    return json.dumps({**facts, "ed25519": private.sign(_message(kind, content)).hex()}, indent=1).encode() + b"\n"


def check_signature(kind: str, content: bytes, signature: bytes | None, trusted_keys: Path, what: str) -> str:
    """Check that one of the trusted keys has signed the content.

    Args:
        kind: "bundle" or "gallery".
        content: As in `sign`.
        signature: Contents of the signature file; None if there is none.
        trusted_keys: A folder of public keys, each a file that ends in .pub or .pem.
        what: Names what is checked, for messages.

    Returns:
        The name of the file of the key that has signed.

    Raises:
        Untrusted: It is not signed by one of the keys, or the signature is damaged.
        OptionError: The folder holds no usable key, or the package cryptography is missing.
    """
    keys = _public_keys(trusted_keys)
    from cryptography.exceptions import InvalidSignature

    if signature is None:
        raise _untrusted(what, trusted_keys, "it has no signature")
    try:
        made = bytes.fromhex(json.loads(signature)["ed25519"])
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise _untrusted(what, trusted_keys, f"its signature cannot be read ({error})") from error
    for name, key in keys.items():
        try:
            key.verify(made, _message(kind, content))
        except InvalidSignature:
            continue
        return name
    raise _untrusted(what, trusted_keys, "another key has signed it, or it was changed since")


def _untrusted(what: str, trusted_keys: Path, why: str) -> Untrusted:
    return Untrusted(
        f"{what} must be signed by a key in {trusted_keys}, but {why}; let its author sign it, or add the author's key"
    )


def _message(kind: str, content: bytes) -> bytes:
    return f"{_FORMAT} {_VERSION} {kind} {sha256(content).hexdigest()}\n".encode()


def _public_keys(folder: Path) -> dict[str, Any]:
    """Return the keys of a folder by the names of their files."""
    ed25519, serialization = _library()
    keys = {}
    try:
        for path in sorted(folder.iterdir()):
            if path.suffix not in (".pub", ".pem"):
                continue
            key = serialization.load_pem_public_key(_read(path))
            if not isinstance(key, ed25519.Ed25519PublicKey):
                raise ValueError(f"{path.name} is a key of another kind")
            keys[path.name] = key
    except (OSError, ValueError) as error:
        raise _no_keys(folder, str(error)) from error
    if not keys:
        raise _no_keys(folder, "it has none")
    return keys


def _no_keys(folder: Path, why: str) -> OptionError:
    return OptionError(
        f"--trusted-keys must be a folder of public ed25519 keys (.pub or .pem), but {folder}: {why}; "
        "copy the .pub files there that `edgefs bundle make-key` wrote"
    )


def _read(path: Path) -> bytes:
    with path.open("rb") as file:
        data = file.read(MAX_KEY_BYTES + 1)
    if len(data) > MAX_KEY_BYTES:
        raise ValueError("it is too large to be a key")
    return data


def _library() -> tuple[Any, Any]:
    try:
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.asymmetric import ed25519
    except ImportError as error:
        raise OptionError(
            "Signatures need the package cryptography, which is not installed. Do: pip install cryptography"
        ) from error
    return ed25519, serialization
