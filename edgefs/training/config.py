"""What a training run is: one frozen dataclass, from Python, from the command line, or from a recipe.

Options a method does not use are ignored by it. METHOD_DEFAULTS are the papers' choices for 28×28 characters; recipes
state what was measured here. This file imports no torch: `edgefs train --help` is instant.
"""

from __future__ import annotations

import sys
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from edgefs.errors import ConfigError, PackageMissing

METHODS = ("protonet", "classifier", "maml", "fomaml", "anil", "reptile")
ADAPTING = ("maml", "fomaml", "anil", "reptile")  # these learn a head for every episode
SCHEDULES = ("cosine", "linear", "constant")
OPTIMISERS = ("adam", "sgd")
HEADS = ("zero", "prototypes")
STATISTICS = ("batch", "running")


@dataclass(frozen=True)
class TrainConfig:
    """Data: data, root, variant (omniglot: "lake", "vinyals"), size, channels, bad_files ("fail", "skip"), download.
    Network: backbone; init_from (a checkpoint whose backbone it starts from: its input contract comes with it).
    Episodes: n_way, n_shot, n_query of training; tasks per step; steps; augment; rotations (None: the data's own).
    Validation: the same with val_, every val_every steps; patience validations without gain end the run (0: never).
    Optimiser: lr, optimiser, schedule, warmup (steps), weight_decay, clip (gradient norm, 0: none).
    ProtoNet: distance, temperature.  Classifier: n_classes (0: those of the training data).  Both: bf16 (None: where
    the machine computes it).  MAML, Reptile: head (where it starts: "zero", "prototypes"), statistics
    (of normalisation: "batch", "running"), inner_lr, inner_steps, val_inner_steps, inner_batch, val_inner_batch; MAML:
    learn_rates.
    Run: out (folder), seed, threads (0: all), checkpoint_minutes, device ("auto", "cpu", "cuda").
    """

    method: str
    data: str
    root: str = "."
    out: str = "run"
    variant: str = "lake"
    size: int | None = None
    channels: int | None = None
    bad_files: str = "fail"
    download: bool = False
    backbone: str = "conv4"
    init_from: str = ""
    n_way: int = 5
    n_shot: int = 1
    n_query: int = 15
    tasks: int = 1
    steps: int = 10_000
    augment: tuple[str, ...] = ()
    rotations: int | None = None
    val_way: int = 5
    val_shot: int = 1
    val_query: int = 15
    val_episodes: int = 600
    val_every: int = 500
    patience: int = 0
    optimiser: str = "adam"
    lr: float = 1e-3
    schedule: str = "cosine"
    warmup: int = 0
    weight_decay: float = 0.0
    clip: float = 0.0
    n_classes: int = 0
    distance: str = "euclidean"
    temperature: float = 1.0
    bf16: bool | None = False
    head: str = "zero"
    statistics: str = "batch"
    inner_lr: float = 0.4
    inner_steps: int = 5
    val_inner_steps: int = 10
    learn_rates: bool = False
    inner_batch: int = 10
    val_inner_batch: int = 5
    seed: int = 0
    threads: int = 0
    checkpoint_minutes: float = 5.0
    device: str = "auto"

    def __post_init__(self) -> None:
        object.__setattr__(self, "augment", tuple(self.augment))
        for name, value, allowed in (
            ("method", self.method, METHODS),
            ("schedule", self.schedule, SCHEDULES),
            ("optimiser", self.optimiser, OPTIMISERS),
            ("head", self.head, HEADS),
            ("statistics", self.statistics, STATISTICS),
            ("device", self.device, ("auto", "cpu", "cuda")),
        ):
            if value not in allowed:
                raise ConfigError(f"{name} must be one of {', '.join(allowed)}, but is {value!r}")
        least = {
            "tasks": 1,
            "steps": 1,
            "val_every": 1,
            "val_episodes": 2,
            "inner_steps": 1,
            "inner_batch": 1,
            "val_inner_batch": 1,
            "seed": 0,
        }
        for name, low in least.items():
            if getattr(self, name) < low:
                raise ConfigError(f"{name} must be at least {low}, but is {getattr(self, name)}")
        if self.temperature <= 0 or self.lr < 0:
            raise ConfigError(
                f"temperature must be above 0 and lr not below, but they are {self.temperature} and {self.lr}"
            )
        if self.fixed_way and self.n_way != self.val_way:
            raise ConfigError(
                f"{self.method} adapts a head of n_way classes, so val_way must equal n_way, but they are "
                f"{self.val_way} and {self.n_way}; or start the head at prototypes"
            )
        if self.method in ADAPTING and self.statistics == "running" and not self.init_from:
            raise ConfigError(
                f'{self.method} with statistics="running" never updates them, so it must start from a trained network, '
                "but init_from is empty; name a checkpoint"
            )
        if self.bf16 and self.method in ADAPTING:
            raise ConfigError(
                f"bf16 must stay off for {self.method}: it spoils the meta-gradient (cosine 0.70 to float32 for MAML)"
            )

    @property
    def fixed_way(self) -> bool:
        """Whether episodes must have n_way classes after training too. Reptile's moments are those of one head."""
        return self.method in ADAPTING and (self.head == "zero" or self.method == "reptile")

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "augment": list(self.augment)}

    def public(self) -> TrainConfig:
        """The same without this machine's folders, as a checkpoint carries it."""
        return replace(self, root="", out="", init_from=Path(self.init_from).name)


