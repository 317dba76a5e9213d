"""Networks of timm by name: contract, weights from a file, re-parameterisation, and every family in both engines."""

import numpy as np
import pytest

from exporters.errors import SourceError

pytestmark = pytest.mark.torch
timm = pytest.importorskip("timm", reason="needs pip install 'edgefs[timm]'")


@pytest.fixture
def frames():
    """`uint8 [2, 64, 64, 3]`."""
    return np.random.default_rng(0).integers(0, 256, (2, 64, 64, 3), np.uint8)


def test_the_contract_is_that_of_the_weights():
    from exporters.sources.timm_backbone import timm_source

    source = timm_source("mobilenetv4_conv_small@none")
    assert source.preprocess.size == (224, 224)
    assert np.allclose(source.graph.mean.flatten() / 255, (0.485, 0.456, 0.406))
    config = source.facts["pretrained_cfg"]
    assert (config["interpolation"], config["crop_pct"], config["license"]) == ("bicubic", 0.875, "apache-2.0")


def test_mean_std_and_size_can_be_given(frames):
    from exporters.sources.timm_backbone import timm_source

    source = timm_source("resnet10t", weights="none", size=64, mean=[0.5] * 3, std=[0.25] * 3)
    assert source.preprocess.size == (64, 64)
    assert np.allclose(source.graph.mean.flatten(), 127.5)
    assert source.embed(frames).shape == (2, 512)


def test_a_transformer_takes_another_size(frames):
    from exporters.sources.timm_backbone import timm_source

    source = timm_source("vit_tiny_patch16_224", weights="none", size=64)
    assert source.embed(frames).shape == (2, 192)


def test_branches_of_training_are_folded_and_the_features_stay(frames):
    import torch

    from exporters.sources.timm_backbone import timm_network, timm_source

    network, _ = timm_network("repvit_m0_9")
    folded = timm_source("repvit_m0_9@none", size=64).graph.network
    assert len(list(folded.modules())) < len(list(network.modules()))
    x = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        from exporters.sources.timm_backbone import reparameterized

        assert torch.allclose(network(x), reparameterized(network)(x), atol=1e-4)


@pytest.mark.parametrize("classes", [1000, 7, 0])
def test_weights_come_from_a_file_with_any_classifier(tmp_path, frames, classes):
    import safetensors.torch
    import torch

    from exporters.sources.timm_backbone import timm_source

    torch.manual_seed(3)
    trained = timm.create_model("resnet10t", num_classes=classes)
    safetensors.torch.save_file(trained.state_dict(), tmp_path / "model.safetensors")
    source = timm_source("resnet10t", weights=str(tmp_path / "model.safetensors"), size=64)
    assert torch.equal(source.graph.network.conv1[0].weight, trained.conv1[0].weight)
    assert source.facts["weights"] == "model.safetensors"
    assert len(source.facts["weights_sha256"]) == 64
    assert source.name == "resnet10t"


def test_weights_of_another_network_are_refused(tmp_path):
    import torch

    from exporters.sources.timm_backbone import timm_source

    torch.save(timm.create_model("resnet10t").state_dict(), tmp_path / "w.pth")
    with pytest.raises(SourceError, match=r"must hold the weights of timm's resnet18.*check --backbone"):
        timm_source("resnet18", weights=str(tmp_path / "w.pth"))
    with pytest.raises(SourceError, match="is not there"):
        timm_source("resnet18", weights=str(tmp_path / "none.pth"))
    with pytest.raises(SourceError, match="named once"):
        timm_source("resnet18@a.pth", weights="b.pth")


def test_without_a_network_the_message_says_which_file_to_put_where(monkeypatch):
    from exporters.sources.timm_backbone import timm_source

    def offline(*_, **__):
        raise OSError("Name or service not known")

    monkeypatch.setattr(timm, "create_model", offline)
    with pytest.raises(SourceError) as caught:
        timm_source("mobilenetv4_conv_small")
    assert "model.safetensors of https://huggingface.co/timm/mobilenetv4_conv_small.e2400_r224_in1k" in str(
        caught.value
    )
    assert "add: --weights model.safetensors" in str(caught.value)


def test_an_unknown_name_gives_similar_ones():
    from exporters.sources.timm_backbone import timm_source

    with pytest.raises(SourceError, match=r"'mobilenetv4_small' is none; similar names are .*mobilenetv4_conv_small"):
        timm_source("mobilenetv4_small")


def test_a_network_is_fine_tuned_exported_and_reads_its_checkpoint_again(tmp_path):
    """`edgefs finetune --backbone timm:NAME`, then `edgefs export CHECKPOINT`."""
    import cv2

    from edgefs.cli import main

    rng = np.random.default_rng(0)
    for label in ("a", "b", "c"):
        (tmp_path / "photos" / label).mkdir(parents=True)
        base = rng.integers(0, 256, (8, 8, 3), np.uint8)
        for i in range(8):
            noisy = cv2.resize(base, (64, 64)).astype(int) + rng.integers(-20, 20, (64, 64, 3))
            cv2.imwrite(str(tmp_path / "photos" / label / f"{i}.png"), noisy.clip(0, 255).astype(np.uint8))
    run, out = str(tmp_path / "run"), str(tmp_path / "out.edgefs")
    options = ["--backbone", "timm:repvit_m0_9", "--weights", "none", "--size", "64", "--epochs", "1", "--out", run]
    assert main(["finetune", "--root", str(tmp_path / "photos"), *options]) == 0
    assert main(["export", f"{run}/best.safetensors", "--out", out, "--targets", "onnx"]) == 0


@pytest.mark.parametrize("name", ["mobilenetv4_conv_small", "repvit_m1", "resnet18"])
def test_a_family_answers_alike_in_torch_and_both_engines(name):
    _check(name)


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [
        "ghostnet_100",
        "fastvit_t8",
        "levit_128",
        "efficientvit_b0",
        "tiny_vit_5m_224",
        "convnextv2_atto",
        "hgnetv2_b0",
        "vit_small_patch14_dinov2",
        "edgenext_xx_small",
    ],
)
def test_the_other_families_answer_alike(name):
    _check(name)


def _check(name):
    from benchmarks.backbones import FAMILIES, check

    figures = check(name, FAMILIES[name])
    assert "error" not in figures, figures["error"]
    assert min(figures["onnxruntime"], figures["openvino"]) >= 0.9999
