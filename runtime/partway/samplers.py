"""Samplers: pure steps from one noise level to the next, in ``x = x0 + sigma * noise``.

Each is a function ``(denoise, state, now, to, noise) -> state``; adding one is adding a function and a row of
`SAMPLERS`. ``now.sigma`` > ``to.sigma`` >= 0. Scalars are Python floats, so float32 latents stay float32.
"""

from collections.abc import Callable
from functools import partial
from math import log, sqrt
from typing import NamedTuple

from partway.errors import InputError
from partway.sampling import Array, Denoiser, Evaluation, Noise, Sampler, State
from partway.schedules import NoiseLevel


def euler(denoise: Denoiser, state: State, now: NoiseLevel, to: NoiseLevel, noise: Noise, *, eta: float = 0.0) -> State:
    """Euler (Karras et al. 2022, Algorithm 2 without churn); with ``eta`` in (0, 1] its ancestral form.

    DDIM (Song et al. 2021, arXiv 2010.02502, equation 16) is this very function: in this variable its update,
    its eta included, is the same.
    """
    denoised = denoise(state.x, now)
    fresh = eta * to.sigma * sqrt(1 - (to.sigma / now.sigma) ** 2)
    kept = sqrt(to.sigma**2 - fresh**2)
    x = denoised + (state.x - denoised) * (kept / now.sigma)
    if eta:
        x += fresh * noise()
    return state.advanced(x, Evaluation(now, state.x, denoised))


def heun(denoise: Denoiser, state: State, now: NoiseLevel, to: NoiseLevel, noise: Noise) -> State:
    """Heun's second-order method (Karras et al. 2022, Algorithm 1); one call only on a last step to 0."""
    first = Evaluation(now, state.x, denoise(state.x, now))
    x = _slide(first, to)
    if to.sigma == 0:
        return state.advanced(x, first)
    second = Evaluation(to, x, denoise(x, to))
    slope = 0.5 * (_slope(first) + _slope(second))
    return state.advanced(state.x + (to.sigma - now.sigma) * slope, first)


def dpmpp_2m(denoise: Denoiser, state: State, now: NoiseLevel, to: NoiseLevel, noise: Noise) -> State:
    """DPM-Solver++(2M) (Lu et al. 2022, arXiv 2211.01095, Algorithm 2)."""
    evaluation = Evaluation(now, state.x, denoise(state.x, now))
    target = _extrapolated(evaluation, state.past, to)
    return state.advanced(target + (state.x - target) * (to.sigma / now.sigma), evaluation)


def dpmpp_2m_sde(
    denoise: Denoiser, state: State, now: NoiseLevel, to: NoiseLevel, noise: Noise, *, eta: float = 1.0
) -> State:
    """DPM-Solver++(2M) for the diffusion SDE, midpoint form (Lu et al. 2022, section 5); eta in [0, 1]."""
    evaluation = Evaluation(now, state.x, denoise(state.x, now))
    target = _extrapolated(evaluation, state.past, to)
    ratio = to.sigma / now.sigma
    x = target + (state.x - target) * ratio ** (1 + eta)
    if eta:
        x += to.sigma * sqrt(1 - ratio ** (2 * eta)) * noise()
    return state.advanced(x, evaluation)


def plms(denoise: Denoiser, state: State, now: NoiseLevel, to: NoiseLevel, noise: Noise) -> State:
    """Pseudo linear multistep (Liu et al. 2022, arXiv 2202.09778); the first step costs two calls.

    That first step is a property of an empty past, not of a place in a list, so it is right wherever on the
    schedule a run begins.
    """
    evaluation = Evaluation(now, state.x, denoise(state.x, now))
    slopes = [_slope(e) for e in (*state.past, evaluation)]
    match slopes:
        case [first]:
            guess = _slide(evaluation, to)
            slope = first
            if to.sigma > 0:
                slope = 0.5 * (first + _slope(Evaluation(to, guess, denoise(guess, to))))
        case [b, a]:
            slope = 3 / 2 * a - 1 / 2 * b
        case [c, b, a]:
            slope = 23 / 12 * a - 16 / 12 * b + 5 / 12 * c
        case [*_, d, c, b, a]:
            slope = 55 / 24 * a - 59 / 24 * b + 37 / 24 * c - 9 / 24 * d
    return state.advanced(state.x + (to.sigma - now.sigma) * slope, evaluation)


