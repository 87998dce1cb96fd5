"""Solvers with the choices that diffusers' scheduler classes leave: order, kind, where the order falls, clipping.

A model's ``scheduler_config.json`` chooses among them (`partway.model.scheduler_config`). The samplers of `multistep`
and `singlestep` are the usual choices, under names of their own.
"""

from math import expm1, factorial, inf, log, sqrt

import numpy as np

from partway.diffusion.levels import NoiseLevel
from partway.diffusion.samplers.multistep import dpmpp_2m_sde, dpmpp_3m
from partway.diffusion.samplers.singlestep import euler
from partway.diffusion.samplers.steps import CLOSEST, ancestral_step, lowered
from partway.diffusion.sampling import Array, Denoiser, Evaluation, Noise, Sampler, State


def clipped(step: Sampler, clip: float) -> Sampler:
    """The step with estimates of x0 clipped to [-clip, clip]."""

    def within(
        denoise: Denoiser, state: State, now: NoiseLevel, to: NoiseLevel, noise: Noise, **options: float
    ) -> State:
        def limited(x: Array, level: NoiseLevel, boost: float = 1.0, /) -> Array:
            return np.clip(denoise(x, level, boost), -clip, clip)

        return step(limited, state, now, to, noise, **options)

    return within


def ddim(
    denoise: Denoiser,
    state: State,
    now: NoiseLevel,
    to: NoiseLevel,
    noise: Noise,
    *,
    eta: float = 0.0,
    clip: float = inf,
) -> State:
    """DDIM (Song et al. 2021, arXiv 2010.02502) with its estimate of x0 clipped, but not the noise that it predicts."""
    evaluation = Evaluation(now, state.x, denoise(state.x, now))
    sigma_down, sigma_up = ancestral_step(now, to.sigma, eta)
    target = np.clip(evaluation.denoised, -clip, clip)
    x = target + (state.x - evaluation.denoised) * (sigma_down / now.sigma)
    if eta:
        x += sigma_up * noise(now.sigma, to.sigma)
    return state.advanced(x, evaluation._replace(denoised=target))


def dpm_solver(
    denoise: Denoiser,
    state: State,
    now: NoiseLevel,
    to: NoiseLevel,
    noise: Noise,
    *,
    steps: int,
    eta: float = 0.0,
    order: int = 2,
    kind: str = "midpoint",
    final: str = "short",
) -> State:
    """DPM-Solver++ (Lu et al. 2022, arXiv 2211.01095), multistep, of order 1 to 3; with ``eta`` 1 that of the SDE.

    ``kind`` is "midpoint" or "heun"; ``final`` and ``steps`` as in `lowered`.
    """
    taken = min(lowered(order, final, len(state.ahead), steps), len(state.past) + 1)
    if taken == 1:
        return euler(denoise, state, now, to, noise, eta=eta)
    if taken == 2 and kind == "midpoint":
        return dpmpp_2m_sde(denoise, state, now, to, noise, eta=eta)
    return dpmpp_3m(denoise, state, now, to, noise, eta=eta, back=taken - 1)


def dpm_singlestep(
    denoise: Denoiser,
    state: State,
    now: NoiseLevel,
    to: NoiseLevel,
    noise: Noise,
    *,
    steps: int,
    eta: float = 0.0,
    kind: str = "midpoint",
    final: str = "always",
) -> State:
    """DPM-Solver++(2S) (Lu et al. 2022) in pairs of steps with one call each; with ``eta`` 1 that of the SDE.

    The first step of a pair is of order 1. The second goes again from where the pair began, with both estimates of x0.
    ``final`` "always" gives the last of an even number of ``steps`` order 1. ``kind`` as in `dpm_solver`.
    """
    second = (steps - len(state.ahead)) % 2 == 0 and bool(state.past)
    if not second or to.sigma == 0 or (final == "always" and not state.ahead):
        return euler(denoise, state, now, to, noise, eta=eta)
    evaluation = Evaluation(now, state.x, denoise(state.x, now))
    begun = state.past[-1]
    h = log(begun.level.sigma / to.sigma)
    scaled = h * (1 + eta)
    rise = (evaluation.denoised - begun.denoised) * (h / log(begun.level.sigma / now.sigma))
    share = -0.5 * expm1(-scaled) if kind == "midpoint" else expm1(-scaled) / scaled + 1
    x = (1 + expm1(-scaled)) * begun.x - expm1(-scaled) * begun.denoised + share * rise
    if eta:
        x += to.sigma * sqrt(-expm1(-2 * eta * h)) * noise(now.sigma, to.sigma)
    return state.advanced(x, evaluation)


def unipc(
    denoise: Denoiser,
    state: State,
    now: NoiseLevel,
    to: NoiseLevel,
    noise: Noise,
    *,
    order: int = 2,
    kind: str = "bh2",
    final: str = "always",
) -> State:
    """UniPC (Zhao et al. 2023, arXiv 2302.04867) of order 1 to 3: B(h) is h for "bh1" and e^h - 1 for "bh2".

    With ``final`` "always" the order falls towards the end of the run, to 1 in its last step.
    """
    denoised, left = denoise(state.x, now), len(state.ahead) + 1
    falling = final == "always"
    x = state.x
    if state.past:
        past = state.past[: -1 - min(order, left + 1 if falling else order) : -1]
        x = _unified(past, now, kind, arrived=denoised)
    evaluation = Evaluation(now, x, denoised)
    if to.sigma == 0:
        return state.advanced(denoised, evaluation)
    recent = (evaluation, *reversed(state.past))[: min(order, left if falling else order)]
    return state.advanced(_unified(recent, to, kind), evaluation)


def _unified(recent: tuple[Evaluation, ...], to: NoiseLevel, kind: str, arrived: Array | None = None) -> Array:
    """x at a level by UniP from the ``recent`` evaluations, latest first; by UniC with the estimate of x0 there."""
    begun, *earlier = recent
    h = log(begun.level.sigma / to.sigma)
    scale = -h if kind == "bh1" else expm1(-h)
    ratios = [-max(log(e.level.sigma / begun.level.sigma) / h, i * CLOSEST) for i, e in enumerate(earlier, 1)]
    rises = [(e.denoised - begun.denoised) * (1 / ratio) for e, ratio in zip(earlier, ratios, strict=True)]
    if arrived is not None:
        ratios, rises = [*ratios, 1.0], [*rises, arrived - begun.denoised]
    # of a single rise the paper takes half, whatever its ratio
    weights = [0.5] if len(rises) == 1 else _weights(ratios, h, scale)
    x: Array = (to.sigma / begun.level.sigma) * begun.x - expm1(-h) * begun.denoised
    for weight, rise in zip(weights, rises, strict=True):
        x = x - (scale * weight) * rise
    return x


def _weights(ratios: list[float], h: float, scale: float) -> list[float]:
    """Weights of the rises by the conditions of order (the paper's equation 5)."""
    count = len(ratios)
    phi, right = expm1(-h) / -h - 1, []
    for i in range(1, count + 1):
        right.append(phi * factorial(i) / scale)
        phi = phi / -h - 1 / factorial(i + 1)
    powers = np.array(ratios) ** np.arange(count)[:, np.newaxis]
    return [float(weight) for weight in np.linalg.solve(powers, right)] if count else []