METHOD_DEFAULTS: dict[str, dict[str, Any]] = {
    "protonet": {"n_way": 60, "n_shot": 1, "n_query": 5, "bf16": None},
    "classifier": {"n_way": 64, "n_query": 1, "bf16": None, "optimiser": "sgd", "lr": 0.1, "weight_decay": 5e-4},
    "maml": {"tasks": 4, "clip": 10.0, "val_every": 250, "val_episodes": 200},
    "fomaml": {"tasks": 4, "clip": 10.0, "val_every": 250, "val_episodes": 200},
    "anil": {"tasks": 4, "clip": 10.0, "val_every": 250, "val_episodes": 200},
    "reptile": {
        "tasks": 5, "n_shot": 10, "n_query": 1, "optimiser": "sgd", "lr": 1.0, "schedule": "linear",
        "inner_lr": 1e-3, "inner_steps": 5, "inner_batch": 10, "val_inner_steps": 50, "val_inner_batch": 5,
        "val_every": 1000, "val_episodes": 200,
    },
}  # fmt: skip


def config_of(method: str, data: str, **options: Any) -> TrainConfig:
    """A config with the method's defaults below the given options. Raises ConfigError, naming what does not exist."""
    if method not in METHODS:
        raise ConfigError(f"method must be one of {', '.join(METHODS)}, but is {method!r}")
    known = {field.name for field in fields(TrainConfig)}
    unknown = sorted(set(options) - known)
    if unknown:
        raise ConfigError(f"options must be among {', '.join(sorted(known))}, but there is {', '.join(unknown)}")
    return TrainConfig(method=method, data=data, **{**METHOD_DEFAULTS[method], **options})


def read_recipe(path: str | Path, **options: Any) -> TrainConfig:
    """The [train] table of a recipe, with options over it. Raises ConfigError."""
    path = Path(path)
    try:
        table = _toml(path.read_text())["train"]
    except OSError as error:
        raise ConfigError(f"{path} must be a readable recipe, but: {error.strerror or error}") from error
    except (KeyError, ValueError) as error:
        raise ConfigError(f"{path} must be TOML with a [train] table, but: {error}") from error
    missing = [name for name in ("method", "data") if name not in table]
    if missing:
        raise ConfigError(f"[train] of {path} must have {' and '.join(missing)}; see recipes/ for examples")
    return config_of(**{**table, **options})


def _toml(text: str) -> dict[str, Any]:
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        try:
            import tomli as tomllib  # type: ignore[import-not-found,no-redef]
        except ImportError as error:
            raise PackageMissing(
                f"recipes are TOML, which Python 3.10 reads with tomli, but {error}; do: pip install tomli"
            ) from error
    return dict(tomllib.loads(text))
