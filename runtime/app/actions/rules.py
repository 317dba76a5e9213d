"""The rules of the live app: when something happens, and what; read from a TOML or JSON file, or sent by the API."""

from __future__ import annotations

import base64
import binascii
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta, Struct

from runtime.camera.base import redact
from runtime.errors import OptionError

Text = Annotated[str, Meta(min_length=1, max_length=200)]
Address = Annotated[str, Meta(min_length=1, max_length=2000)]
EXAMPLE = """[[rules]]
name = "mug seen"
label = "mug"
do = {kind = "webhook", url = "http://192.168.1.5/hook"}"""


class Webhook(Struct, frozen=True, forbid_unknown_fields=True, tag="webhook", tag_field="kind"):
    """POST the event as JSON.

    With a `secret`, the request is signed with HMAC-SHA256 as the Standard Webhooks specification says. The secret is
    `whsec_` with base64, or other text, which is used as its UTF-8 bytes. `headers` are added to the request.
    """

    url: Address
    secret: Annotated[str, Meta(min_length=16, max_length=200)] | None = None
    headers: dict[str, str] = {}


class Mqtt(Struct, frozen=True, forbid_unknown_fields=True, tag="mqtt", tag_field="kind"):
    """Publish the event as JSON, with QoS 1. `url` is like mqtt://user:password@host:1883, or mqtts:// for TLS."""

    url: Address
    topic: Text


class Channels(Struct, frozen=True, forbid_unknown_fields=True, tag="channels", tag_field="kind"):
    """Send one sentence to people, by mail, chat or push. The URLs are those of Apprise, such as mailto://…"""

    urls: Annotated[list[Address], Meta(min_length=1, max_length=20)]


class Command(Struct, frozen=True, forbid_unknown_fields=True, tag="command", tag_field="kind"):
    """Run a program with fixed arguments and without a shell. It reads the event as JSON from its standard input."""

    command: Annotated[list[str], Meta(min_length=1, max_length=100)]


class Csv(Struct, frozen=True, forbid_unknown_fields=True, tag="csv", tag_field="kind"):
    """Append a line to a CSV file."""

    path: Address


Do = Webhook | Mqtt | Channels | Command | Csv


class Rule(Struct, frozen=True, forbid_unknown_fields=True):
    """A rule: what must be seen, for how long, and what is done then, once each time that it is seen.

    `label` is null for any taught class. `certainty` is the least that is needed: "maybe" includes sure answers, and
    "unknown" means that nothing taught is seen. `camera` is the name or the id of a camera; null for any.
    """

    name: Text
    do: Do
    label: Text | None = None
    certainty: Literal["sure", "maybe", "unknown"] = "sure"
    camera: Text | None = None
    dwell_s: Annotated[float, Meta(ge=0, le=86_400)] = 0.0


class Rules(Struct, frozen=True, forbid_unknown_fields=True):
    """The content of a file of rules."""

    rules: list[Rule]


def read_rules(path: Path) -> list[Rule]:
    """Read the rules of a file: JSON if it ends in .json, else TOML. Raises OptionError."""
    try:
        data = path.read_bytes()
        decode = msgspec.json.decode if path.suffix == ".json" else msgspec.toml.decode
        rules = decode(data, type=Rules).rules
        for rule in rules:
            check(rule)
    except (OSError, ValueError, ImportError) as error:  # msgspec's errors and OptionError are ValueErrors
        raise OptionError(
            f"--actions {path} must be a file with rules, but: {error} A rule in TOML looks like this:\n{EXAMPLE}"
        ) from error
    names = [rule.name for rule in rules]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise OptionError(
            f"Every rule of {path} must have a name of its own, but {twice!r} is there twice. Rename one."
        )
    return rules


def check(rule: Rule) -> None:
    """Check what the types do not say. Raises OptionError."""
    if rule.certainty == "unknown" and rule.label is not None:
        raise OptionError(f"Rule {rule.name!r} must name no label if its certainty is unknown. Leave the label out.")
    do = rule.do
    if isinstance(do, Webhook):
        _require_address(rule, do.url, ("http", "https"))
        signing_key(do)
        text = [*do.headers, *do.headers.values()]
        if any(not part.isascii() or not part.isprintable() for part in text) or "" in do.headers:
            raise OptionError(f"The headers of rule {rule.name!r} must be printable ASCII, but they are not.")
    elif isinstance(do, Mqtt):
        _require_address(rule, do.url, ("mqtt", "mqtts"))
        if any(sign in do.topic for sign in "+#\0"):
            raise OptionError(f"The topic of rule {rule.name!r} must have no wildcard, but it is {do.topic!r}.")


def signing_key(webhook: Webhook) -> bytes | None:
    """Return the key of the signature; None if requests are not signed. Raises OptionError."""
    if webhook.secret is None:
        return None
    if not webhook.secret.startswith("whsec_"):
        return webhook.secret.encode()
    try:
        return base64.b64decode(webhook.secret.removeprefix("whsec_"), validate=True)
    except binascii.Error as error:
        raise OptionError(
            "A secret that begins with whsec_ must go on in base64, but it does not. Copy it again."
        ) from error


def target(do: Do) -> str:
    """Return in words where events go, without passwords, tokens or secrets."""
    if isinstance(do, Webhook):
        return redact(do.url)
    if isinstance(do, Mqtt):
        return f"{redact(do.url)} {do.topic}"
    if isinstance(do, Command):
        return do.command[0]
    if isinstance(do, Csv):
        return do.path
    return ", ".join(f"{url.partition(':')[0]}://…" for url in do.urls)


def _require_address(rule: Rule, url: str, schemes: tuple[str, ...]) -> None:
    try:
        parts = urlsplit(url)
        fits = parts.scheme in schemes and bool(parts.hostname) and url.isascii() and url.isprintable()
        _ = parts.port
    except ValueError:
        fits = False
    if not fits:
        raise OptionError(
            f"The url of rule {rule.name!r} must begin with {' or '.join(f'{scheme}://' for scheme in schemes)} and "
            f"name a host, but it is {redact(url)!r}."
        )
