"""A rollout in the database of a site: who may write what, two publishers, and a database that is killed."""

from __future__ import annotations

import json
import sys
import threading
import time
from hashlib import sha256
from pathlib import Path

import numpy as np
import psycopg
import pytest

from runtime.app.live import Options, _follower
from runtime.errors import FleetMissing
from runtime.fleet.database import SiteDatabase, init
from runtime.recognizer import Recognizer
from runtime.rollout import publish, reports
from runtime.rollout import site as module
from runtime.rollout.follower import Follower
from runtime.rollout.index import Index, Release, read_index
from runtime.rollout.opening import open_place
from runtime.rollout.place import Absent, Unreachable
from runtime.rollout.publish import published

pytestmark = pytest.mark.fleet


@pytest.fixture
def url(postgres, site):
    """Returns the address of the site for a login."""
    init(site, devices=["camera", "camera2"], teachers=["till", "till2"])
    with psycopg.connect(site) as db:
        if not db.execute("SELECT 1 FROM pg_roles WHERE rolname = 'guest'").fetchone():
            db.execute("CREATE ROLE guest LOGIN IN ROLE edgefs_viewer")
    return lambda user: postgres.url(site.rpartition("/")[2], user)


@pytest.fixture
def admin(site):
    with psycopg.connect(site, autocommit=True) as db:
        yield db


def names(db):
    return {name for (name,) in db.execute("SELECT name FROM edgefs.files").fetchall()}


def release(data, name="bundle"):
    return Release(sha256(data).hexdigest(), len(data), name, "f" * 64)


# -- roles


def test_everybody_reads_a_teacher_publishes_and_a_device_writes_its_own_report_only(url, tiny_bundle, key):
    for user in ("camera", "guest"):
        with pytest.raises(Unreachable, match=r"must be allowed.* \(or --teacher NAME\)"):
            publish(tiny_bundle, url(user), key, 1)
        with pytest.raises(Absent):
            open_place(url("till")).read("rollout.json", 10)
    index = publish(tiny_bundle, url("till"), key, 1)
    for user in ("till", "till2", "camera", "guest"):
        assert published(open_place(url(user))) == index
    open_place(url("camera")).write("reports/camera.json", b'{"device": "camera"}')
    open_place(url("camera")).write("reports/camera.json", b'{"device": "camera", "serial": 1}')
    open_place(url("till")).write("reports/till.json", b"{}")
    refused = [
        ("camera", "reports/camera2.json"), ("camera", "reports/till.json"), ("camera", "rollout.json"),
        ("camera", index.release.file), ("camera", "bundles/new"), ("camera", "other"), ("till", "reports/camera.json"),
        ("till", "other"), ("guest", "reports/guest.json"), ("guest", "rollout.json"),
    ]  # fmt: skip
    for user, name in refused:
        with pytest.raises(Unreachable, match="must be allowed"):
            open_place(url(user)).write(name, b"x")
    with pytest.raises(Unreachable, match="must be allowed"):
        open_place(url("camera")).write("reports/camera.json", bytes(65_537))
    assert reports(open_place(url("guest"))) == [{"device": "camera", "serial": 1}, {}]


def test_no_statement_of_a_login_changes_what_is_not_its_own(url, admin, tiny_bundle, key):
    publish(tiny_bundle, url("till"), key, 1)
    open_place(url("camera2")).write("reports/camera2.json", b"{}")
    before = set(admin.execute("SELECT * FROM edgefs.files").fetchall())
    open_place(url("camera")).write("reports/camera.json", b"{}")
    statements = [
        "UPDATE edgefs.files SET name = 'rollout.json'", "UPDATE edgefs.files SET name = 'reports/camera2.json'",
        "UPDATE edgefs.files SET start = 7", "DELETE FROM edgefs.files", "TRUNCATE edgefs.files",
        "ALTER TABLE edgefs.files DISABLE ROW LEVEL SECURITY", "UPDATE edgefs.files SET data = ''",
    ]  # fmt: skip
    for user in ("camera", "guest"):
        with psycopg.connect(url(user), autocommit=True) as db:
            for statement in statements if user == "guest" else statements[:-1]:
                with pytest.raises(psycopg.Error):
                    db.execute(statement)
            if user == "camera":
                assert db.execute(statements[-1]).rowcount == 1  # of its own report
    assert before < set(admin.execute("SELECT * FROM edgefs.files").fetchall())


