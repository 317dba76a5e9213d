"""The public names of `exporters`: importing the package is cheap, and every name is there."""

import ast
import importlib
import importlib.util
from pathlib import Path

import pytest

import exporters


def test_the_lazy_table_the_type_checkers_view_and_all_are_the_same():
    tree = ast.parse(Path(exporters.__file__).read_text())
    block = next(
        node for node in tree.body if isinstance(node, ast.If) and getattr(node.test, "id", "") == "TYPE_CHECKING"
    )
    imports = {alias.name: node.module for node in block.body for alias in node.names}
    assert imports == exporters._HOMES
    assert sorted(imports) == exporters.__all__ == dir(exporters)


@pytest.mark.parametrize("name", exporters.__all__)
def test_every_name_is_the_original(name):
    try:
        module = importlib.import_module(exporters._HOMES[name])
    except ModuleNotFoundError:
        assert importlib.util.find_spec("torch") is None
        pytest.skip("needs torch")
    assert getattr(exporters, name) is getattr(module, name)


def test_a_misspelt_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="'exporters' has no attribute 'Export'"):
        exporters.Export  # noqa: B018


def test_importing_the_package_imports_nothing_heavy(python):
    heavy = "{'torch', 'onnx', 'cv2', 'openvino', 'onnxruntime'}"
    assert python(f"import sys, exporters; print({heavy} & set(sys.modules))").stdout.strip() == "set()"
