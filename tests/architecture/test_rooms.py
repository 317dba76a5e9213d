"""The folders are small, ARCHITECTURE.md names each of them, and the tests mirror the source."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("runtime", "exporters", "edgefs")
FOLDERS = sorted({path.parent for package in PACKAGES for path in (ROOT / package).rglob("*.py")})
MODULES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py") if path.name != "__init__.py")
MOST_FILES = 16
MOST_LINES = 300
LOGIC = 20  # statements; a module with fewer is tested through the one that uses it
# Files that are still too long, and modules whose tests are still in files of other names. Both lists may only shrink.
TOO_LONG = {
    "runtime/recognizer.py",
}
TESTED_ELSEWHERE = {
    "edgefs/cli/commands/evaluate.py",
    "edgefs/cli/commands/export.py",
    "edgefs/cli/commands/models.py",
    "edgefs/data/folder.py",
    "edgefs/data/omniglot.py",
    "edgefs/evaluation/clips.py",
    "edgefs/evaluation/open_set.py",
    "edgefs/evaluation/own_gallery.py",
    "edgefs/meta/functional.py",
    "edgefs/methods/adapt.py",
    "edgefs/methods/finetune.py",
    "edgefs/methods/meta_learning.py",
    "edgefs/networks/embedder.py",
    "edgefs/reports/confusion.py",
    "edgefs/transfer/domains.py",
    "edgefs/transfer/epochs.py",
    "edgefs/transfer/report.py",
    "edgefs/transfer/start.py",
    "runtime/app/core/service.py",
    "runtime/app/live.py",
    "runtime/app/outputs/mqtt.py",
    "runtime/app/web/api/answers.py",
    "runtime/app/web/api/cameras.py",
    "runtime/app/web/api/classes.py",
    "runtime/app/web/apidoc.py",
    "runtime/app/web/routes.py",
    "runtime/app/web/server.py",
    "runtime/bundle/files.py",
    "runtime/bundle/manifest.py",
    "runtime/camera/child.py",
    "runtime/camera/child_main.py",
    "runtime/camera/container.py",
    "runtime/explain.py",
    "runtime/gallery/base.py",
    "runtime/gallery/database.py",
    "runtime/gallery/operations.py",
    "runtime/gallery/records.py",
    "runtime/gallery/shots.py",
    "runtime/gallery/transactions.py",
    "runtime/model.py",
    "runtime/recognition.py",
}


def relative(path):
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("folder", FOLDERS, ids=relative)
def test_a_folder_is_small_enough_to_keep_in_mind(folder):
    assert len(list(folder.glob("*.py"))) <= MOST_FILES


@pytest.mark.parametrize("path", MODULES, ids=relative)
def test_a_file_is_short(path):
    assert (len(path.read_text().splitlines()) > MOST_LINES) == (relative(path) in TOO_LONG)


def test_the_architecture_names_every_package_folder():
    named = set(re.findall(r"`([\w/]+)`", (ROOT / "ARCHITECTURE.md").read_text()))
    packages = {relative(folder) for folder in FOLDERS if (folder / "__init__.py").exists()}
    assert packages - named - set(PACKAGES) == set()


def test_the_architecture_names_only_what_exists():
    named = re.findall(
        r"`((?:runtime|exporters|edgefs|recipes|tests|docs)/[\w./]+)`", (ROOT / "ARCHITECTURE.md").read_text()
    )
    assert [name for name in named if not (ROOT / name).exists()] == []


def statements(path):
    """How many statements a module has, apart from imports, docstrings and class or function heads."""
    heads = (ast.Import, ast.ImportFrom, ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Expr)
    return sum(
        isinstance(node, ast.stmt) and not isinstance(node, heads) for node in ast.walk(ast.parse(path.read_text()))
    )


@pytest.mark.parametrize("path", [path for path in MODULES if statements(path) > LOGIC], ids=relative)
def test_a_module_with_logic_has_a_test_file_of_its_name(path):
    mirrored = ROOT / "tests" / path.relative_to(ROOT).parent / f"test_{path.name}"
    assert mirrored.exists() == (relative(path) not in TESTED_ELSEWHERE)
