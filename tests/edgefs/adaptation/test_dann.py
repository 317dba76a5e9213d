import pytest

pytestmark = pytest.mark.torch


def test_the_gradient_is_reversed_and_faded_in():
    import torch

    from edgefs.adaptation.dann import Reversal, fade_in

    x = torch.ones(3, requires_grad=True)
    Reversal.apply(2 * x, 0.5).sum().backward()
    assert x.grad.tolist() == [-1.0, -1.0, -1.0]
    assert fade_in(0) == 0
    assert fade_in(1) == pytest.approx(0.9999, abs=1e-4)
