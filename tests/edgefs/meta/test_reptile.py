"""Reptile's update against its definition."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")
NO_KINDS = torch.empty(0, dtype=torch.int64)
pytestmark = pytest.mark.torch

import torch.nn.functional as F  # noqa: E402

from edgefs.data.tasks import Tasks  # noqa: E402
from edgefs.meta.functional import Functional  # noqa: E402
from edgefs.meta.maml import labels_of  # noqa: E402
from edgefs.meta.reptile import MINIBATCH_STREAM, Reptile, minibatches  # noqa: E402
from edgefs.networks import build  # noqa: E402


def tasks(n_tasks=2, n_way=3, n_images=5):
    torch.manual_seed(1)
    return Tasks(torch.randn(n_tasks, n_way, n_images, 1, 16, 16), n_images - 1, 6, 1, NO_KINDS)


def reptile(**options):
    torch.manual_seed(0)
    return Reptile(build("conv4_32", channels=1, size=16), 3, inner_steps=4, inner_batch=5, **options)


def trained_on(method, images, episode):
    """φ: torch's own Adam with β₁ = 0 on the same minibatches."""
    network = Functional(method.learner)
    weights = [p.detach().clone().requires_grad_() for p in method.learner.parameters()]
    adam = torch.optim.Adam(weights, lr=method.inner_lr, betas=(0.0, 0.999))
    x, y = images.flatten(0, 1), labels_of(images)
    for rows in minibatches(len(x), 5, 4, np.random.Generator(np.random.Philox(key=(MINIBATCH_STREAM, episode)))):
        adam.zero_grad()
        F.cross_entropy(network(weights, x[torch.from_numpy(rows)]), y[torch.from_numpy(rows)]).backward()
        adam.step()
    return weights


@pytest.mark.parametrize("workers", [1, 2])
def test_one_step_moves_the_weights_towards_the_mean_of_the_trained_ones(workers):
    method, batch = reptile(workers=workers), tasks()
    theta = [p.detach().clone() for p in method.learner.parameters()]
    phi = [trained_on(method, batch.images[i], 6 + i) for i in range(2)]
    method.gradients(batch)
    torch.optim.SGD(method.parameters(), lr=0.25).step()
    for before, after, one, two in zip(theta, method.learner.parameters(), *phi, strict=False):
        expected = before + 0.25 * ((one + two) / 2 - before)
        assert (after - expected).abs().max() <= 1e-5


def test_a_head_that_starts_at_prototypes_is_made_anew_for_every_task():
    method, batch = reptile(head="prototypes"), tasks()
    body = [p.detach().clone() for p in method.backbone.parameters()]
    method.gradients(batch)
    torch.optim.SGD(method.parameters(), lr=0.25).step()
    assert all(not p.any() for p in method.learner.head.parameters())
    assert any((a != b).any() for a, b in zip(body, method.backbone.parameters(), strict=True))


def test_second_moments_carry_over_to_the_next_task():
    method, batch = reptile(), tasks()
    method.gradients(batch)
    assert float(method.inner_count) == 4
    assert all(moment.abs().sum() > 0 for name, moment in method.moments.named_buffers() if name == "0")


def test_minibatches_pass_over_all_rows_before_repeating_one():
    batches = minibatches(6, 2, 6, np.random.default_rng(0))
    assert [len(rows) for rows in batches] == [2] * 6
    assert sorted(np.concatenate(batches[:3])) == list(range(6))
    assert sorted(minibatches(3, 10, 2, np.random.default_rng(0))[1]) == [0, 1, 2]


def test_adaptation_learns_a_task_and_leaves_the_state_alone():
    method, batch = reptile(val_steps=30, val_batch=5), tasks(n_images=2)
    same = Tasks(batch.images[:, :, :1].expand(-1, -1, 2, -1, -1, -1), 1, 0, 1, NO_KINDS)
    before = {name: value.clone() for name, value in method.state_dict().items()}
    assert (method.accuracies(same) == 1).all()
    assert all(torch.equal(before[name], value) for name, value in method.state_dict().items())
