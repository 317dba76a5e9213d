"""Checks an OpenVINO IR before OpenVINO opens it, by the rules of `onnx_guard`: one flat graph of standard layers."""

from __future__ import annotations

from runtime.errors import BundleCorrupt, BundleUnsupported

SUBGRAPHS = ("If", "Loop", "TensorIterator")


def check_ir(data: bytes, name: str = "model.xml") -> None:
    """Raise BundleUnsupported for a subgraph, an extension or a document type, BundleCorrupt if it is no IR."""
    from xml.etree import ElementTree  # nosec B405 # no entities are let through

    if b"<!" in data or b"\0" in data:  # no entities, which can expand without limit, nor UTF-16, which could hide them
        raise BundleUnsupported(
            f"{name} must be plain XML as OpenVINO writes it, but has a document type; export it again"
        )
    try:
        net = ElementTree.fromstring(data)  # nosec B314 # no entities are let through
    except (ElementTree.ParseError, ValueError, LookupError) as error:
        raise BundleCorrupt(f"{name} must be an OpenVINO IR, but is not XML ({error}); export it again") from error
    layers = [(layer.get("type"), layer.get("version", "")) for layer in net.iter("layer")]
    if net.tag != "net" or not layers:
        raise BundleCorrupt(f"{name} must be an OpenVINO IR, but has no <net> of layers; export it again")
    for kind, version in layers:
        if kind in SUBGRAPHS or not version.startswith("opset"):
            raise BundleUnsupported(
                f"{name} must be one flat graph of OpenVINO's own layers, but has {kind}; export it without"
            )