def unipc(denoise: Denoiser, state: State, now: NoiseLevel, to: NoiseLevel, noise: Noise) -> State:
    """UniPC of order 2, B(h) = e^h - 1 (Zhao et al. 2023, arXiv 2302.04867): predict as `dpmpp_2m`, correct for free.

    Every evaluation is first used to redo the step that led to it.
    """
    denoised = denoise(state.x, now)
    x = _corrected(state, now, denoised)
    evaluation = Evaluation(now, x, denoised)
    target = _extrapolated(evaluation, state.past, to)
    return state.advanced(target + (x - target) * (to.sigma / now.sigma), evaluation)


def lcm(denoise: Denoiser, state: State, now: NoiseLevel, to: NoiseLevel, noise: Noise) -> State:
    """Latent consistency sampling (Luo et al. 2023, arXiv 2310.04378): jump to the estimate of x0, add fresh noise."""
    denoised = denoise(state.x, now)
    scaled = (10 * now.timestep) ** 2
    skip, out = 0.25 / (scaled + 0.25), sqrt(scaled / (scaled + 0.25))
    x = out * denoised + (skip / sqrt(1 + now.sigma**2)) * state.x
    evaluation = Evaluation(now, state.x, x)
    if to.sigma > 0:
        x = x + to.sigma * noise()
    return state.advanced(x, evaluation)


# -- pieces


def _slope(at: Evaluation) -> Array:
    """dx/dsigma of the probability-flow ODE: the predicted noise."""
    return (at.x - at.denoised) * (1 / at.level.sigma)


def _slide(at: Evaluation, to: NoiseLevel) -> Array:
    """One Euler step."""
    return at.denoised + (at.x - at.denoised) * (to.sigma / at.level.sigma)


def _extrapolated(at: Evaluation, past: tuple[Evaluation, ...], to: NoiseLevel) -> Array:
    """The estimate of x0 at the middle of the step in log sigma, from this evaluation and the one before.

    The ratio of the steps is held above 0.1: a run that starts a hair above a grid level would otherwise divide the
    network's rounding error by that hair. Its weight goes to zero instead, so that strength stays continuous.
    """
    if not past or to.sigma == 0:
        return at.denoised
    before = past[-1]
    ratio = log(before.level.sigma / at.level.sigma) / log(at.level.sigma / to.sigma)
    return at.denoised + (0.5 / max(ratio, 0.1)) * (at.denoised - before.denoised)


def _corrected(state: State, now: NoiseLevel, denoised: Array) -> Array:
    """UniC: the step from the level before to this one, done again with the estimate of x0 found at its end."""
    if not state.past:
        return state.x
    before = state.past[-1]
    h = log(before.level.sigma / now.sigma)
    shrunk = now.sigma / before.level.sigma
    change = denoised - before.denoised
    if len(state.past) == 1:
        target = before.denoised + 0.5 * change
    else:
        # weights (p, q) of the two differences solve  p + q = b1,  -r p + q = b2  (their equation 5 with B = e^-h - 1)
        earlier = state.past[-2]
        ratio = max(log(earlier.level.sigma / before.level.sigma) / h, 0.1)
        phi = (shrunk - 1) / -h - 1
        b1, b2 = phi / (shrunk - 1), 2 * (phi / -h - 0.5) / (shrunk - 1)
        p = (b1 - b2) / (1 + ratio)
        slope = (before.denoised - earlier.denoised) * (1 / ratio)
        target = before.denoised + p * slope + (b1 - p) * change
    return target + shrunk * (before.x - target)


class Method(NamedTuple):
    """A row of the table: the step, its order of convergence, whether it draws noise, its default eta if it has one."""

    step: Callable[..., State]
    order: int
    stochastic: bool = False
    eta: float | None = None

    def with_eta(self, eta: float | None) -> Sampler:
        """The step with eta bound, by default the method's own; `InputError` outside [0, 1] or without an eta."""
        if eta is None:
            return self.step if self.eta is None else partial(self.step, eta=self.eta)
        if self.eta is None:
            raise InputError("this sampler has no eta; leave it out, or use euler_a, ddim or dpmpp_2m_sde")
        if not 0 <= eta <= 1:
            raise InputError(f"eta must be between 0 and 1, not {eta}")
        return partial(self.step, eta=eta)


SAMPLERS: dict[str, Method] = {
    "euler": Method(euler, 1),
    "euler_a": Method(euler, 1, stochastic=True, eta=1.0),
    "heun": Method(heun, 2),
    "ddim": Method(euler, 1, eta=0.0),
    "dpmpp_2m": Method(dpmpp_2m, 2),
    "dpmpp_2m_sde": Method(dpmpp_2m_sde, 2, stochastic=True, eta=1.0),
    "plms": Method(plms, 2),
    "unipc": Method(unipc, 3),
    "lcm": Method(lcm, 1, stochastic=True),
}
