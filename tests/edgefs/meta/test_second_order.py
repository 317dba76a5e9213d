"""The cheap second derivatives against finite differences, and against torch's own."""

import copy

import pytest

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.torch

from torch import nn  # noqa: E402

from edgefs.meta.second_order import use_fast_derivatives  # noqa: E402
from edgefs.networks import build  # noqa: E402

LAYERS = {
    "plain": nn.Conv2d(2, 3, 3, padding=1),
    "strided": nn.Conv2d(2, 4, 3, stride=2, bias=False),
    "grouped and dilated": nn.Conv2d(4, 4, 3, padding=2, dilation=2, groups=2),
    "normalisation": nn.BatchNorm2d(3),
}


def cheap(layer):
    """The layer in float64, as a function of its input and weights."""
    layer = copy.deepcopy(layer).double().train()
    use_fast_derivatives(layer)
    names = [name for name, _ in layer.named_parameters()]
    torch.manual_seed(0)
    inputs = layer.in_channels if isinstance(layer, nn.Conv2d) else layer.num_features
    values = [torch.randn(2, inputs, 5, 5), *(torch.randn_like(p) for p in layer.parameters())]

    def run(x, *weights):
        for name, weight in zip(names, weights, strict=True):
            layer._parameters[name] = weight
        return layer(x)

    return run, [value.double().requires_grad_() for value in values]


@pytest.mark.parametrize("name", LAYERS)
def test_first_and_second_derivatives_agree_with_finite_differences(name):
    run, values = cheap(LAYERS[name])
    assert torch.autograd.gradcheck(run, values)
    assert torch.autograd.gradgradcheck(run, values)


@pytest.mark.parametrize("backbone", ["conv4_32", "resnet12"])
def test_a_network_has_the_second_derivative_that_torch_gives(backbone):
    torch.manual_seed(0)
    own = build(backbone, channels=3, size=16).double().train()
    x = torch.randn(4, 3, 16, 16, dtype=torch.float64)

    def meta_gradient(network):
        weights = list(network.parameters())
        torch.manual_seed(1)  # dropout
        inner = torch.autograd.grad(network(x).square().mean(), weights, create_graph=True)
        return torch.autograd.grad(sum(g.tanh().sum() for g in inner), weights)

    expected = meta_gradient(copy.deepcopy(own))
    use_fast_derivatives(own)
    for mine, theirs in zip(meta_gradient(own), expected, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-8, atol=1e-12)


def test_a_padding_the_kernels_do_not_know_stays_torchs_own():
    layer = nn.Conv2d(1, 1, 3, padding=1, padding_mode="reflect")
    x = torch.randn(1, 1, 4, 4)
    expected = layer(x)
    use_fast_derivatives(layer)
    torch.testing.assert_close(layer(x), expected)
