import pytest

pytestmark = pytest.mark.torch


def test_the_loss_compares_covariances_and_not_means():
    import torch

    from edgefs.adaptation.coral import CORAL

    x = torch.randn(64, 8, generator=torch.Generator().manual_seed(0))
    none = (torch.empty(0), torch.empty(0))
    assert float(CORAL().loss(x, x + 5, none, 1.0)) == pytest.approx(0, abs=1e-9)
    by_hand = (torch.cov(x.T) - torch.cov(3 * x.T)).square().sum() / 32
    assert float(CORAL().loss(x, 3 * x, none, 1.0)) == pytest.approx(float(by_hand), rel=1e-3)
    assert float(CORAL().loss(x, 3 * x, none, 0.0)) == 0
