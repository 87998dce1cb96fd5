"""Samplers that remember nothing: one evaluation a step, or two with one at a level of their own."""

from collections.abc import Callable
from itertools import pairwise
from math import sqrt

from partway.diffusion.levels import NoiseLevel, Trained
from partway.diffusion.samplers.steps import slide, slope, split
from partway.diffusion.sampling import Array, Denoiser, Evaluation, Noise, State


def euler(denoise: Denoiser, state: State, now: NoiseLevel, to: NoiseLevel, noise: Noise, *, eta: float = 0.0) -> State:
    """Euler (Karras et al. 2022, Algorithm 2 without churn); with ``eta`` in (0, 1] its ancestral form.

    DDIM (Song et al. 2021, arXiv 2010.02502, equation 16) is this very function: in this variable its update,
    its eta included, is the same. With eta 1 it is DDPM (Ho et al. 2020, arXiv 2006.11239, Algorithm 2).
    """
    evaluation = Evaluation(now, state.x, denoise(state.x, now))
    kept, fresh = split(now, to.sigma, eta)
    x = slide(evaluation, kept)
    if eta:
        x += fresh * noise(now.sigma, to.sigma)
    return state.advanced(x, evaluation)


LAMBDA_1 = 12.5  # the guidance scale that stands for CFG++'s lambda of 1, as A1111 counts; 7.5 is the paper's 0.6
SHORTEST = 0.01  # of sigma; see `euler_cfg_pp`


def euler_cfg_pp(
    denoise: Denoiser, state: State, now: NoiseLevel, to: NoiseLevel, noise: Noise, *, eta: float = 0.0
) -> State:
    """Euler with CFG++ (Chung et al. 2024, arXiv 2406.08070, Algorithm 2); with ``eta`` in (0, 1] its ancestral form.

    The step takes the estimate of x0 with guidance lambda and the noise without any. With r the share of the noise
    that it keeps, that is Euler's step with guidance lambda / (1 - r), which spares a second kind of estimate.
    Lambda is the guidance scale / 12.5. The push of a step does not shrink with its length, so that orders of
    convergence mean nothing at lambda > 0; below a hundredth of sigma it does, for float32 would drown in it.
    """
    kept, _ = split(now, to.sigma, eta)
    push = 1 / (LAMBDA_1 * max(1 - kept / now.sigma, SHORTEST))

    def pushed(x: Array, level: NoiseLevel, boost: float = 1.0, /) -> Array:
        return denoise(x, level, boost * push)

    return euler(pushed, state, now, to, noise, eta=eta)


def heun(denoise: Denoiser, state: State, now: NoiseLevel, to: NoiseLevel, noise: Noise) -> State:
    """Heun's second-order method (Karras et al. 2022, Algorithm 1); one call only on a last step to 0."""
    first = Evaluation(now, state.x, denoise(state.x, now))
    x = slide(first, to.sigma)
    if to.sigma == 0:
        return state.advanced(x, first)
    second = Evaluation(to, x, denoise(x, to))
    mean = 0.5 * (slope(first) + slope(second))
    return state.advanced(state.x + (to.sigma - now.sigma) * mean, first)


def heunpp2(denoise: Denoiser, state: State, now: NoiseLevel, to: NoiseLevel, noise: Noise) -> State:
    """Heun++ as ComfyUI's "heunpp2" defines it: the slope here and, foreseen, at the next two levels, weighted.

    A later slope weighs its sigma / (how many slopes * the run's first sigma), so that near the end the step is Euler's
    and the order is 1. The level that the run ends on is not foreseen.
    """
    first = Evaluation(now, state.x, denoise(state.x, now))
    levels = (to, *state.ahead)
    foreseen = levels[:-1][:2]
    top = (*state.behind, now)[0].sigma
    mean, x = slope(first), slide(first, to.sigma)
    for level, following in zip(foreseen, levels[1:], strict=False):
        there = Evaluation(level, x, denoise(x, level))
        share = level.sigma / ((len(foreseen) + 1) * top)
        mean = mean + share * (slope(there) - slope(first))
        x = slide(there, following.sigma)
    return state.advanced(state.x + (to.sigma - now.sigma) * mean, first)


def restart(
    denoise: Denoiser,
    state: State,
    now: NoiseLevel,
    to: NoiseLevel,
    noise: Noise,
    *,
    trained: Trained,
    low: float = 0.1,
    high: float = 2.0,
    times: int = 1,
) -> State:
    """Heun's method with restarts (Xu et al. 2023, arXiv 2306.14878, Algorithm 1).

    Arrived at the run's last level not below ``low`` it adds noise up to ``high`` and runs that part of the schedule
    again, ``times`` times. It never rises above the level where the run began: that is what strength promised.
    """
    state = heun(denoise, state, now, to, noise)
    start = (*state.behind, now)[0]
    top = start if start.sigma <= high else trained.level(high)
    following = state.ahead[0].sigma if state.ahead else 0.0
    if not following < low <= to.sigma < top.sigma:
        return state
    again = [top, *(level for level in (*state.behind, now) if to.sigma < level.sigma < top.sigma), to]
    for _ in range(times):
        state = state._replace(x=state.x + sqrt(top.sigma**2 - to.sigma**2) * noise(top.sigma, to.sigma))
        for above, below in pairwise(again):
            state = heun(denoise, state, above, below, noise)
    return state