# -- publishing


def test_old_bundles_are_deleted_when_a_new_one_is_published(url, admin, tiny, key):
    indices = [publish(tiny.bundle(seed=seed), url("till"), key, 1) for seed in range(4)]
    kept = {indices[-1].release.file, indices[-2].release.file}
    assert names(admin) == {"rollout.json", *kept}
    assert indices[-1].previous == indices[-2].release
    canary = publish(tiny.bundle(seed=9), url("till"), key, 0.1)
    assert names(admin) == {"rollout.json", canary.release.file, indices[-1].release.file}


def test_of_two_publishers_at_once_one_is_refused_and_nothing_is_lost(url, admin, tiny, key, monkeypatch):
    first = publish(tiny.bundle(seed=0), url("till"), key, 1)
    other, real = [], module.Site.publish

    def slow(*arguments):  # the other one publishes after this one has read the index
        monkeypatch.undo()
        other.append(publish(tiny.bundle(seed=1), url("till2"), key, 1))
        real(*arguments)

    monkeypatch.setattr(module.Site, "publish", slow)
    with pytest.raises(Unreachable, match="somebody else published meanwhile") as refused:
        publish(tiny.bundle(seed=2), url("till"), key, 1)
    assert f"edgefs rollout status {open_place(url('till')).where}" in str(refused.value)
    place = open_place(url("camera"))
    assert published(place) == other[0]
    assert {first.release.file, other[0].release.file} < names(admin)
    again = publish(tiny.bundle(seed=2), url("till"), key, 1)
    assert (again.serial > other[0].serial, again.previous) == (True, other[0].release)
    assert names(admin) == {"rollout.json", again.release.file, other[0].release.file}


