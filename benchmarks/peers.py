"""The other sides of benchmarks/training.py: a hand-written loop, easyfsl, learn2learn.

A contender is a function that does one step. Each gets the same bytes in memory and makes float images of them item by
item, as ToTensor does in a peer's data set.
"""

from __future__ import annotations

import copy
import importlib
import importlib.metadata
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from edgefs.data import ImageSet

Step = Callable[[], object]
PER_CLASS = 20


class Work(NamedTuple):
    """One kind of training step."""

    method: str
    size: int
    backbone: str
    n_way: int
    n_shot: int
    n_query: int
    tasks: int
    options: dict[str, Any]


class PlainConv4(nn.Sequential):
    """Conv-4 as the papers' code has it: bias, norm, ReLU, pool."""

    def __init__(self, channels: int, filters: int) -> None:
        blocks = []
        for i in range(4):
            blocks += [
                nn.Conv2d(channels if i == 0 else filters, filters, 3, padding=1),
                nn.BatchNorm2d(filters),
                nn.ReLU(),
            ]
            blocks += [nn.MaxPool2d(2)]
        super().__init__(*blocks, nn.Flatten())


class Pictures(torch.utils.data.Dataset):  # type: ignore[misc]
    """The peers' data set: the same bytes in memory, turned into a float tensor item by item, as ToTensor does."""

    def __init__(self, images: ImageSet) -> None:
        self.images = torch.from_numpy(images.images)
        self.labels = images.labels.tolist()

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return self.images[index].permute(2, 0, 1).float().div(255).contiguous(), self.labels[index]

    def get_labels(self) -> list[int]:
        return self.labels  # type: ignore[no-any-return]

    def episode(self, n_way: int, n_images: int, rng: np.random.Generator) -> Tensor:
        """`float32 [W, K, C, H, W']`, item by item."""
        classes = rng.choice(len(set(self.labels)), n_way, replace=False)
        rows = [c * PER_CLASS + rng.choice(PER_CLASS, n_images, replace=False) for c in classes]
        return torch.stack([torch.stack([self[int(row)][0] for row in own]) for own in rows])


def installed() -> tuple[dict[str, str], dict[str, str]]:
    """Those that can be used, with their versions, and those that cannot, with the reason."""
    found, missing = {}, {}
    for peer, module in (("easyfsl", "easyfsl.methods"), ("learn2learn", "learn2learn"), ("torchmeta", "torchmeta")):
        try:
            importlib.import_module(module)
            found[peer] = importlib.metadata.version(peer)
        except Exception as error:  # a peer may fail in its own ways
            missing[peer] = f"{type(error).__name__}: {error}"
    return found, missing


def plain(work: Work, images: ImageSet) -> Step:
    """The hand-written loop."""
    method_name, _, backbone, n_way, n_shot, n_query, tasks, options = work
    channels, filters = images.images.shape[3], 32 if backbone.endswith("32") else 64
    network: nn.Module = PlainConv4(channels, filters)
    data, rng = Pictures(images), np.random.default_rng(0)
    if method_name != "protonet":
        dim = network(data.episode(2, 1, rng).flatten(0, 1)).shape[1]
        network = nn.Sequential(network, nn.Linear(dim, n_way))
    optimiser = torch.optim.Adam(network.parameters())
    inner = {"protonet": _plain_protonet, "reptile": _plain_reptile}.get(method_name, _plain_maml)

    def step() -> None:
        optimiser.zero_grad()
        for _ in range(tasks):
            episode = data.episode(n_way, n_shot + n_query, rng)
            inner(network, episode, n_shot, second_order=method_name == "maml", steps=options.get("inner_steps", 5))
        optimiser.step()

    return step


def class_labels(n_way: int, n: int) -> Tensor:
    return torch.arange(n_way).repeat_interleave(n)


