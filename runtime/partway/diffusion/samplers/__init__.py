"""Samplers: pure steps from one noise level to the next, in ``x = x0 + sigma * noise``.

A sampler is a function ``(denoise, state, now, to, noise) -> state`` that steps from level ``now`` to level ``to``,
with ``now.sigma`` > ``to.sigma`` >= 0; ``state`` has the levels before and after. Scalars are Python floats, so that
float32 latents stay float32. To add one, write the function in `singlestep` or `multistep`, add a row of `SAMPLERS`,
and its names in other tools to `partway.diffusion.names`.
"""

from collections.abc import Callable
from functools import partial
from inspect import signature
from typing import NamedTuple

from partway.diffusion.levels import Trained
from partway.diffusion.samplers.multistep import (
    deis,
    dpmpp_2m,
    dpmpp_2m_sde,
    dpmpp_3m,
    gradient_estimation,
    ipndm,
    lms,
    plms,
    unipc,
)
from partway.diffusion.samplers.singlestep import (
    dpm2,
    dpmpp_2s,
    dpmpp_sde,
    euler,
    euler_cfg_pp,
    heun,
    heunpp2,
    lcm,
    restart,
    tcd,
)
from partway.diffusion.sampling import Sampler, State
from partway.errors import InputError


class Method(NamedTuple):
    """A row of the table.

    step        the function
    order       the order of convergence, which the tests measure
    stochastic  whether it adds noise
    eta         the default of its eta; None where it has none to choose
    calls       evaluations in an ordinary step; the first step, the last and a restart may take more or fewer
    path        whether its noise comes from one Brownian path (`partway.diffusion.brownian`), so that a seed means
                nearly the same picture at any number of steps. k-diffusion's BrownianTreeNoiseSampler does that for
                dpmpp_sde, dpmpp_2m_sde and dpmpp_3m_sde. Here dpmpp_2m_sde draws new noise in each step instead, as
                diffusers' DPMSolverMultistepScheduler does, and so gives the pictures of diffusers
    """

    step: Callable[..., State]
    order: int
    stochastic: bool = False
    eta: float | None = None
    calls: int = 1
    path: bool = False

    def check_eta(self, eta: float | None) -> None:
        """Raise `InputError` for an ``eta`` where none can be chosen."""
        if eta is not None and self.eta is None:
            known = ", ".join(name for name, method in SAMPLERS.items() if method.eta is not None)
            raise InputError(f"this sampler has no eta; leave it out, or use one of: {known}")

    def bound(self, trained: Trained, eta: float | None = None, *, steps: int = 0) -> Sampler:
        """The step with ``eta`` (0 .. 1), by default the method's own; raises `InputError` if it has none.

        Methods that evaluate a level between two others look up its timestep in ``trained``. Those whose order falls
        towards the end of a schedule take its number of ``steps``.
        """
        self.check_eta(eta)
        chosen: dict[str, object] = {"eta": self.eta if eta is None else eta, "trained": trained, "steps": steps}
        taken = signature(self.step).parameters
        return partial(self.step, **{k: v for k, v in chosen.items() if k in taken and v is not None})


SAMPLERS: dict[str, Method] = {
    "euler": Method(euler, 1),
    "euler_a": Method(euler, 1, stochastic=True, eta=1.0),
    "euler_cfg_pp": Method(euler_cfg_pp, 1),
    "euler_a_cfg_pp": Method(euler_cfg_pp, 1, stochastic=True, eta=1.0),
    "heun": Method(heun, 2, calls=2),
    "heunpp2": Method(heunpp2, 1, calls=3),
    "restart": Method(restart, 2, stochastic=True, calls=2),
    "ddim": Method(euler, 1, eta=0.0),
    "ddpm": Method(partial(euler, eta=1.0), 1, stochastic=True),
    "dpm2": Method(dpm2, 2, calls=2),
    "dpm2_a": Method(dpm2, 2, stochastic=True, eta=1.0, calls=2),
    "dpmpp_2s": Method(dpmpp_2s, 2, calls=2),
    "dpmpp_2s_a": Method(dpmpp_2s, 2, stochastic=True, eta=1.0, calls=2),
    "dpmpp_sde": Method(dpmpp_sde, 1, stochastic=True, eta=1.0, calls=2, path=True),
    "dpmpp_2m": Method(dpmpp_2m, 2),
    "dpmpp_2m_sde": Method(dpmpp_2m_sde, 2, stochastic=True, eta=1.0),
    "dpmpp_3m": Method(dpmpp_3m, 2),
    "dpmpp_3m_sde": Method(dpmpp_3m, 2, stochastic=True, eta=1.0, path=True),
    "res_multistep": Method(partial(dpmpp_3m, back=1), 2),
    "unipc": Method(unipc, 3),
    "deis": Method(deis, 3),
    "lms": Method(lms, 3),
    "plms": Method(plms, 2),
    "ipndm": Method(ipndm, 2),
    "gradient_estimation": Method(gradient_estimation, 1),
    "lcm": Method(lcm, 1, stochastic=True),
    "tcd": Method(tcd, 1, stochastic=True, eta=0.3),
}
