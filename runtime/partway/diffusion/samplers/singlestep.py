"""Samplers that use no earlier evaluations: each step evaluates its own level and, in some, further ones."""

from collections.abc import Callable
from itertools import pairwise
from math import sqrt

from partway.diffusion.levels import NoiseLevel, Trained
from partway.diffusion.samplers.steps import ancestral_step, euler_step, slope
from partway.diffusion.sampling import Array, Denoiser, Evaluation, Noise, State


def euler(denoise: Denoiser, state: State, now: NoiseLevel, to: NoiseLevel, noise: Noise, *, eta: float = 0.0) -> State:
    """Euler (Karras et al. 2022, Algorithm 2 without churn); with ``eta`` in (0, 1] its ancestral form.

    In the variable x = x0 + sigma * noise, DDIM (Song et al. 2021, arXiv 2010.02502, equation 16) with its eta is the
    same function. With eta 1 it is DDPM (Ho et al. 2020, arXiv 2006.11239, Algorithm 2).
    """
    evaluation = Evaluation(now, state.x, denoise(state.x, now))
    sigma_down, sigma_up = ancestral_step(now, to.sigma, eta)
    x = euler_step(evaluation, sigma_down)
    if eta:
        x += sigma_up * noise(now.sigma, to.sigma)
    return state.advanced(x, evaluation)


LAMBDA_1 = 12.5  # the guidance scale that A1111 takes for CFG++'s lambda of 1; 7.5 is the paper's 0.6
SHORTEST = 0.01  # of sigma; see `euler_cfg_pp`


def euler_cfg_pp(
    denoise: Denoiser, state: State, now: NoiseLevel, to: NoiseLevel, noise: Noise, *, eta: float = 0.0
) -> State:
    """Euler with CFG++ (Chung et al. 2024, arXiv 2406.08070, Algorithm 2); with ``eta`` in (0, 1] its ancestral form.

    CFG++ steps with an estimate of x0 that is guided by lambda and with predicted noise that is not guided. Let r be
    the share of the noise that the step keeps, sigma_down / sigma. Then the step equals Euler's with guidance
    lambda / (1 - r), so this function needs no second kind of estimate. Lambda is the guidance scale / 12.5.

    Guidance moves x by the same amount however short the step is, so CFG++ has no order of convergence at lambda > 0.
    In steps shorter than a hundredth of sigma, guidance moves x in proportion to their length: without that limit,
    1 / (1 - r) would grow until float32 lost the estimate.
    """
    sigma_down, _ = ancestral_step(now, to.sigma, eta)
    factor = 1 / (LAMBDA_1 * max(1 - sigma_down / now.sigma, SHORTEST))

    def boosted(x: Array, level: NoiseLevel, boost: float = 1.0, /) -> Array:
        return denoise(x, level, boost * factor)

    return euler(boosted, state, now, to, noise, eta=eta)


def heun(denoise: Denoiser, state: State, now: NoiseLevel, to: NoiseLevel, noise: Noise) -> State:
    """Heun's second-order method (Karras et al. 2022, Algorithm 1); a last step to 0 is Euler's, with one call."""
    first = Evaluation(now, state.x, denoise(state.x, now))
    x = euler_step(first, to.sigma)
    if to.sigma == 0:  # Euler method
        return state.advanced(x, first)
    # Heun's method
    second = Evaluation(to, x, denoise(x, to))
    mean = 0.5 * (slope(first) + slope(second))
    return state.advanced(state.x + (to.sigma - now.sigma) * mean, first)