def dpm2(
    denoise: Denoiser,
    state: State,
    now: NoiseLevel,
    to: NoiseLevel,
    noise: Noise,
    *,
    trained: Trained,
    eta: float = 0.0,
) -> State:
    """DPM-Solver-2 in the form of Karras et al. 2022 (Algorithm 2): a step by the slope at its middle in log sigma."""

    def arrive(middle: Evaluation, kept: float) -> Array:
        return state.x + (kept - now.sigma) * slope(middle)

    return _by_the_middle(denoise, state, now, to, noise, trained, eta, arrive)


def dpmpp_2s(
    denoise: Denoiser,
    state: State,
    now: NoiseLevel,
    to: NoiseLevel,
    noise: Noise,
    *,
    trained: Trained,
    eta: float = 0.0,
) -> State:
    """DPM-Solver++(2S) (Lu et al. 2022, arXiv 2211.01095, Algorithm 1); with ``eta`` in (0, 1] its ancestral form."""

    def arrive(middle: Evaluation, kept: float) -> Array:
        return middle.denoised + (state.x - middle.denoised) * (kept / now.sigma)

    return _by_the_middle(denoise, state, now, to, noise, trained, eta, arrive)


def _by_the_middle(
    denoise: Denoiser,
    state: State,
    now: NoiseLevel,
    to: NoiseLevel,
    noise: Noise,
    trained: Trained,
    eta: float,
    arrive: Callable[[Evaluation, float], Array],
) -> State:
    """A step that evaluates its middle in log sigma; ``arrive`` makes of that, and of the noise kept, where it ends."""
    first = Evaluation(now, state.x, denoise(state.x, now))
    if to.sigma == 0:
        return state.advanced(slide(first, 0.0), first)
    kept, fresh = split(now, to.sigma, eta)
    middle = trained.level(sqrt(now.sigma * kept))
    guess = slide(first, middle.sigma)
    x = arrive(Evaluation(middle, guess, denoise(guess, middle)), kept)
    if eta:
        x += fresh * noise(now.sigma, to.sigma)
    return state.advanced(x, first)


def dpmpp_sde(
    denoise: Denoiser,
    state: State,
    now: NoiseLevel,
    to: NoiseLevel,
    noise: Noise,
    *,
    trained: Trained,
    eta: float = 1.0,
) -> State:
    """DPM-Solver++ for the diffusion SDE, singlestep with its middle at half the step (as k-diffusion defines it).

    It adds noise on the way to the middle and, from the start again, on the way to the end: give it noise of one
    path (`partway.diffusion.brownian.Path`) and both belong together.
    """
    first = Evaluation(now, state.x, denoise(state.x, now))
    if to.sigma == 0:
        return state.advanced(slide(first, 0.0), first)
    middle = trained.level(sqrt(now.sigma * to.sigma))
    kept, fresh = split(now, middle.sigma, eta)
    guess = slide(first, kept)
    if eta:
        guess += fresh * noise(now.sigma, middle.sigma)
    target = denoise(guess, middle)
    kept, fresh = split(now, to.sigma, eta)
    x = target + (state.x - target) * (kept / now.sigma)
    if eta:
        x += fresh * noise(now.sigma, to.sigma)
    return state.advanced(x, first)


def lcm(denoise: Denoiser, state: State, now: NoiseLevel, to: NoiseLevel, noise: Noise) -> State:
    """Latent consistency sampling (Luo et al. 2023, arXiv 2310.04378): jump to the estimate of x0, add fresh noise."""
    denoised = denoise(state.x, now)
    scaled = (10 * now.timestep) ** 2
    skip, out = 0.25 / (scaled + 0.25), sqrt(scaled / (scaled + 0.25))
    x = out * denoised + (skip / sqrt(1 + now.sigma**2)) * state.x
    evaluation = Evaluation(now, state.x, x)
    if to.sigma > 0:
        x = x + to.sigma * noise(now.sigma, to.sigma)
    return state.advanced(x, evaluation)


def tcd(
    denoise: Denoiser,
    state: State,
    now: NoiseLevel,
    to: NoiseLevel,
    noise: Noise,
    *,
    trained: Trained,
    eta: float = 0.3,
) -> State:
    """Trajectory consistency sampling (Zheng et al. 2024, arXiv 2402.19159, Algorithm 4); eta is the paper's gamma.

    It jumps along the trajectory to a level below the next one, then adds noise up to it.
    """
    evaluation = Evaluation(now, state.x, denoise(state.x, now))
    if to.sigma == 0:
        return state.advanced(slide(evaluation, 0.0), evaluation)
    below = min(float(trained.sigma(int((1 - eta) * to.timestep))), to.sigma)
    x = slide(evaluation, below)
    if eta:
        x += sqrt(to.sigma**2 - below**2) * noise(now.sigma, to.sigma)
    return state.advanced(x, evaluation)
