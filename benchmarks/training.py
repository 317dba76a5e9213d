"""Training and evaluation speed, side by side with whichever peers are installed: the same work, in interleaved rounds.

Peers: easyfsl (Prototypical Networks, evaluation) and learn2learn (MAML). torchmeta's last release imports names that
torchvision no longer has. What is not installed is said so. Beside them, and labelled as such, runs a *hand-written*
loop: plain PyTorch as tutorials write it (float images, contiguous memory, ReLU before the pool, one task after
another, autograd.grad for the inner steps). It is no library; a ratio to it says what our loop gains over one's own.

Each contender has a process of its own, as its users run it: the allocator's setting is ours, not the peers'
(`--keep-pages` gives it to all, to see what the rest is worth). Images are random: speed does not depend on them.

  python -m benchmarks.training --threads 2 --rounds 5
  python -m benchmarks.training --only protonet_20w1s maml_second --out -
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.common import host, save
from benchmarks.peers import (
    PER_CLASS,
    Pictures,
    PlainConv4,
    Step,
    Work,
    class_labels,
    easyfsl,
    installed,
    learn2learn,
    plain,
)
from edgefs.data import ImageSet, spec_of
from edgefs.data.episodes import EpisodeSampler, EpisodeShape
from edgefs.data.tasks import TaskLoader
from edgefs.evaluation.metrics import few_shot_accuracy
from edgefs.methods import config_of
from edgefs.networks import build
from edgefs.networks.allocator import keep_pages
from edgefs.networks.embedder import embed_images
from edgefs.reports.tables import table

WORK = {
    "protonet_60w5s": Work("protonet", 28, "conv4", 60, 5, 5, 1, {"bf16": False}),
    "protonet_60w5s_bf16": Work("protonet", 28, "conv4", 60, 5, 5, 1, {"bf16": True}),
    "protonet_20w1s": Work("protonet", 28, "conv4", 20, 1, 5, 1, {"bf16": False}),
    "protonet_20w1s_bf16": Work("protonet", 28, "conv4", 20, 1, 5, 1, {"bf16": True}),
    "maml_second": Work("maml", 28, "conv4", 5, 1, 15, 4, {"inner_steps": 5}),
    "maml_first": Work("fomaml", 28, "conv4", 5, 1, 15, 4, {"inner_steps": 5}),
    "maml_second_84": Work("maml", 84, "conv4_32", 5, 1, 15, 4, {"inner_steps": 5}),
    "reptile": Work("reptile", 28, "conv4", 5, 10, 1, 4, {}),
}
WORK_SECONDS, LEAST_ROUNDS = 9, 1
EVALUATION = ("evaluate_features", "evaluate_images")


def pictures(size: int, n_classes: int = 200) -> ImageSet:
    spec = spec_of("omniglot" if size == 28 else "folder", size=size)
    shape = (n_classes * PER_CLASS, *spec.preprocess.shape)
    images = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    labels = np.repeat(np.arange(n_classes), PER_CLASS)
    return ImageSet(
        images, labels, tuple(map(str, range(n_classes))), np.zeros((len(labels), 16), np.uint8), spec.preprocess
    )


def ours(name: str, images: ImageSet, threads: int) -> Step:
    method_name, size, backbone, n_way, n_shot, n_query, tasks, options = WORK[name]
    spec = spec_of("omniglot" if size == 28 else "folder", size=size)
    config = config_of(method_name, data="omniglot", n_way=n_way, val_way=n_way, **options)
    method = config.build(build(backbone, channels=spec.preprocess.channels, size=size), workers=threads).train()
    optimiser = torch.optim.Adam(method.parameters(), fused=True)
    batches = EpisodeSampler(images.labels, EpisodeShape(n_way, n_shot, n_query)).batches(tasks)
    loader = TaskLoader(images, spec)

    def step() -> None:
        optimiser.zero_grad()
        method.gradients(loader(next(batches)))
        optimiser.step()

    return step


def evaluation(name: str, who: str) -> Step:
    """600 episodes, 5-way 5-shot 15-query, from features of 64 numbers or from 800 images."""
    images, spec = pictures(28, 40), spec_of("omniglot")
    features = np.random.default_rng(0).normal(size=(800, 64)).astype(np.float32)
    from_features = name == "evaluate_features"
    if who == "edgefs":
        backbone = build("conv4", channels=1, size=28).eval()

        def mine() -> None:
            z, labels = (features, images.labels) if from_features else embed_images(backbone, images, spec)
            few_shot_accuracy(z, labels, n_way=5, n_shot=5, n_query=15, n_episodes=600, metric="euclidean")

        return mine
    data, rng, network = Pictures(images), np.random.default_rng(0), PlainConv4(1, 64).eval()
    z, classify = torch.from_numpy(features).unflatten(0, (40, 20)), classifier_of(who)

    @torch.no_grad()  # type: ignore[untyped-decorator]
    def one_by_one() -> None:
        for _ in range(600):
            if from_features:
                classes, order = rng.choice(40, 5, replace=False), rng.permutation(20)
                episode = z[torch.from_numpy(classes)][:, torch.from_numpy(order)]
            else:
                episode = network(data.episode(5, 20, rng).flatten(0, 1)).unflatten(0, (5, 20))
            scores = classify(episode[:, :5].flatten(0, 1), episode[:, 5:].flatten(0, 1))
            (scores.argmax(1) == class_labels(5, 15)).float().mean().item()

    return one_by_one


def classifier_of(who: str) -> Callable[[Tensor, Tensor], Tensor]:
    """From 5-way 5-shot features and those of a query to the query's scores."""
    if who == "hand-written":
        return lambda support, query: -torch.cdist(query, support.unflatten(0, (5, 5)).mean(1))
    from easyfsl.methods import PrototypicalNetworks

    model = PrototypicalNetworks(nn.Identity())

    def classify(support: Tensor, query: Tensor) -> Tensor:
        model.process_support_set(support, class_labels(5, 5))
        return model(query)  # type: ignore[no-any-return]

    return classify


