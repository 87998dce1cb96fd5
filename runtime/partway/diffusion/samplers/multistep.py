"""Samplers that look back: each step makes one evaluation and uses those of the steps before."""

from math import exp, expm1, log, sqrt

import numpy as np

from partway.diffusion.levels import NoiseLevel
from partway.diffusion.samplers.steps import CLOSEST, euler_step, lowered, slope, step_ratio
from partway.diffusion.sampling import Array, Denoiser, Evaluation, Noise, State

# -- DPM-Solver++: extrapolates the estimate of x0


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
        x += to.sigma * sqrt(1 - ratio ** (2 * eta)) * noise(now.sigma, to.sigma)
    return state.advanced(x, evaluation)


def dpmpp_3m(
    denoise: Denoiser,
    state: State,
    now: NoiseLevel,
    to: NoiseLevel,
    noise: Noise,
    *,
    eta: float = 0.0,
    back: int = 2,
) -> State:
    """DPM-Solver++(3M) (Lu et al. 2022, arXiv 2211.01095, appendix B.2), for the SDE with ``eta`` in (0, 1].

    It uses ``back`` earlier evaluations, 1 or 2, where there are as many. With 1 it is the second-order multistep
    integrator of RES (Zhang et al. 2023, arXiv 2308.02157).
    """
    evaluation = Evaluation(now, state.x, denoise(state.x, now))
    if to.sigma == 0:  # Denoising step
        return state.advanced(euler_step(evaluation, 0.0), evaluation)
    h = log(now.sigma / to.sigma)
    scaled = h * (1 + eta)
    x = exp(-scaled) * state.x - expm1(-scaled) * evaluation.denoised
    second = expm1(-scaled) / scaled + 1  # phi functions of the exponential integrator
    match state.past[-back:]:
        case [*_, old, before] if back > 1:  # DPM-Solver++(3M)
            r0 = step_ratio(before.level, now, to)
            r1 = max(log(old.level.sigma / before.level.sigma) / h, CLOSEST)
            first = (evaluation.denoised - before.denoised) * (1 / r0)
            curve = (first - (before.denoised - old.denoised) * (1 / r1)) * (1 / (r0 + r1))
            x += second * (first + r0 * curve) - (second / scaled - 0.5) * curve
        case [*_, before]:  # DPM-Solver++(2M)
            x += (second / step_ratio(before.level, now, to)) * (evaluation.denoised - before.denoised)
    if eta:
        x += to.sigma * sqrt(-expm1(-2 * h * eta)) * noise(now.sigma, to.sigma)
    return state.advanced(x, evaluation)


def unipc(denoise: Denoiser, state: State, now: NoiseLevel, to: NoiseLevel, noise: Noise) -> State:
    """UniPC of order 2, B(h) = e^h - 1 (Zhao et al. 2023, arXiv 2302.04867): predict as `dpmpp_2m`, then correct.

    The corrector redoes the step before with the new evaluation, so it needs no further network call.
    """
    denoised = denoise(state.x, now)
    x = _corrected(state, now, denoised)
    evaluation = Evaluation(now, x, denoised)
    target = _extrapolated(evaluation, state.past, to)
    return state.advanced(target + (x - target) * (to.sigma / now.sigma), evaluation)


# -- Adams-Bashforth: extrapolates the slope, which is the predicted noise


def plms(denoise: Denoiser, state: State, now: NoiseLevel, to: NoiseLevel, noise: Noise) -> State:
    """Pseudo linear multistep (Liu et al. 2022, arXiv 2202.09778); the first step takes two calls.

    A step is the first one when the past is empty, so the sampler is right wherever on the schedule a run begins.
    """
    evaluation = Evaluation(now, state.x, denoise(state.x, now))
    if state.past or to.sigma == 0:
        return _adams(state, evaluation, to)
    # Heun's method
    guess = euler_step(evaluation, to.sigma)
    mean = 0.5 * (slope(evaluation) + slope(Evaluation(to, guess, denoise(guess, to))))
    return state.advanced(state.x + (to.sigma - now.sigma) * mean, evaluation)


def ipndm(denoise: Denoiser, state: State, now: NoiseLevel, to: NoiseLevel, noise: Noise) -> State:
    """Improved PNDM (Zhang & Chen 2022, arXiv 2204.13902): `plms` whose first step is Euler's, with one call."""
    return _adams(state, Evaluation(now, state.x, denoise(state.x, now)), to)