def heunpp2(denoise: Denoiser, state: State, now: NoiseLevel, to: NoiseLevel, noise: Noise) -> State:
    """Heun++ as ComfyUI's "heunpp2" defines it: a step along the weighted mean of up to three slopes.

    The slopes are those at this level and, after Euler steps, at the next two; the level that the run ends on is never
    evaluated. A later slope has the weight of its sigma / (number of slopes * the run's first sigma). Those weights go
    to 0 towards the end of the run, where the step becomes Euler's, so the order is 1.
    """
    first = Evaluation(now, state.x, denoise(state.x, now))
    levels = (to, *state.ahead)
    evaluated = levels[:-1][:2]
    top = (*state.behind, now)[0].sigma
    mean, x = slope(first), euler_step(first, to.sigma)
    for level, following in zip(evaluated, levels[1:], strict=False):
        there = Evaluation(level, x, denoise(x, level))
        share = level.sigma / ((len(evaluated) + 1) * top)
        mean = mean + share * (slope(there) - slope(first))
        x = euler_step(there, following.sigma)
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

    When a step arrives at the run's last level not below sigma ``low``, it adds noise up to sigma ``high`` and runs
    that part of the schedule again, ``times`` times. It never rises above the level where the run began, which is as
    much noise as strength allows.
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
    """DPM-Solver-2 as Karras et al. 2022 write it (Algorithm 2): a step along the slope at its middle in log sigma.

    With ``eta`` in (0, 1] it is the ancestral form.
    """

    def arrive(middle: Evaluation, sigma_down: float) -> Array:
        return state.x + (sigma_down - now.sigma) * slope(middle)

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

    def arrive(middle: Evaluation, sigma_down: float) -> Array:
        return middle.denoised + (state.x - middle.denoised) * (sigma_down / now.sigma)

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
    """A step that evaluates its middle in log sigma; ``arrive(middle, sigma_down)`` returns x at ``sigma_down``."""
    first = Evaluation(now, state.x, denoise(state.x, now))
    if to.sigma == 0:  # Euler method
        return state.advanced(euler_step(first, 0.0), first)
    sigma_down, sigma_up = ancestral_step(now, to.sigma, eta)
    middle = trained.level(sqrt(now.sigma * sigma_down))
    guess = euler_step(first, middle.sigma)
    x = arrive(Evaluation(middle, guess, denoise(guess, middle)), sigma_down)
    if eta:
        x += sigma_up * noise(now.sigma, to.sigma)
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
    """DPM-Solver++ for the diffusion SDE with its middle at half the step in log sigma (k-diffusion, with r = 1/2).

    It steps from the start to the middle and, again from the start, to the end, and adds noise in both. Noise of one
    Brownian path (`partway.diffusion.brownian.Path`) makes the two consistent.
    """
    first = Evaluation(now, state.x, denoise(state.x, now))
    if to.sigma == 0:  # Euler method
        return state.advanced(euler_step(first, 0.0), first)
    # Step 1: to the middle
    middle = trained.level(sqrt(now.sigma * to.sigma))
    sigma_down, sigma_up = ancestral_step(now, middle.sigma, eta)
    guess = euler_step(first, sigma_down)
    if eta:
        guess += sigma_up * noise(now.sigma, middle.sigma)
    target = denoise(guess, middle)
    # Step 2: from the start to the end
    sigma_down, sigma_up = ancestral_step(now, to.sigma, eta)
    x = target + (state.x - target) * (sigma_down / now.sigma)
    if eta:
        x += sigma_up * noise(now.sigma, to.sigma)
    return state.advanced(x, first)


def lcm(denoise: Denoiser, state: State, now: NoiseLevel, to: NoiseLevel, noise: Noise) -> State:
    """Latent consistency sampling (Luo et al. 2023, arXiv 2310.04378): go to the estimate of x0, add new noise."""
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

    It takes an Euler step to a level below the next one, then adds noise up to that one.
    """
    evaluation = Evaluation(now, state.x, denoise(state.x, now))
    if to.sigma == 0:  # Euler method
        return state.advanced(euler_step(evaluation, 0.0), evaluation)
    sigma_down = min(float(trained.sigma(int((1 - eta) * to.timestep))), to.sigma)
    x = euler_step(evaluation, sigma_down)
    if eta:
        x += sqrt(to.sigma**2 - sigma_down**2) * noise(now.sigma, to.sigma)
    return state.advanced(x, evaluation)
