"""The address of a site says who this device is and where its copy lies."""

import pytest

from runtime.errors import OptionError
from runtime.fleet.address import is_site, parsed


def test_own_options_are_taken_and_the_others_go_to_postgresql(tmp_path):
    address = parsed(f"postgresql://till:secret@db:5433/shop?copy={tmp_path}/a.db&device=till-2&sslmode=require")
    assert (address.device, address.copy) == ("till-2", tmp_path / "a.db")
    assert address.conninfo == "postgresql://till:secret@db:5433/shop?sslmode=require"
    assert address.shown == "postgresql://till@db:5433/shop"


def test_the_copy_has_a_place_of_its_own_for_each_site_and_device(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    addresses = [
        parsed(f"postgresql://{who}") for who in ("a@db/shop", "b@db/shop", "a@db2/shop", "a@db/store", "/shop")
    ]
    assert len({address.copy for address in addresses}) == 5
    assert addresses[0].copy == tmp_path / "edgefs/fleet/db-shop-a.db"
    assert all(address.copy.is_relative_to(tmp_path) for address in addresses)


def test_a_name_that_cannot_be_one_is_refused():
    with pytest.raises(OptionError, match="name of a device"):
        parsed("postgresql://db/shop?device=a/b")


@pytest.mark.parametrize(("gallery", "expected"), [("postgresql://db/shop", True), ("shop.db", False), (None, False)])
def test_a_site_is_known_by_its_scheme(gallery, expected):
    assert is_site(gallery) == expected


@pytest.mark.parametrize("secret", ["se/cret", "se@cret", "se?cret", "se#cret", "se%cret", "se%00cret", "se[cret"])
def test_a_password_that_would_be_taken_for_another_part_is_refused_and_not_shown(secret):
    for url in (f"postgresql://till:{secret}@db/shop", f"postgresql://db/shop?password={secret}@"):
        with pytest.raises(OptionError, match="percent-encoded") as refused:
            parsed(url)
        assert "cret" not in str(refused.value)


def test_addresses_of_every_form_that_postgresql_takes_are_accepted():
    for rest in (
        "/shop",
        "db",
        "[::1]:5432/shop",
        "a:1,b:2/shop?target_session_attrs=any",
        "u:p%40%2F@db/s?user=a%40b",
    ):
        assert parsed(f"postgresql://{rest}?device=till" if "?" not in rest else f"postgresql://{rest}&device=till")
