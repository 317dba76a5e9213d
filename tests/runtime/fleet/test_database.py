"""Who may do what in the database of a site, by PostgreSQL's own grants and row security."""

from __future__ import annotations

import select

import psycopg
import pytest

from runtime.errors import GalleryUnwritable
from runtime.fleet.database import SiteDatabase, init
from runtime.fleet.events import Event, EventKey
from runtime.fleet.opening import open_fleet
from runtime.gallery import NewShot

pytestmark = pytest.mark.fleet
DIM, MODEL = 2, "f" * 64
SHOT = NewShot([1.0, 0.0], None, "burst", 1.0, "test", 1e9)


@pytest.fixture
def login(postgres, site, tmp_path):
    """Open the gallery as a login of the same name."""
    init(site, devices=["camera"], teachers=["till"])
    with psycopg.connect(site) as db:
        if not db.execute("SELECT 1 FROM pg_roles WHERE rolname = 'guest'").fetchone():
            db.execute("CREATE ROLE guest LOGIN IN ROLE edgefs_viewer")
    opened = []

    def open_as(user: str, device: str | None = None):
        url = f"{postgres.url(site.rpartition('/')[2], user)}?device={device or user}&copy={tmp_path}/{user}.db"
        opened.append(open_fleet(url, fingerprint=MODEL, dim=DIM))
        return opened[-1]

    yield open_as
    for gallery in opened:
        gallery.close()


def test_init_may_be_run_again(site):
    before = init(site, devices=["camera"])
    assert init(site, devices=["camera"], teachers=["till"]) == before


def test_a_teacher_changes_everything_a_device_teaches_and_a_viewer_only_reads(login):
    till, camera, guest = login("till"), login("camera"), login("guest")
    assert [one.status().role for one in (till, camera, guest)] == ["teacher", "device", "viewer"]
    camera.add("mug", [SHOT])
    assert camera.sync.wait(5.0)
    for change in (lambda: camera.rename("mug", "cup"), lambda: camera.forget("mug")):
        with pytest.raises(GalleryUnwritable, match="must be a teacher"):
            change()
    with pytest.raises(GalleryUnwritable, match="must be a teacher"):
        guest.add("mug", [SHOT])
    assert guest.state == "read-only"
    assert camera.undo() == "enrolled 1 shot of 'mug'"
    assert camera.redo() == "enrolled 1 shot of 'mug'"
    assert camera.sync.wait(5.0)
    assert till.sync.wait(5.0)
    till.forget("mug", now=True)
    assert till.sync.wait(5.0)
    for one in (camera, guest):
        assert one.sync.wait(5.0)
        assert not one.classes
        assert not one.stored_ids()


def test_the_database_itself_refuses_what_a_login_may_not_do(login, postgres, site):
    till = login("till")
    till.add("mug", [SHOT])
    assert till.sync.wait(5.0)

    def send(user: str, origin: str, kind: str, **body: object) -> None:
        database = SiteDatabase(postgres.url(site.rpartition("/")[2], user))
        try:
            database.send(Event(EventKey(origin, 1), kind, body), MODEL, {0: SHOT} if kind == "teach" else {})
        finally:
            database.close()

    send("camera", "camera/1", "teach", shots=[["cup", False, 1]])
    refused = [
        ("camera", "till/1", "teach", {"shots": [["cup", False, 1]]}),
        ("till", "camera/2", "forget", {"label": "mug"}),
        ("camera", "camera/2", "forget", {"label": "mug"}),
        ("camera", "camera/2", "undo", {"event": ["till/1", 1]}),
        ("guest", "guest/1", "teach", {"shots": [["cup", False, 1]]}),
    ]
    for user, origin, kind, body in refused:
        with pytest.raises(GalleryUnwritable, match="must be allowed"):
            send(user, origin, kind, **body)
    send("camera", "camera/2", "undo", event=["camera/2", 1])
    statements = [
        "DELETE FROM edgefs.events", "UPDATE edgefs.events SET body = '{}'", "DELETE FROM edgefs.shots",
        "UPDATE edgefs.counter SET seq = 0", "UPDATE edgefs.site SET fingerprint = ''",
        "INSERT INTO edgefs.devices VALUES ('till', 'camera')",
    ]  # fmt: skip
    for user in ("till", "camera", "guest"):
        with psycopg.connect(postgres.url(site.rpartition("/")[2], user), autocommit=True) as db:
            for statement in statements:
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    db.execute(statement)
            if user != "till":
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    db.execute("SELECT edgefs.delete_shots('{till}', '{1}', '{0}')")


def test_the_checks_above_depend_on_row_security(login, postgres, site):
    login("till")
    with psycopg.connect(site, autocommit=True) as db:
        db.execute("ALTER TABLE edgefs.events DISABLE ROW LEVEL SECURITY")
    database = SiteDatabase(postgres.url(site.rpartition("/")[2], "camera"))
    database.send(Event(EventKey("till/1", 1), "forget", {"label": "mug"}), MODEL, {})
    database.close()


def test_a_hint_that_comes_with_the_answer_to_another_call_is_not_lost(site):
    one, other = SiteDatabase(site), SiteDatabase(site)
    one.listen()
    other.hint()
    one.events_after(0, 1)  # reads what came, the hint included, so that nothing more becomes readable
    assert one.hinted
    assert not select.select([one.fileno()], [], [], 0)[0]
    one.take_hints()
    assert not one.hinted
    other.hint()
    assert select.select([one.fileno()], [], [], 5.0)[0]
    one.take_hints()
    assert not select.select([one.fileno()], [], [], 0)[0]
    for database in (one, other):
        database.close()
