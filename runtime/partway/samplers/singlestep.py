"""Samplers that remember nothing: one evaluation a step, or two with one at a level of their own."""

from collections.abc import Callable
from math import sqrt

from partway.levels import NoiseLevel, Trained
from partway.samplers.steps import slide, slope, split
from partway.sampling import Array, Denoiser, Evaluation, Noise, State


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


def heun(denoise: Denoiser, state: State, now: NoiseLevel, to: NoiseLevel, noise: Noise) -> State:
    """Heun's second-order method (Karras et al. 2022, Algorithm 1); one call only on a last step to 0."""
    first = Evaluation(now, state.x, denoise(state.x, now))
    x = slide(first, to.sigma)
    if to.sigma == 0:
        return state.advanced(x, first)
    second = Evaluation(to, x, denoise(x, to))
    mean = 0.5 * (slope(first) + slope(second))
    return state.advanced(state.x + (to.sigma - now.sigma) * mean, first)


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
    path (`partway.brownian.Path`) and both belong together.
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
