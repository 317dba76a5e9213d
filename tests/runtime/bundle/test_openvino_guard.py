"""The guard accepts an OpenVINO IR of standard layers and refuses everything else with a BundleError."""

import pytest

from runtime.bundle.openvino_guard import check_ir
from runtime.errors import BundleCorrupt, BundleUnsupported

LAYER = '<layer id="0" name="x" type="{type}" version="{version}"/>'


def ir(kind="ReLU", version="opset1", before=""):
    return (
        f'{before}<net name="n" version="11"><layers>{LAYER.format(type=kind, version=version)}</layers></net>'.encode()
    )


def test_an_ir_of_standard_layers_passes():
    check_ir(ir())


@pytest.mark.parametrize(
    ("data", "kind", "message"),
    [
        (ir(kind="If"), BundleUnsupported, "has If; export it without"),
        (ir(kind="TensorIterator"), BundleUnsupported, "has TensorIterator"),
        (ir(kind="Custom", version="extension"), BundleUnsupported, "has Custom"),
        (ir(version=""), BundleUnsupported, "has ReLU"),
        (ir(before='<!DOCTYPE net [<!ENTITY a "b">]>'), BundleUnsupported, "document type"),
        (ir().decode().encode("utf-16"), BundleUnsupported, "document type"),
        (b"<net></net>", BundleCorrupt, "no <net> of layers"),
        (ir()[:40], BundleCorrupt, "is not XML"),
        (b"", BundleCorrupt, "is not XML"),
    ],
)
def test_anything_else_is_refused_with_the_reason(data, kind, message):
    with pytest.raises(kind, match=message):
        check_ir(data)
