"""The public doors: what they say they have, sorted, and nothing by accident."""

import ast
import importlib
import importlib.util
from pathlib import Path

import pytest

import edgefs
import runtime
from edgefs.errors import PackageMissing


@pytest.mark.parametrize("package", [edgefs, runtime])
def test_all_is_sorted_complete_and_real(package):
    assert list(package.__all__) == sorted(set(package.__all__))
    for name in package.__all__:
        try:
            assert getattr(package, name) is not None
        except PackageMissing:  # training and export, where torch is not installed
            assert importlib.util.find_spec("torch") is None
    assert set(package.__all__) <= set(dir(package))


@pytest.mark.parametrize("package", [edgefs, runtime])
def test_the_lazy_table_the_type_checkers_view_and_all_are_the_same(package):
    tree = ast.parse(Path(package.__file__).read_text())
    block = next(
        node for node in tree.body if isinstance(node, ast.If) and getattr(node.test, "id", "") == "TYPE_CHECKING"
    )
    imports = {alias.asname or alias.name: node.module for node in block.body for alias in node.names}
    assert imports == package._HOMES
    assert sorted(imports) == package.__all__


@pytest.mark.parametrize("package", [edgefs, runtime])
def test_lazy_names_are_the_originals(package):
    for name, home in package._HOMES.items():
        try:
            module = importlib.import_module(home)
        except ImportError:
            if importlib.util.find_spec("torch"):
                raise
            continue  # training needs torch
        assert getattr(package, name) is getattr(module, name)


@pytest.mark.parametrize("package", [edgefs, runtime])
def test_a_misspelt_name_is_an_attribute_error(package):
    with pytest.raises(AttributeError, match=f"'{package.__name__}' has no attribute 'Recogniser'"):
        package.Recogniser  # noqa: B018
    assert not hasattr(edgefs, "runtime")


def test_every_error_is_an_edgefs_error_and_in_the_tree_of_the_docstring():
    from runtime import errors

    for name, kind in vars(errors).items():
        if isinstance(kind, type):
            assert issubclass(kind, errors.EdgefsError), name
            assert name in errors.__doc__, f"{name} is missing in the tree"
