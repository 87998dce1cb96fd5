"""Step reuse: which evaluations run only the UNet's outermost layers, on deep features that a full one left.

DeepCache (Ma et al. 2023, arXiv 2312.00858) keeps features for a number of steps. Here a limit in timesteps decides,
because features change with the timestep. The user sets ``share``; at timestep t of T the limit is

    share * d * min(1, 2 * d / T),  with d = T - t, the distance from pure noise.

So from the middle of the schedule on, features are kept for ``share`` of the distance from pure noise. In the noisier
half, which decides what the picture shows, they are kept for less, down to nothing at pure noise. The limit is never
more than 0.45 of the timestep at which the run started, so that a run of low strength does not reuse its first step's
features to its end. A run of four steps or fewer has little after a shallow one that could mend it: there the limit is
at most 50 / (1 - share) timesteps, and the steps of few-step models are longer. Features are reused unchanged:
extrapolating them from the last two full evaluations led further from the exact picture, not nearer.

A guided evaluation also makes predictions without the prompt. Their differences from the prompt's prediction are kept
as well, for half as long, because guidance multiplies their error. So there are three kinds of evaluation: full;
shallow, of all predictions; and shallow, of the prompt's prediction alone.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]

_GUIDANCE = 0.5  # of the limit for features: the limit for guidance's differences
_RUN = 0.45  # of the timestep at which the run started: the largest limit
_FEW, _NEAR = 4, 50  # steps of a run, and timesteps of the largest limit where there are no more, for a share near 0


class Reuse:
    """Decides which evaluations of one run are full, and keeps what the others need.

    share      0 .. 1: the share of the distance from pure noise for which features are kept, from the middle of the
               schedule on; with 0 every evaluation is full
    timesteps  how many the model was trained on
    steps      of the run; 0 where that is not known
    full       whether this evaluation is full; `begin` sets it
    parts      into how many network calls this evaluation's batch is cut, so that every call has the same batch and
               the engine compiles one size
    """

    def __init__(self, share: float = 0.0, timesteps: int = 1000, *, steps: int = 0) -> None:
        self._share, self._timesteps = share, timesteps
        self._most = _NEAR / max(1 - share, 0.01) if 0 < steps <= _FEW else timesteps
        self._start = 0.0  # timestep of the first evaluation
        self._last_full = 0.0  # timestep of the last full evaluation
        self._last_guided = 0.0  # timestep of the last evaluation that made all predictions
        self._predictions = 0  # of the last full evaluation
        self._features: list[Array] = []  # of each tile of the last full evaluation
        self._tile = 0
        self._differences: list[Array] = []  # the other outputs less the prompt's, of that evaluation
        self._prompt_only = False
        self.full, self.parts = True, 1

    def begin(self, timestep: float, predictions: int) -> int:
        """Begin an evaluation that asks for so many predictions; return how many to make: as many, or 1.

        ``predictions`` is the same in every evaluation or, where guidance pauses, 1. Where 1 is returned it is the
        prompt's. An evaluation that asks for more of them than the last full one is always full.
        """
        self._start = max(self._start, timestep)
        clean = 1 - timestep / self._timesteps  # distance from pure noise, 0 .. 1
        limit = min(self._share * clean * min(1, 2 * clean) * self._timesteps, _RUN * self._start, self._most) + 1e-6
        self.full = not (self._share and predictions <= self._predictions and abs(self._last_full - timestep) <= limit)
        self._tile = 0
        if self.full:
            self._last_full, self._predictions, self._features = timestep, predictions, []
        near = abs(self._last_guided - timestep) <= _GUIDANCE * limit
        self._prompt_only = not self.full and (near or predictions < self._predictions)
        if not self._prompt_only:
            self._last_guided = timestep
        made = 1 if self._prompt_only else predictions
        self.parts = made if self._share else 1
        return made

    def completed(self, outputs: Sequence[Array]) -> Sequence[Array]:
        """The outputs of all predictions, each (B, C, h, w), the prompt's last, from those that were made."""
        prompt = outputs[-1]
        if self._prompt_only:
            return [*(prompt + difference for difference in self._differences), prompt]
        if self._share > 0:
            self._differences = [other - prompt for other in outputs[:-1]]
        return outputs

    def keep(self, features: Array) -> None:
        """Keep the features (batch, C, h, w) of the next tile of a full evaluation."""
        if self._share > 0:
            self._features.append(features)

    def take(self, batch: int) -> Array:
        """The features (batch, C, h, w) of the next tile: the last ``batch`` of those kept, which are the prompt's."""
        self._tile += 1
        return self._features[self._tile - 1][-batch:]
