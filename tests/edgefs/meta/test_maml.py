"""MAML's meta-gradient against a plain autograd loop in float32 and against finite differences in float64."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")
NO_KINDS = torch.empty(0, dtype=torch.int64)
pytestmark = pytest.mark.torch

import torch.nn.functional as F  # noqa: E402
from torch.func import functional_call  # noqa: E402

from edgefs.data.tasks import Tasks  # noqa: E402
from edgefs.meta.maml import MAML, labels_of  # noqa: E402
from edgefs.networks import build  # noqa: E402
from edgefs.networks.learner import LENGTH  # noqa: E402


def tasks(n_tasks=2, n_way=3, n_shot=1, n_query=2, size=16, dtype=torch.float32):
    torch.manual_seed(1)
    return Tasks(torch.randn(n_tasks, n_way, n_shot + n_query, 1, size, size, dtype=dtype), n_shot, 0, 1, NO_KINDS)


def maml(dtype=torch.float32, **options):
    torch.manual_seed(0)
    options = {"inner_lr": 0.1, "inner_steps": 3, **options}
    backbone = build("conv4_32", channels=1, size=16)
    backbone(torch.randn(64, 1, 16, 16))  # running statistics other than 0 and 1
    return MAML(backbone.to(dtype), 3, **options).to(dtype)


def of_backbone(weights):
    return {name.removeprefix("backbone."): w for name, w in weights.items() if name.startswith("backbone.")}


def meta_loss(method, batch, weights, rates=None, first_order=False, only_head=False):
    """functional_call on the learner, in train() or eval() as it is, one tensor at a time.  weights: name -> tensor."""
    losses = []
    for support, query in zip(batch.support, batch.query, strict=False):
        adapted = dict(weights)
        if method.learner.from_prototypes:
            z = functional_call(method.learner.backbone, of_backbone(weights), (support.flatten(0, 1),))
            c = (LENGTH * F.normalize(z, dim=1)).unflatten(0, support.shape[:2]).mean(dim=1)
            adapted = {n: w * 1.0 for n, w in weights.items()}
            adapted |= {"head.weight": 2 * c, "head.bias": -c.square().sum(dim=1)}
        for step in range(method.inner_steps):
            loss = F.cross_entropy(
                functional_call(method.learner, adapted, (support.flatten(0, 1),)), labels_of(support)
            )
            names = [name for name in adapted if not only_head or name.startswith("head")]
            gradients = torch.autograd.grad(loss, [adapted[n] for n in names], create_graph=True)
            for i, (name, gradient) in enumerate(zip(names, gradients, strict=False)):
                gradient = gradient.detach() if first_order else gradient
                adapted[name] = adapted[name] - (method.inner_lr if rates is None else rates[step, i]) * gradient
        logits = functional_call(method.learner, adapted, (query.flatten(0, 1),))
        losses.append(F.cross_entropy(logits, labels_of(query)))
    return torch.stack(losses).mean()


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize(
    "options",
    [
        {}, {"first_order": True}, {"only_head": True}, {"learn_rates": True},
        {"learn_rates": True, "first_order": True}, {"head": "prototypes"}, {"head": "prototypes", "only_head": True},
        {"head": "prototypes", "first_order": True, "learn_rates": True},
        {"head": "prototypes", "statistics": "running"}, {"statistics": "running", "first_order": True},
    ],
)  # fmt: skip
def test_the_meta_gradient_agrees_with_a_plain_autograd_loop(options, workers):
    method, batch = maml(workers=workers, **options), tasks()
    method.train(options.get("statistics") != "running")
    weights = {name: p.detach().requires_grad_() for name, p in method.learner.named_parameters()}
    rates = method.rates.detach().requires_grad_() if options.get("learn_rates") else None
    variant = {name: options.get(name, False) for name in ("first_order", "only_head")}
    expected = meta_loss(method, batch, weights, rates, **variant)
    leaves = [*([rates] if rates is not None else []), *weights.values()]
    wanted = torch.autograd.grad(expected, leaves, materialize_grads=True)
    loss, _ = method.gradients(batch)
    assert loss == pytest.approx(expected.item(), rel=1e-5)
    mine = torch.cat([p.grad.flatten() for p in method.parameters()])
    theirs = torch.cat([g.flatten() for g in wanted])
    assert (mine - theirs).norm() <= 1e-4 * theirs.norm()


def test_the_meta_gradient_agrees_with_finite_differences_in_float64():
    method, batch = maml(torch.float64), tasks(dtype=torch.float64)
    method.gradients(batch)
    rng = np.random.default_rng(0)
    names = [name for name, _ in method.learner.named_parameters()]
    for name in ("backbone.blocks.0.conv.weight", "backbone.blocks.2.norm.weight", "head.weight"):
        parameter = dict(method.learner.named_parameters())[name]
        assert name in names
        direction = torch.from_numpy(rng.normal(size=tuple(parameter.shape)))
        direction /= direction.norm()
        values = []
        for sign in (1, -1):
            weights = {n: p.detach().requires_grad_() for n, p in method.learner.named_parameters()}
            weights[name] = (parameter.detach() + sign * 1e-6 * direction).requires_grad_()
            values.append(meta_loss(method, batch, weights).item())
        slope = (values[0] - values[1]) / 2e-6
        assert (parameter.grad * direction).sum().item() == pytest.approx(slope, rel=1e-4, abs=1e-7)


def test_two_threads_give_the_same_bits_as_one():
    batch = tasks(n_tasks=4)
    before = torch.get_num_threads()
    torch.set_num_threads(1)  # a sum split over threads is rounded otherwise
    try:
        one, two = maml(workers=1), maml(workers=2)
        one.gradients(batch)
        two.gradients(batch)
    finally:
        torch.set_num_threads(before)
    for a, b in zip(one.parameters(), two.parameters(), strict=False):
        assert torch.equal(a.grad, b.grad)


def test_adaptation_learns_a_task_and_leaves_the_weights_alone():
    method = maml(inner_lr=0.5, val_steps=20)
    before = [p.detach().clone() for p in method.parameters()]
    batch = tasks(n_query=1)
    same = Tasks(torch.cat([batch.support, batch.support], dim=2), 1, 0, 1, NO_KINDS)  # the query is the support
    assert (method.accuracies(same) == 1).all()
    assert all(torch.equal(a, b) for a, b in zip(before, method.parameters(), strict=False))


def test_a_head_that_starts_at_prototypes_is_a_prototypical_network_before_it_adapts():
    method, batch = maml(head="prototypes", val_steps=0), tasks(n_tasks=1)
    z = F.normalize(method.backbone(batch.support[0].flatten(0, 1)), dim=1)
    q = F.normalize(method.backbone(batch.query[0].flatten(0, 1)), dim=1)
    nearest = torch.cdist(q, z).argmin(dim=1)
    expected = (nearest == labels_of(batch.query[0])).double().mean().item()
    assert method.accuracies(batch) == pytest.approx([expected])


def test_a_head_that_starts_at_prototypes_takes_any_number_of_classes():
    method = maml(head="prototypes", val_steps=2)
    assert method.accuracies(tasks(n_way=7)).shape == (2,)


def test_running_statistics_are_those_loaded_later_and_stay_as_they_are():
    method, batch = maml(statistics="running", val_steps=1), tasks(n_tasks=1)
    before = method.accuracies(batch)
    method.backbone.load_state_dict({n: t + 3.0 * ("mean" in n) for n, t in method.backbone.state_dict().items()})
    network = method._workers._networks.get()
    assert all(torch.equal(a, b) for a, b in zip(network.network.buffers(), method.learner.buffers(), strict=True))
    method._workers._networks.put(network)
    stored = [b.clone() for b in method.learner.buffers()]
    method.gradients(batch)
    assert all(torch.equal(a, b) for a, b in zip(stored, method.learner.buffers(), strict=True))
    assert len(before) == 1
