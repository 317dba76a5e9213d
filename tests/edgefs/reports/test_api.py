"""The API reference comes from docstrings, read from the source without importing anything heavy."""

from edgefs.reports.api import _definition, _doc, _entry, reference


def test_a_class_is_listed_with_its_signature_fields_and_methods():
    text = _entry("edgefs.Recognizer", _definition("runtime.recognizer", "Recognizer"))
    assert text.startswith("### `edgefs.Recognizer(bundle: Bundle, ")
    assert "- `enroll(label: str, frames: Frames" in text
    assert "_lock" not in text


def test_a_name_is_followed_to_where_it_is_defined():
    assert _definition("runtime.bundle", "Bundle").name == "Bundle"
    assert _definition("runtime.bundle", "Nothing") is None
    assert _definition("runtime.nothing", "Nothing") is None


def test_sections_of_a_docstring_become_lists():
    function = _definition("edgefs.bench.page", "growth_section")
    assert "\n\nArgs:\n\n- rows: The rows of `growth`." in _doc(function)


def test_a_name_that_two_packages_have_is_described_once():
    assert reference().count("### `runtime.Recognizer`\n\nThe same as `edgefs.Recognizer`.") == 1