def gradient_estimation(denoise: Denoiser, state: State, now: NoiseLevel, to: NoiseLevel, noise: Noise) -> State:
    """Gradient estimation (Permenter & Yuan 2023, arXiv 2306.04848, gamma 2).

    It steps along the slope plus the slope's change since the evaluation before.
    """
    evaluation = Evaluation(now, state.x, denoise(state.x, now))
    if not state.past or to.sigma == 0:  # Euler method
        return state.advanced(euler_step(evaluation, to.sigma), evaluation)
    direction = 2 * slope(evaluation) - slope(state.past[-1])
    return state.advanced(state.x + (to.sigma - now.sigma) * direction, evaluation)


def lms(denoise: Denoiser, state: State, now: NoiseLevel, to: NoiseLevel, noise: Noise) -> State:
    """Linear multistep (k-diffusion): integrates the polynomial in sigma through up to four slopes."""
    return _integrated(state, Evaluation(now, state.x, denoise(state.x, now)), to, back=3)


def deis(
    denoise: Denoiser,
    state: State,
    now: NoiseLevel,
    to: NoiseLevel,
    noise: Noise,
    *,
    order: int = 3,
    final: str = "never",
    steps: int = 0,
) -> State:
    """DEIS (Zhang & Chen 2022, arXiv 2204.13902): integrates the polynomial in log sigma through up to 3 slopes.

    A last step to sigma 0, which has no logarithm, is Euler's. ``final`` and ``steps`` as in `lowered`.
    """
    evaluation = Evaluation(now, state.x, denoise(state.x, now))
    slopes = lowered(order, final, len(state.ahead), steps) if to.sigma > 0 else 1
    return _integrated(state, evaluation, to, back=slopes - 1, in_log=True)


# -- parts of the above


def _extrapolated(at: Evaluation, past: tuple[Evaluation, ...], to: NoiseLevel) -> Array:
    """The estimate of x0 at the step's middle in log sigma, extrapolated from this evaluation and the one before."""
    if not past or to.sigma == 0:
        return at.denoised
    before = past[-1]
    return at.denoised + (0.5 / step_ratio(before.level, at.level, to)) * (at.denoised - before.denoised)


def _corrected(state: State, now: NoiseLevel, denoised: Array) -> Array:
    """UniC: x after the step from the level before, redone with ``denoised``, the estimate of x0 at its end."""
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
        ratio = step_ratio(earlier.level, before.level, now)
        phi = (shrunk - 1) / -h - 1
        b1, b2 = phi / (shrunk - 1), 2 * (phi / -h - 0.5) / (shrunk - 1)
        p = (b1 - b2) / (1 + ratio)
        rise = (before.denoised - earlier.denoised) * (1 / ratio)
        target = before.denoised + p * rise + (b1 - p) * change
    return target + shrunk * (before.x - target)


_ADAMS = ((1.0,), (3 / 2, -1 / 2), (23 / 12, -16 / 12, 5 / 12), (55 / 24, -59 / 24, 37 / 24, -9 / 24))


def _adams(state: State, evaluation: Evaluation, to: NoiseLevel) -> State:
    """A step along up to four slopes, with the Adams-Bashforth weights of evenly spaced levels."""
    recent = [evaluation, *reversed(state.past)][:4]
    rise = sum(weight * slope(e) for weight, e in zip(_ADAMS[len(recent) - 1], recent, strict=True))
    return state.advanced(state.x + (to.sigma - evaluation.level.sigma) * rise, evaluation)


def _integrated(state: State, evaluation: Evaluation, to: NoiseLevel, *, back: int, in_log: bool = False) -> State:
    """A step by the integral over sigma of the polynomial, in sigma or in log sigma, through the latest slopes.

    These are the slopes of this evaluation and of up to ``back`` earlier ones. Levels closer together than a tenth of
    the step count as that far apart, for the reason that `step_ratio` gives.
    """
    from numpy.polynomial.legendre import leggauss  # start-up can do without it

    recent = [evaluation, *reversed(state.past)][: back + 1]
    if len(recent) == 1:  # Euler method
        return state.advanced(euler_step(evaluation, to.sigma), evaluation)
    sigmas = np.array([*(e.level.sigma for e in recent), to.sigma])
    *places, end = np.log(sigmas) if in_log else sigmas
    gaps = np.maximum(np.diff(places), CLOSEST * (places[0] - end))
    nodes = places[0] + np.append(0.0, np.cumsum(gaps))
    # Gauss-Legendre with eight points is exact for polynomials in sigma, and to 1e-9 and better for those in its log.
    points, shares = leggauss(8)
    points = places[0] + (points + 1) / 2 * (end - places[0])
    shares = shares / 2 * (end - places[0]) * (np.exp(points) if in_log else 1.0)
    x = state.x
    for i, e in enumerate(recent):
        basis = np.prod([(points - node) / (nodes[i] - node) for node in np.delete(nodes, i)], axis=0)
        x = x + float(basis @ shares) * slope(e)
    return state.advanced(x, evaluation)
