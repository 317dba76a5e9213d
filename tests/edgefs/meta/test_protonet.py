"""ProtoNet's loss and gradient against hand-written ones."""

import pytest

torch = pytest.importorskip("torch")
NO_KINDS = torch.empty(0, dtype=torch.int64)
pytestmark = pytest.mark.torch

from torch import nn  # noqa: E402

from edgefs.data.tasks import Tasks  # noqa: E402
from edgefs.errors import ConfigError  # noqa: E402
from edgefs.meta.protonet import ProtoNet  # noqa: E402
from edgefs.networks import build  # noqa: E402


def tasks(n_tasks=2, n_way=4, n_shot=2, n_query=3, channels=1, size=16):
    torch.manual_seed(1)
    return Tasks(torch.randn(n_tasks, n_way, n_shot + n_query, channels, size, size), n_shot, 0, 1, NO_KINDS)


def loss_by_hand(backbone, batch, distance):
    """Straight from the paper: one query at a time."""
    losses, right = [], 0
    images = batch.images
    z = backbone(images.flatten(0, 2)).unflatten(0, images.shape[:3])
    for task in z:
        prototypes = [own[: batch.n_shot].mean(dim=0) for own in task]
        for label, own in enumerate(task):
            for query in own[batch.n_shot :]:
                if distance == "euclidean":
                    scores = torch.stack([-((query - p) ** 2).sum() for p in prototypes])
                else:
                    scores = torch.stack([10 * torch.cosine_similarity(query, p, dim=0) for p in prototypes])
                losses.append(-torch.log_softmax(scores, dim=0)[label])
                right += int(scores.argmax() == label)
    return torch.stack(losses).mean(), right / len(losses)


@pytest.mark.parametrize("distance", ["euclidean", "cosine"])
def test_loss_accuracy_and_gradient_agree_with_a_hand_written_loop(distance):
    torch.manual_seed(0)
    backbone = build("conv4_32", channels=1, size=16)
    method, batch = ProtoNet(backbone, distance=distance).train(), tasks()
    expected, accuracy = loss_by_hand(backbone, batch, distance)
    gradients = torch.autograd.grad(expected, list(backbone.parameters()))
    loss, accuracies = method.gradients(batch)
    assert loss == pytest.approx(expected.item(), rel=1e-5)
    assert accuracies.mean() == pytest.approx(accuracy)
    for mine, theirs in zip(backbone.parameters(), gradients, strict=False):
        assert (mine.grad - theirs).norm() <= 1e-4 * max(theirs.norm(), 1e-3)


def test_a_network_that_answers_with_the_class_is_always_right():
    class Sign(nn.Module):
        dim = 4

        def forward(self, x):
            return x.flatten(1)[:, :4]

    batch = tasks()
    images = torch.zeros_like(batch.images)
    for way in range(4):
        images[:, way, :, 0, 0, way] = 1
    assert (ProtoNet(Sign()).accuracies(Tasks(images, 2, 0, 1, NO_KINDS)) == 1).all()


def test_bf16_gives_a_loss_close_to_float32():
    torch.manual_seed(0)
    backbone = build("conv4_32", channels=1, size=16)
    exact = ProtoNet(backbone).train().gradients(tasks())[0]
    rough = ProtoNet(backbone, bf16=True).train().gradients(tasks())[0]
    assert rough == pytest.approx(exact, rel=0.05)
    assert all(p.dtype == torch.float32 for p in backbone.parameters())


def test_unknown_distances_are_refused():
    with pytest.raises(ConfigError, match="euclidean"):
        ProtoNet(nn.Identity(), distance="manhattan")
