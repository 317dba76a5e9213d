import pytest

pytestmark = pytest.mark.torch


def test_the_discrepancy_is_zero_of_equal_samples_and_grows_with_their_distance():
    import torch

    from edgefs.adaptation.mmd import discrepancy

    x = torch.randn(64, 8, generator=torch.Generator().manual_seed(0))
    assert float(discrepancy(x, x)) == pytest.approx(0, abs=1e-6)
    near, far = (float(discrepancy(x, x + shift)) for shift in (0.2, 1.0))
    assert 0 < near < far