def _plain_protonet(network: nn.Module, episode: Tensor, n_shot: int, **_: Any) -> None:
    n_way, n_images = episode.shape[:2]
    prototypes = network(episode[:, :n_shot].flatten(0, 1)).unflatten(0, (n_way, n_shot)).mean(dim=1)
    scores = -(torch.cdist(network(episode[:, n_shot:].flatten(0, 1)), prototypes) ** 2)
    F.cross_entropy(scores, class_labels(n_way, n_images - n_shot)).backward()


def _plain_maml(network: nn.Module, episode: Tensor, n_shot: int, *, second_order: bool, steps: int) -> None:
    n_way, n_images = episode.shape[:2]
    weights = dict(network.named_parameters())
    x, y = episode[:, :n_shot].flatten(0, 1), class_labels(n_way, n_shot)
    for _ in range(steps):
        loss = F.cross_entropy(torch.func.functional_call(network, weights, (x,)), y)
        gradients = torch.autograd.grad(loss, list(weights.values()), create_graph=second_order)
        weights = {name: w - 0.4 * g for (name, w), g in zip(weights.items(), gradients, strict=True)}
    logits = torch.func.functional_call(network, weights, (episode[:, n_shot:].flatten(0, 1),))
    F.cross_entropy(logits, class_labels(n_way, n_images - n_shot)).backward()


def _plain_reptile(network: nn.Module, episode: Tensor, _n_shot: int, *, steps: int, **_: Any) -> None:
    clone = copy.deepcopy(network)
    adam = torch.optim.Adam(clone.parameters(), 1e-3, betas=(0.0, 0.999))
    x, y = episode.flatten(0, 1), class_labels(*episode.shape[:2])
    for rows in torch.randperm(len(x))[: steps * 10].split(10):
        adam.zero_grad()
        F.cross_entropy(clone(x[rows]), y[rows]).backward()
        adam.step()
    for parameter, moved in zip(network.parameters(), clone.parameters(), strict=True):
        difference = parameter.detach() - moved.detach()
        parameter.grad = difference if parameter.grad is None else parameter.grad + difference


def easyfsl(work: Work, images: ImageSet) -> Step:
    """easyfsl's PrototypicalNetworks; its TaskSampler fails on a torch that takes no data_source."""
    from easyfsl.methods import PrototypicalNetworks

    n_way, n_shot, n_query = work.n_way, work.n_shot, work.n_query
    model = PrototypicalNetworks(PlainConv4(images.images.shape[3], 64))
    data, rng = Pictures(images), np.random.default_rng(0)
    optimiser = torch.optim.Adam(model.parameters())

    def step() -> None:
        episode = data.episode(n_way, n_shot + n_query, rng)
        optimiser.zero_grad()
        model.process_support_set(episode[:, :n_shot].flatten(0, 1), class_labels(n_way, n_shot))
        F.cross_entropy(model(episode[:, n_shot:].flatten(0, 1)), class_labels(n_way, n_query)).backward()
        optimiser.step()

    return step


def learn2learn(work: Work, images: ImageSet) -> Step:
    """learn2learn's MAML wrapper: clone, adapt, one task after the other."""
    import learn2learn as l2l

    method_name, _, backbone, n_way, n_shot, n_query, tasks, options = work
    data, rng = Pictures(images), np.random.default_rng(0)
    body = PlainConv4(images.images.shape[3], 32 if backbone.endswith("32") else 64)
    dim = body(data.episode(2, 1, rng).flatten(0, 1)).shape[1]
    model = l2l.algorithms.MAML(nn.Sequential(body, nn.Linear(dim, n_way)), lr=0.4, first_order=method_name == "fomaml")
    optimiser = torch.optim.Adam(model.parameters())

    def step() -> None:
        optimiser.zero_grad()
        for _ in range(tasks):
            episode, learner = data.episode(n_way, n_shot + n_query, rng), model.clone()
            for _ in range(options["inner_steps"]):
                learner.adapt(F.cross_entropy(learner(episode[:, :n_shot].flatten(0, 1)), class_labels(n_way, n_shot)))
            F.cross_entropy(learner(episode[:, n_shot:].flatten(0, 1)), class_labels(n_way, n_query)).backward()
        optimiser.step()

    return step
