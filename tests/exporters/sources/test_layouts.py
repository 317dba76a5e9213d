"""Whose names the weights of a file have: those of timm and Hugging Face are translated, others are named."""

import re

import pytest

pytestmark = pytest.mark.torch

torch = pytest.importorskip("torch")
models = pytest.importorskip("torchvision.models")

from exporters.errors import SourceError  # noqa: E402
from exporters.sources.layouts import layout_hint  # noqa: E402
from exporters.sources.torchvision_source import cut_head  # noqa: E402
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


OF_TIMM = {
    "mobilenetv2_100": "mobilenet_v2",
    "mobilenetv3_small_100": "mobilenet_v3_small",
    "mobilenetv3_large_100": "mobilenet_v3_large",
    "efficientnet_b0": "efficientnet_b0",
    "mnasnet_100": "mnasnet1_0",
    "densenet121": "densenet121",
    "resnet18": "resnet18",
    "convnext_tiny": "convnext_tiny",
    "vit_base_patch16_224": "vit_b_16",
}
LARGE_OF_TIMM = {"vgg11_bn": "vgg11_bn", "efficientnetv2_s": "efficientnet_v2_s", "efficientnet_b3": "efficientnet_b3"}


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [*OF_TIMM.items(), *(pytest.param(*pair, marks=pytest.mark.slow) for pair in LARGE_OF_TIMM.items())],
)
def test_a_network_of_timm_computes_the_same_in_torchvision(tmp_path, theirs, ours):
    timm = pytest.importorskip("timm")
    torch.manual_seed(0)
    source = timm.create_model(theirs).eval()
    for module in source.modules():
        if isinstance(module, torch.nn.BatchNorm2d):  # the small variances show the epsilon
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.01, 1.0)
    torch.save(dict(sorted(source.state_dict().items())), tmp_path / "w.pth")  # by name, as safetensors are
    network = models.get_model(ours).eval()
    load_weights(network, tmp_path / "w.pth")
    pixels = torch.randn(2, 3, 224, 224)
    with torch.no_grad():
        expected, got = source(pixels), network(pixels)
    assert (got - expected).abs().max() <= 1e-5 * expected.abs().max()
    headless = models.get_model(ours)
    head = cut_head(headless, ours)
    load_weights(headless, tmp_path / "w.pth", ignore=(head,))


def vit_of_hugging_face(key, tensor):
    """The names and tensors that transformers has for one tensor of torchvision's ViT."""
    layer = re.sub(r"^encoder\.layers\.encoder_layer_(\d+)\.", r"encoder.layer.\1.", key)
    if found := re.match(r"(.*)self_attention\.in_proj_(weight|bias)", layer):
        parts = zip(("query", "key", "value"), tensor.chunk(3), strict=True)
        return {f"vit.{found[1]}attention.attention.{part}.{found[2]}": piece for part, piece in parts}
    names = {
        "class_token": "vit.embeddings.cls_token", "encoder.pos_embedding": "vit.embeddings.position_embeddings",
        "conv_proj.": "vit.embeddings.patch_embeddings.projection.", "encoder.ln.": "vit.layernorm.",
        "heads.head.": "classifier.",
    }  # fmt: skip
    for name, other in names.items():
        if key.startswith(name):
            return {key.replace(name, other): tensor}
    inside = {
        "ln_1.": "layernorm_before.", "ln_2.": "layernorm_after.", "mlp.0.": "intermediate.dense.",
        "mlp.3.": "output.dense.", "self_attention.out_proj.": "attention.output.dense.",
    }  # fmt: skip
    name = next(name for name in inside if name in layer)
    return {"vit." + layer.replace(name, inside[name]): tensor}


def convnext_of_hugging_face(key, tensor):
    parts = key.split(".")
    if parts[0] == "classifier":
        return {f"{'convnext.layernorm' if parts[1] == '0' else 'classifier'}.{parts[2]}": tensor}
    stage, place, rest = int(parts[1]), parts[2], ".".join(parts[3:])
    if stage == 0:
        return {f"convnext.embeddings.{('patch_embeddings', 'layernorm')[int(place)]}.{rest}": tensor}
    if stage % 2 == 0:
        return {f"convnext.encoder.stages.{stage // 2}.downsampling_layer.{place}.{rest}": tensor}
    start = f"convnext.encoder.stages.{stage // 2}.layers.{place}."
    if rest == "layer_scale":
        return {f"{start}layer_scale_parameter": tensor.flatten()}
    names = {"0": "dwconv", "2": "layernorm", "3": "pwconv1", "5": "pwconv2"}
    return {f"{start}{names[parts[4]]}.{parts[5]}": tensor}


