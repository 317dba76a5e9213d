"""Backbones: the shapes they promise, exactness of the early pool, and clear refusals."""

import pytest

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.torch

import torch.nn.functional as F  # noqa: E402

from edgefs.errors import ConfigError  # noqa: E402
from edgefs.networks import BACKBONES, build  # noqa: E402


@pytest.mark.parametrize("name", [*BACKBONES, "torchvision:mobilenet_v3_small"])
@pytest.mark.parametrize(("channels", "size"), [(1, 28), (3, 32)])
def test_features_have_the_size_a_backbone_states(name, channels, size):
    backbone = build(name, channels=channels, size=size).eval()
    with torch.inference_mode():
        assert backbone(torch.randn(2, channels, size, size)).shape == (2, backbone.dim)


def test_conv4_has_the_papers_feature_sizes():
    assert [build("conv4", channels=3, size=size).dim for size in (28, 32, 84)] == [64, 256, 1600]
    assert build("conv4_32", channels=3, size=84).dim == 800


def test_pooling_before_the_relu_changes_no_bit():
    x = torch.randn(4, 8, 14, 14)
    assert torch.equal(F.relu(F.max_pool2d(x, 2)), F.max_pool2d(F.relu(x), 2))


@pytest.mark.parametrize("training", [False, True])
def test_conv4_embeds_the_same_with_its_normalisation_folded(training):
    torch.manual_seed(0)
    backbone, x = build("conv4", channels=3, size=32), torch.randn(16, 3, 32, 32)
    backbone(x)  # running statistics other than 0 and 1
    backbone.train(training)
    with torch.inference_mode():
        folded = backbone(x)
    backbone.blocks[0].norm.momentum = 0.0
    torch.testing.assert_close(backbone(x).detach(), folded, rtol=1e-4, atol=1e-4)


def test_unknown_names_and_too_small_images_are_refused():
    with pytest.raises(ConfigError, match="conv4"):
        build("conv5", channels=1, size=28)
    with pytest.raises(ConfigError, match="16 pixels"):
        build("conv4", channels=1, size=8)
    with pytest.raises(ConfigError, match="resnet18"):
        build("torchvision:resnet1", channels=3, size=32)
