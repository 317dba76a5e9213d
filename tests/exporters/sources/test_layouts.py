"""Whose names the weights of a file have: those of Hugging Face's ResNet are translated, others are named."""

import re

import pytest

pytestmark = pytest.mark.torch

torch = pytest.importorskip("torch")
models = pytest.importorskip("torchvision.models")

from exporters.errors import SourceError  # noqa: E402
from exporters.sources.layouts import layout_hint  # noqa: E402
from exporters.sources.weights import load_weights  # noqa: E402


def of_hugging_face(key):
    """The name that transformers gives to a layer of torchvision's ResNet."""
    key = re.sub(r"^conv1\.", "resnet.embedder.embedder.convolution.", key)
    key = re.sub(r"^bn1\.", "resnet.embedder.embedder.normalization.", key)
    key = re.sub(r"^fc\.", "classifier.1.", key)
    block = re.match(r"layer(\d)\.(\d+)\.", key)
    if not block:
        return key
    rest = key[block.end() :]
    for name, other in (("conv", "convolution"), ("bn", "normalization")):
        rest = re.sub(rf"^{name}(\d)", lambda m, other=other: f"layer.{int(m[1]) - 1}.{other}", rest)
    rest = rest.replace("downsample.0", "shortcut.convolution").replace("downsample.1", "shortcut.normalization")
    return f"resnet.encoder.stages.{int(block[1]) - 1}.layers.{block[2]}.{rest}"


@pytest.mark.parametrize("name", ["resnet18", "resnet50"])
@pytest.mark.parametrize("prefix", ["", "module."])
def test_a_resnet_of_hugging_face_fits_that_of_torchvision(tmp_path, name, prefix):
    torch.manual_seed(0)
    source, network = models.get_model(name), models.get_model(name)
    state = {prefix + of_hugging_face(key): tensor for key, tensor in source.state_dict().items()}
    assert f"{prefix}resnet.encoder.stages.1.layers.0.shortcut.convolution.weight" in state
    torch.save(dict(reversed(state.items())), tmp_path / "w.pth")  # the order of the names does not matter
    load_weights(network, tmp_path / "w.pth")
    assert all(torch.equal(network.state_dict()[key], tensor) for key, tensor in source.state_dict().items())


def test_a_file_with_the_names_of_another_library_is_told_so(tmp_path):
    network = models.mobilenet_v2()
    torch.save({key: torch.zeros(1) for key in ("conv_stem.weight", "blocks.0.0.conv_dw.weight")}, tmp_path / "w.pth")
    with pytest.raises(SourceError, match=r"check --backbone .* has the names of timm; take --backbone timm:NAME"):
        load_weights(network, tmp_path / "w.pth")
    assert layout_hint(["vit.embeddings.cls_token"], network.state_dict()) == " The file has the names of Hugging Face."
    assert layout_hint(network.state_dict(), network.state_dict()) == ""
    assert layout_hint(["0.weight"], network.state_dict()) == ""
