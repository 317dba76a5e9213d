"""Only Python 3.11 is on hand where this is developed, but JetPack 6 has 3.10: grammar and standard library of 3.10."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FILES = sorted(path for package in ("runtime", "exporters", "edgefs") for path in (ROOT / package).rglob("*.py"))
# What 3.11 and later added and one easily uses
TOO_NEW = {
    "tomllib": None,
    "typing": {"Self", "assert_never", "assert_type", "reveal_type", "LiteralString", "Never", "Required", "override"},
    "enum": {"StrEnum", "verify", "EnumCheck"},
    "datetime": {"UTC"},
    "contextlib": {"chdir"},
    "itertools": {"batched"},
    "hashlib": {"file_digest"},
    "asyncio": {"TaskGroup", "timeout", "Runner"},
    "warnings": {"deprecated"},
}
TOO_NEW_BUILTINS = {"ExceptionGroup", "BaseExceptionGroup", "PythonFinalizationError"}


def too_new(node):
    """Yield what Python 3.10 does not have, unless the code asks for the version first."""
    if isinstance(node, ast.If) and "version_info" in ast.dump(node.test):
        return
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names if TOO_NEW.get(alias.name, ()) is None)
    elif isinstance(node, ast.ImportFrom) and node.module in TOO_NEW:
        names = TOO_NEW[node.module]
        yield from (f"{node.module}.{alias.name}" for alias in node.names if names is None or alias.name in names)
    elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
        if node.attr in (TOO_NEW.get(node.value.id) or ()):
            yield f"{node.value.id}.{node.attr}"
    elif isinstance(node, ast.Name) and node.id in TOO_NEW_BUILTINS:
        yield node.id
    for child in ast.iter_child_nodes(node):
        yield from too_new(child)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_a_file_is_python_3_10(path):
    tree = ast.parse(path.read_text(), path.name, feature_version=(3, 10))
    assert list(too_new(tree)) == []


@pytest.mark.parametrize("code", ["try:\n    pass\nexcept* OSError:\n    pass", "def f[T](x: T): pass", "type X = int"])
def test_newer_grammar_would_be_noticed(code):
    with pytest.raises(SyntaxError):
        ast.parse(code, feature_version=(3, 10))


@pytest.mark.parametrize(
    "code",
    [
        "import tomllib",
        "from tomllib import load",
        "from typing import Self",
        "datetime.UTC",
        "raise ExceptionGroup('', [])",
    ],
)
def test_newer_library_would_be_noticed(code):
    assert list(too_new(ast.parse(code)))
    assert not list(too_new(ast.parse(f"if sys.version_info >= (3, 11):\n    {code}")))


def test_there_are_no_packages_under_tests():
    assert not list((ROOT / "tests").rglob("__init__.py"))  # tests/runtime would hide our runtime
