"""The matchers of a gallery as it changes: each is a function of the gallery alone, computed from the last one where it
did not change. What that means for whatever is fitted to the whole is said in `runtime/matching/basis.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from runtime.gallery import ClassShots
from runtime.matching.acceptance import NO_SAMPLES, Level, Samples, acceptance, level_of, samples_of
from runtime.matching.basis import basis_of
from runtime.matching.calibration import Prior
from runtime.matching.head_choice import HeadChooser
from runtime.matching.heads import Head
from runtime.matching.matcher import Matcher
from runtime.matching.prototypes import Prototypes


@dataclass(frozen=True, eq=False)
class _Fit:
    """What is fitted to a basis.  level: None for a closed set."""

    basis: Prototypes
    head: Head
    level: Level | None


class Matchers:
    """Makes them, one after the other. Not safe from several threads; the matchers are.

    prior: None: a closed set.  choice: of the head.  background: `float32 [B, D]`, the bundle's base classes.
    """

    def __init__(
        self, metric: str, dim: int, background: NDArray[np.float32], *, prior: Prior | None, choice: str, scale: float
    ) -> None:
        self._prior = prior
        self._chooser = HeadChooser(choice, dim, scale, background)
        self._empty = Prototypes(metric, dim)
        self._last: tuple[_Fit | None, Matcher] = (None, Matcher(self._empty, None, None))

    def matcher(self, classes: Mapping[str, ClassShots], bank: Samples = NO_SAMPLES) -> Matcher:
        """The gallery as it is now, beside samples of what is not taught."""
        self._last = self._made(self._last[1].prototypes.update(classes), bank)
        return self._last[1]

    def rejecting(self, row: int, negative: NDArray[np.float32], bank: Samples = NO_SAMPLES) -> Matcher:
        """What the last one would be if `negative`, `float32 [D]`, were rejected for the class in this row."""
        classes = list(self._last[1].prototypes.classes)
        shots = classes[row].shots
        classes[row] = replace(classes[row], shots=replace(shots, negatives=np.vstack([shots.negatives, negative])))
        return self._made(self._last[1].prototypes.replaced(classes), bank)[1]

    def _made(self, prototypes: Prototypes, bank: Samples) -> tuple[_Fit | None, Matcher]:
        fit, before = self._last
        if not prototypes.classes:
            return None, Matcher(prototypes, None, None)
        basis = basis_of(prototypes, fit.basis if fit else self._empty)
        if fit is None or fit.basis is not basis:
            fit = _Fit(basis, self._chooser.head(basis), None)
            head = fit.head.following(prototypes)
        else:
            head = (before.head or fit.head).following(prototypes)
        if self._prior is None:
            return fit, Matcher(prototypes, head, None)
        samples, level = samples_of(prototypes, head, bank), fit.level
        if level is None or not np.array_equal(level.samples, samples):
            level = level_of(self._prior, fit.head, samples)
        return replace(fit, level=level), Matcher(prototypes, head, acceptance(self._prior, prototypes, level))