@pytest.mark.parametrize(
    ("name", "theirs", "one"),
    [
        ("vit_b_16", vit_of_hugging_face, "vit.encoder.layer.11.attention.attention.value.bias"),
        ("convnext_tiny", convnext_of_hugging_face, "convnext.encoder.stages.3.layers.2.layer_scale_parameter"),
    ],
)
def test_a_network_of_hugging_face_fits_that_of_torchvision(tmp_path, name, theirs, one):
    torch.manual_seed(0)
    source, network = models.get_model(name), models.get_model(name)
    state = {other: part for key, tensor in source.state_dict().items() for other, part in theirs(key, tensor).items()}
    assert one in state
    torch.save(dict(sorted(state.items())), tmp_path / "w.pth")
    load_weights(network, tmp_path / "w.pth")
    assert all(torch.equal(network.state_dict()[key], tensor) for key, tensor in source.state_dict().items())


def test_a_layout_without_a_rule_is_refused_with_the_first_names(tmp_path):
    """Of another network of timm, of no known network, and of the right network in another size."""
    timm = pytest.importorskip("timm")
    other = timm.create_model("mobilenetv3_small_100").state_dict()
    torch.save(other, tmp_path / "w.pth")
    with pytest.raises(SourceError, match=r"features\.0\.0\.weight .* is not in the file; .* without a place are "
                                          r"conv_stem\.weight, bn1\.weight, bn1\.bias\. .* names of timm"):  # fmt: skip
        load_weights(models.mobilenet_v2(), tmp_path / "w.pth")
    torch.save({"a.weight": torch.zeros(1), "b.weight": torch.zeros(1)}, tmp_path / "w.pth")
    with pytest.raises(SourceError, match=r"without a place are a\.weight, b\.weight\.$"):
        load_weights(models.mobilenet_v2(), tmp_path / "w.pth")
    torch.save(timm.create_model("convnext_atto").state_dict(), tmp_path / "w.pth")
    with pytest.raises(SourceError, match=r"features\.0\.0\.weight is \(40, 3, 4, 4\) where \(96, 3, 4, 4\) is needed"):
        load_weights(models.convnext_tiny(), tmp_path / "w.pth")


def test_a_matrix_of_the_same_size_but_another_shape_is_refused(tmp_path):
    network = torch.nn.Linear(2, 3)
    torch.save({"weight": torch.zeros(2, 3), "bias": torch.zeros(3)}, tmp_path / "w.pth")
    with pytest.raises(SourceError, match=r"weight is \(2, 3\) where \(3, 2\) is needed"):
        load_weights(network, tmp_path / "w.pth")


def test_weights_of_torchvision_are_not_taken_for_those_of_timm(tmp_path):
    pytest.importorskip("timm")
    from exporters.sources.timm_backbone import timm_source

    torch.save(models.mobilenet_v2().state_dict(), tmp_path / "w.pth")
    with pytest.raises(SourceError, match=r"names of torchvision; take --backbone NAME without timm:"):
        timm_source("mobilenetv2_100", weights=str(tmp_path / "w.pth"))


@pytest.mark.parametrize("name", ["mnasnet0_5", "mobilenet_v3_small", "vit_b_16"])
def test_a_networks_own_names_change_nothing(tmp_path, name):
    """MNASNet reads its own version from the state."""
    torch.manual_seed(0)
    source, network = models.get_model(name), models.get_model(name)
    epsilons = [module.eps for module in network.modules() if hasattr(module, "eps")]
    torch.save(source.state_dict(), tmp_path / "w.pth")
    load_weights(network, tmp_path / "w.pth")
    assert all(torch.equal(network.state_dict()[key], tensor) for key, tensor in source.state_dict().items())
    assert [module.eps for module in network.modules() if hasattr(module, "eps")] == epsilons


def test_a_file_with_the_names_of_another_library_is_told_so(tmp_path):
    network = models.mobilenet_v2()
    torch.save({key: torch.zeros(1) for key in ("conv_stem.weight", "blocks.0.0.conv_dw.weight")}, tmp_path / "w.pth")
    with pytest.raises(SourceError, match=r"check --backbone .* has the names of timm; take --backbone timm:NAME"):
        load_weights(network, tmp_path / "w.pth")
    assert layout_hint(["vit.embeddings.cls_token"], network.state_dict()) == " The file has the names of Hugging Face."
    assert layout_hint(network.state_dict(), network.state_dict()) == ""
    assert layout_hint(["0.weight"], network.state_dict()) == ""