def contenders_of(name: str, peers: dict[str, str]) -> list[str]:
    """Those who can do this work."""
    method = "evaluation" if name in EVALUATION else WORK[name].method
    able = {"easyfsl": ("protonet", "evaluation"), "learn2learn": ("maml", "fomaml")}
    return ["edgefs", "hand-written", *(peer for peer, methods in able.items() if peer in peers and method in methods)]


def step_of(name: str, who: str, threads: int) -> Step:
    if name in EVALUATION:
        return evaluation(name, who)
    images = pictures(WORK[name].size)
    if who == "edgefs":
        return ours(name, images, threads)
    return {"hand-written": plain, "easyfsl": easyfsl, "learn2learn": learn2learn}[who](WORK[name], images)


def serve(ask: Connection, name: str, who: str, threads: int, keeps_pages: bool) -> None:
    """In a process of its own: do a step whenever asked, and tell its wall and CPU seconds."""
    torch.set_num_threads(threads)
    if keeps_pages:
        keep_pages()
    step = step_of(name, who, threads)
    while ask.recv():
        wall, cpu = time.perf_counter(), time.process_time()
        step()
        ask.send((time.perf_counter() - wall, time.process_time() - cpu))


def measure(name: str, peers: dict[str, str], args: argparse.Namespace) -> dict[str, dict[str, float]]:
    """Interleaved rounds after one warm-up each, few where they are long: median wall and CPU milliseconds."""
    context, asks, processes = multiprocessing.get_context("spawn"), {}, []
    for who in contenders_of(name, peers):
        asks[who], other = context.Pipe()
        keeps = args.keep_pages or who == "edgefs"
        processes.append(context.Process(target=serve, args=(other, name, who, args.threads, keeps), daemon=True))
        processes[-1].start()
    times: dict[str, list[tuple[float, float]]] = {who: [] for who in asks}
    for turn in range(args.rounds + 1):
        if turn == 1:
            ends = time.perf_counter() + WORK_SECONDS
        if turn > LEAST_ROUNDS and time.perf_counter() > ends:
            break
        for who, ask in asks.items():
            ask.send(True)
            took = ask.recv()
            if turn:
                times[who].append(took)
    for ask, process in zip(asks.values(), processes, strict=True):
        ask.send(False)
        process.join()
    medians = {who: np.median(np.array(values) * 1e3, axis=0) for who, values in times.items()}
    return {who: {"wall_ms": round(float(w), 2), "cpu_ms": round(float(c), 2)} for who, (w, c) in medians.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", nargs="+", choices=[*WORK, *EVALUATION], default=[*WORK, *EVALUATION])
    parser.add_argument("--out", help="JSON file, - for stdout (default: benchmarks/results/)")
    parser.add_argument("--keep-pages", action="store_true", help="let the peers' malloc keep its pages too")
    args = parser.parse_args()
    peers, absent = installed()
    for peer, state in {**peers, **absent}.items():
        print(f"{peer}: {state}")
    figures: dict[str, Any] = {}
    report = {"threads": args.threads, "rounds": args.rounds, "peers_keep_pages": args.keep_pages}
    report |= {"peers": peers, "absent": absent, "figures": figures}
    for name in args.only:
        figures[name] = measure(name, peers, args)
        print(f"{name}: {figures[name]}", flush=True)
        where = write(report, args.out)  # after each, so that an interrupted run leaves what it measured
    print(table(ratios(figures), ("work", "who", "wall ms", "CPU ms", "x wall", "x CPU")))
    print(f"written to {where}" if where else json.dumps({"host": host(), **report}, indent=1))


def ratios(figures: dict[str, Any]) -> list[tuple[Any, ...]]:
    """A row for each contender: its milliseconds, and how many times ours that is."""
    return [
        (name, who, *found.values(), *(f"{found[clock] / every['edgefs'][clock]:.2f}" for clock in found))
        for name, every in figures.items()
        for who, found in every.items()
    ]


def write(report: dict[str, Any], out: str | None) -> Path | None:
    if out is None:
        return save("training", report)
    if out == "-":
        return None
    Path(out).write_text(json.dumps({"host": host(), **report}, indent=1) + "\n")
    return Path(out)


if __name__ == "__main__":
    main()
