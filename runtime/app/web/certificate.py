"""A self-signed certificate, made once, so that browsers on other devices may use their own camera (`--https`).

Browsers give a page the camera only over HTTPS or from the machine itself. A self-signed certificate encrypts, but it
cannot prove which device answers, so every browser warns once.
"""

from __future__ import annotations

import datetime
import ipaddress
import os
from pathlib import Path

from runtime.errors import OptionError

YEARS = 10


def certificate(folder: Path, names: list[str]) -> tuple[Path, Path]:
    """Return the certificate and its key in a folder, which are made if they are not there.

    Args:
        folder: Where both files are kept; the key is readable by its owner only.
        names: The host names and IP addresses of this device, written into a new certificate.

    Raises:
        OptionError: The package cryptography is missing, or the files cannot be written.
    """
    public, private = folder / "live-https.pem", folder / "live-https.key"
    if public.exists() and private.exists():
        return public, private
    try:
        key_pem, certificate_pem = _made(names)
        folder.mkdir(parents=True, exist_ok=True)
        with os.fdopen(os.open(private, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(key_pem)
        public.write_bytes(certificate_pem)
    except OSError as error:
        raise OptionError(
            f"The certificate of --https must be stored in {folder}, but: {error}. "
            "Free the disk, or start without --https."
        ) from error
    return public, private


def _made(names: list[str]) -> tuple[bytes, bytes]:
    """Return a new key and a certificate for it, both as PEM."""
    try:
        from cryptography import x509
        from cryptography.hazmat.primitives import hashes, serialization
        from cryptography.hazmat.primitives.asymmetric import ec
    except ImportError as error:
        raise OptionError(
            "--https needs the package cryptography, which is not installed. Do: pip install cryptography"
        ) from error
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, names[0][:64])])
    now = datetime.datetime.now(datetime.timezone.utc)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=365 * YEARS))
        .add_extension(x509.SubjectAlternativeName([_general_name(each) for each in names]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    plain, pem = serialization.NoEncryption(), serialization.Encoding.PEM
    return key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain), made.public_bytes(pem)


def _general_name(name: str):  # type: ignore[no-untyped-def]
    from cryptography import x509

    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)
