"""The index: what is signed is read, who is among the first is stable, and everything else is refused."""

import json

import pytest

from runtime.errors import BundleCorrupt, OptionError, Untrusted
from runtime.rollout.index import Index, Release, read_index

NEW = Release("ab" * 32, 1000, "new", "cd" * 32)
OLD = Release("12" * 32, 900, "old", "34" * 32)


def test_an_index_that_a_trusted_key_has_signed_is_read_as_it_was(key, trusted):
    for index in (Index(7, 0.25, NEW, OLD), Index(1, 1, NEW)):
        assert read_index(index.signed(key), "here", trusted) == index


def test_an_index_of_another_key_without_a_signature_or_changed_is_refused(key, other_key, trusted):
    index = Index(7, 0.25, NEW, OLD)
    line = index.signed(key).splitlines()[0]
    for content in (
        index.signed(other_key),
        line,
        line + b"\n",
        index.signed(key).replace(b'"share": 0.25', b'"share": 0.99'),
        index.signed(key).replace(b"ab" * 32, b"ac" * 32),
        b"",
    ):
        with pytest.raises(Untrusted, match=r"here must be signed by a key in "):
            read_index(content, "here", trusted)


@pytest.mark.parametrize(
    "change",
    [
        {"version": 2},
        {"format": "edgefs-bundle"},
        {"serial": 0},
        {"serial": "7"},
        {"serial": True},
        {"share": 1.5},
        {"share": None},
        {"share": float("nan")},
        {"release": None},
        {"release": {"sha256": "../../etc/passwd", "bytes": 1, "name": "x", "fingerprint": "cd" * 32}},
        {"release": {"sha256": "ab" * 32, "bytes": 1 << 40, "name": "x", "fingerprint": "cd" * 32}},
        {"previous": [1]},
    ],
    ids=str,
)
def test_an_index_with_a_wrong_value_is_refused(key, change):
    facts = json.loads(Index(7, 0.25, NEW, OLD).signed(key).splitlines()[0]) | change
    with pytest.raises(BundleCorrupt, match="publish again"):
        read_index(json.dumps(facts).encode(), "here", None)


def test_a_wrong_key_file_is_no_key(tmp_path):
    with pytest.raises(OptionError, match="private ed25519 key"):
        Index(1, 1, NEW).signed(tmp_path / "absent")


def test_about_the_asked_share_of_the_devices_is_first_and_a_greater_share_keeps_them():
    devices = [f"jetson-{i}" for i in range(2000)]
    first = {share: {d for d in devices if Index(1, share, NEW, OLD).of(d) == NEW} for share in (0, 0.1, 0.5, 1)}
    assert [len(first[share]) for share in (0, 1)] == [0, 2000]
    assert 150 < len(first[0.1]) < 250
    assert 900 < len(first[0.5]) < 1100
    assert first[0.1] < first[0.5]
    assert all(Index(1, 0.1, NEW, OLD).of(d) == OLD for d in set(devices) - first[0.1])
    assert Index(1, 0, NEW).of("jetson-1") is None


def test_the_first_devices_differ_from_bundle_to_bundle():
    devices = [f"jetson-{i}" for i in range(500)]
    of = [{d for d in devices if Index(1, 0.2, release).of(d)} for release in (NEW, OLD)]
    assert of[0] != of[1]
