"""Checks an OpenVINO IR before OpenVINO opens it, by the rules of `onnx_guard` and `onnx_cost`."""

from __future__ import annotations

from runtime.bundle.onnx_cost import check_graph
from runtime.bundle.openvino_graph import read_ir
from runtime.errors import BundleCorrupt, BundleUnsupported

MAX_XML_BYTES = 10_000_000  # the parser takes up to 30 times as much memory; a network of 1,257 layers has 560,000
MAX_DEPTH = 16  # OpenVINO reads its notes (rt_info) by recursion; an export has 6 levels
SUBGRAPHS = ("If", "Loop", "TensorIterator")


def check_ir(data: bytes, weights: bytes, frame: tuple[int, ...], name: str = "model.xml") -> None:
    """Check that an IR is one flat graph of standard layers, and the memory and the work that it needs.

    Args:
        data: Contents of the .xml.
        weights: Contents of the .bin.
        frame: Shape of one input, (height, width, channels).
        name: Name of the .xml for messages.

    Raises:
        BundleUnsupported: It has a subgraph, an extension or a document type, or needs too much, or what it needs
            cannot be known before it runs.
        BundleCorrupt: It is no IR.
    """
    from xml.etree import ElementTree  # nosec B405 # no entities are let through

    parser = ElementTree.XMLParser(encoding="utf-8")  # nosec B314 # no entities are let through
    if len(data) > MAX_XML_BYTES:
        raise BundleUnsupported(
            f"{name} must have at most {MAX_XML_BYTES:,} bytes, but has {len(data):,}; export a smaller network"
        )
    if b"<!" in data or b"\0" in data:  # no entities, which can expand without limit, nor UTF-16, which could hide them
        raise BundleUnsupported(
            f"{name} must be plain XML as OpenVINO writes it, but has a document type; export it again"
        )
    try:
        net = ElementTree.fromstring(data, parser)  # nosec B314 # no entities are let through
    except (ElementTree.ParseError, ValueError, LookupError) as error:
        raise BundleCorrupt(f"{name} must be an OpenVINO IR, but is not XML ({error}); export it again") from error
    level = [net]
    for _ in range(MAX_DEPTH):
        level = [child for element in level for child in element]
    if level:
        raise BundleUnsupported(
            f"{name} must have at most {MAX_DEPTH} levels of elements, but has more; export it again"
        )
    layers = [(layer.get("type"), layer.get("version", "")) for layer in net.iter("layer")]
    if net.tag != "net" or not layers:
        raise BundleCorrupt(f"{name} must be an OpenVINO IR, but has no <net> of layers; export it again")
    for kind, version in layers:
        if kind in SUBGRAPHS or not version.startswith("opset"):
            raise BundleUnsupported(
                f"{name} must be one flat graph of OpenVINO's own layers, but has {kind}; export it without"
            )
    check_graph(lambda: read_ir(net, weights, frame), frame, len(weights), name)