def test_of_many_publishers_at_once_every_index_has_its_bundle(url, admin, tiny, key):
    bundles, done, refused = [tiny.bundle(seed=seed) for seed in range(4)], [], []

    def publisher(bundle, user):
        for _ in range(4):
            try:
                done.append(publish(bundle, url(user), key, 1).serial)
            except Unreachable as error:
                refused.append(str(error))

    threads = [threading.Thread(target=publisher, args=(b, ("till", "till2")[i % 2])) for i, b in enumerate(bundles)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        query = "SELECT convert_from(data, 'UTF8') FROM edgefs.files WHERE name = 'rollout.json'"
        with admin.transaction():
            admin.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            found, there = admin.execute(query).fetchone(), names(admin)
        if found:
            assert read_index(found[0].encode(), "here", None).release.file in there
        time.sleep(0.01)
    assert len(set(done)) == len(done) > 0
    assert all("somebody else" in text for text in refused)
    assert published(open_place(url("till"))).serial == max(done)


def test_publishing_again_mends_every_damage_and_sends_only_what_is_damaged(url, admin, key, monkeypatch):
    monkeypatch.setattr(module, "PART_BYTES", 1000)
    data = np.random.default_rng(0).bytes(10_500)
    index = Index(1, 1.0, release(data))
    place = open_place(url("till"))
    place.publish(index, b"1", data, None)
    for statement in (
        "UPDATE edgefs.files SET data = 'x' WHERE start = 2000", "DELETE FROM edgefs.files WHERE start = 3000",
        "INSERT INTO edgefs.files SELECT name, 4500, 'y' FROM edgefs.files WHERE start = 4000",
        "INSERT INTO edgefs.files SELECT name, 11000, 'y' FROM edgefs.files WHERE start = 4000",
    ):  # fmt: skip
        assert admin.execute(statement).rowcount == 1
    written = []
    real = SiteDatabase.query
    monkeypatch.setattr(
        SiteDatabase, "query", lambda db, sql, *values: written.append((sql, values)) or real(db, sql, *values)
    )
    place.publish(index, b"2", data, b"1")
    assert [values[1] for sql, values in written if sql == module._WRITE] == [2000, 3000]
    found = admin.execute("SELECT data FROM edgefs.files WHERE starts_with(name, 'bundles') ORDER BY start").fetchall()
    assert b"".join(part for (part,) in found) == data


def test_a_bundle_is_read_without_its_other_parts(url, admin):
    """Nobody holds 50 MB: a part is read and written at a time, as it is, so that PostgreSQL does not compress it."""
    data = np.random.default_rng(0).bytes(3 * module.PART_BYTES + 1)
    open_place(url("till")).publish(Index(1, 1.0, release(data)), b"1", data, None)
    sizes = admin.execute("SELECT octet_length(data) FROM edgefs.files WHERE name <> 'rollout.json' ORDER BY start")
    assert [size for (size,) in sizes] == [module.PART_BYTES] * 3 + [1]
    (storage,) = admin.execute(
        "SELECT attstorage FROM pg_attribute WHERE attrelid = 'edgefs.files'::regclass AND attname = 'data'"
    ).fetchone()
    assert storage == "e"


# -- what may be wrong


def test_a_site_of_an_older_version_gets_the_table_when_init_is_run_again(url, site, admin, tiny_bundle, key):
    admin.execute("DROP TABLE edgefs.files")
    for call in (lambda: publish(tiny_bundle, url("till"), key, 1), lambda: published(open_place(url("camera")))):
        with pytest.raises(Unreachable, match=r'"edgefs\.files" does not exist.*edgefs fleet init URL'):
            call()
    init(site)
    publish(tiny_bundle, url("till"), key, 1)


def test_a_database_that_is_away_is_not_taken_for_an_empty_one(tiny_bundle, key):
    away = "postgresql://till:secret@127.0.0.1:9/shop?password=secret"
    for call in (lambda: publish(tiny_bundle, away, key, 1), lambda: published(open_place(away))):
        with pytest.raises(Unreachable, match="must answer") as refused:
            call()
        assert not isinstance(refused.value, Absent)
        assert "secret" not in str(refused.value)


def test_without_psycopg_the_message_has_the_install_line(monkeypatch):
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(FleetMissing, match=r"pip install 'edgefs\[fleet\]'"):
        open_place("postgresql://till@db/shop")


def test_the_app_reports_under_the_name_that_is_registered(tmp_path, tiny_bundle, trusted):
    for follow, name in (
        ("postgresql://camera@db/shop", "camera"),
        ("postgresql://camera@db/shop?device=door", "door"),
    ):
        options = Options(tiny_bundle, tmp_path / "shop.db", [], follow=follow, trusted_keys=trusted)
        assert _follower(options)._device == name


# -- devices


def test_a_device_follows_and_keeps_its_bundle_if_the_next_index_is_not_signed(
    device, url, admin, tiny, new_bundle, key, other_key
):
    publish(new_bundle, url("till"), key, 1)
    follower, recognizer = device(where=url("camera"), name="camera")
    follower.step(recognizer)
    assert recognizer.bundle.fingerprint == new_bundle.fingerprint
    (report,) = reports(open_place(url("till")))
    assert (report["device"], report["bundle"], report["watched"]) == ("camera", new_bundle.name, True)
    index = publish(tiny.bundle(seed=3), url("till"), other_key, 1)
    unsigned = index.signed(other_key).splitlines()[0]
    for why, content in (("another key has signed it", None), ("has no signature", unsigned)):
        if content:
            with psycopg.connect(url("till")) as db:  # a teacher writes what he likes
                db.execute("UPDATE edgefs.files SET data = %s WHERE name = 'rollout.json'", (content,))
        follower.step(recognizer)
        assert recognizer.bundle.fingerprint == new_bundle.fingerprint
        assert why in follower.state.said
        assert why in reports(open_place(url("till")))[0]["said"]
    publish(tiny.bundle(seed=4), url("till"), key, 1)  # and the next one is followed
    follower.step(recognizer)
    assert recognizer.bundle.fingerprint == tiny.bundle(seed=4).fingerprint


def test_a_device_with_the_gallery_of_a_site_keeps_its_bundle_and_says_why(
    url, tiny, tiny_bundle, new_bundle, key, trusted, tmp_path
):
    publish(new_bundle, url("till"), key, 1)
    where = f"{url('camera')}?copy={tmp_path}/copy.db"
    with Recognizer(tiny_bundle, gallery=where, engine="onnxruntime", threads=1, reembed=True) as recognizer:
        recognizer.enroll("thing", tiny.views(0, 4))
        follower = Follower(where, tmp_path / "home", tiny_bundle, "camera", trusted, engine={"threads": 1})
        follower.step(recognizer)
        assert recognizer.bundle is tiny_bundle
        assert "is kept: One device must not change the model of its whole site" in follower.state.said
        assert recognizer.recognize(tiny.views(0, 1, start=9)[0]).label == "thing"


def test_the_canary_share_follows_the_registered_name(device, url, tiny_bundle, new_bundle, key):
    publish(new_bundle, url("till"), key, 0)
    follower, recognizer = device(where=url("camera"), name="camera")
    follower.step(recognizer)
    assert recognizer.bundle is tiny_bundle


def test_a_database_that_is_killed_during_a_download_is_gone_on_from(
    device, url, postgres, site, tiny_bundle, new_bundle, key, tmp_path, monkeypatch
):
    monkeypatch.setattr(module, "PART_BYTES", 1000)
    index = publish(new_bundle, url("till"), key, 1)
    follower, recognizer = device(where=url("camera"), name="camera")
    real, came = SiteDatabase.query, []

    def query(database, sql, *values):
        rows = real(database, sql, *values)
        if "ORDER BY start DESC" in sql:
            came.append(values[0])
            if len(came) == 5:
                postgres.kill()
        return rows

    monkeypatch.setattr(SiteDatabase, "query", query)
    try:
        assert not follower.step(recognizer)
        assert recognizer.bundle is tiny_bundle
        assert "must answer" in follower.state.said
        (part,) = (tmp_path / "home").glob("*.part")
        assert part.stat().st_size == 5000
        assert not follower.step(recognizer)  # still away
    finally:
        postgres.start()
    with psycopg.connect(site) as db:  # what came is not read again
        assert db.execute("DELETE FROM edgefs.files WHERE start < 4000 AND name <> 'rollout.json'").rowcount == 4
    assert follower.step(recognizer)
    assert recognizer.bundle.fingerprint == new_bundle.fingerprint
    assert came == list(range(0, index.release.bytes, 1000))


def test_a_device_holds_no_lock_while_it_downloads_and_no_connection_between_its_looks(
    device, url, admin, new_bundle, key, monkeypatch
):
    monkeypatch.setattr(module, "PART_BYTES", 1000)
    publish(new_bundle, url("till"), key, 1)
    follower, recognizer = device(where=url("camera"), name="camera")
    others = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND usename = 'camera'"
    held, real = [], module.Site._go_on

    def go_on(place, name, file, size, stopped):
        def look():
            held.extend(admin.execute(f"SELECT * FROM pg_locks WHERE pid IN ({others})").fetchall())
            held.extend([] if admin.execute(others).fetchall() else ["the device must be connected here"])
            return stopped()

        real(place, name, file, size, look)

    monkeypatch.setattr(module.Site, "_go_on", go_on)
    follower.step(recognizer)
    assert recognizer.bundle.fingerprint == new_bundle.fingerprint
    assert held == []
    deadline = time.monotonic() + 5
    while admin.execute(others).fetchall():  # the server needs a moment to notice
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert json.loads(Path(follower._home, "state.json").read_text())["watched"]


def test_a_table_that_somebody_has_locked_holds_a_device_for_a_while_only(url, site, monkeypatch):
    monkeypatch.setattr(module, "TIMEOUT_S", 1)
    with psycopg.connect(site, options="-c idle_in_transaction_session_timeout=10s") as db:  # so that this test ends
        db.execute("LOCK TABLE edgefs.files")
        with pytest.raises(Unreachable, match="statement timeout"):
            open_place(url("camera")).read("rollout.json", 10)
