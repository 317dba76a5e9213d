"""Classifier-Baseline: the loss against a hand-written one, and labels that are classes of the whole set."""

import pytest

torch = pytest.importorskip("torch")

import torch.nn.functional as F  # noqa: E402

from edgefs.data.tasks import Tasks  # noqa: E402
from edgefs.meta.classifier import Classifier  # noqa: E402
from edgefs.networks import build  # noqa: E402

pytestmark = pytest.mark.torch


def test_the_loss_is_the_cross_entropy_of_the_scaled_cosine_to_every_class():
    torch.manual_seed(0)
    method = Classifier(build("conv4_32", channels=1, size=16), 9)
    kinds = torch.tensor([[7, 2, 4], [0, 8, 7]])
    tasks = Tasks(torch.randn(2, 3, 2, 1, 16, 16), 1, 0, 1, kinds)
    loss, accuracies = method.gradients(tasks)
    rows = [(tasks.images[t, w, k], kinds[t, w]) for t in range(2) for w in range(3) for k in range(2)]
    features = method.backbone(torch.stack([image for image, _ in rows]))
    cosines = F.cosine_similarity(features[:, None], method.classes[None], dim=2)
    by_hand = F.cross_entropy(method.scale * cosines, torch.stack([kind for _, kind in rows]))
    assert loss == pytest.approx(by_hand.item(), rel=1e-5)
    assert accuracies.shape == (2,)
    assert all(parameter.grad is not None for parameter in method.parameters())
