"""How long a run takes once its networks are loaded, predicted from what ``partway tune`` measured of single calls."""

from math import prod

from partway.budget.tuned import Measured
from partway.model.tiles import WHOLE, Tiling
from partway.run.planned import Planned


def seconds(planned: Planned, measured: Measured) -> float | None:
    """About the seconds of a run; None if it needs a network that was not measured.

    Calls of the UNet and the VAE count in proportion to the pixels they are given. What is remembered from an earlier
    run, and what is no network, does not count.
    """
    plan = planned.plan
    if not all(name in measured.seconds for name, count in plan.calls.items() if count):
        return None

    def larger(tiling: Tiling) -> float:
        """How many times the pixels of a measured call are given to each of this run's."""
        now, before = (planned.package.latent_shape(*size)[2:] for size in (planned.start.size, measured.size))
        alone = tiling if tiling.exact else WHOLE  # of a graph that takes one size, all calls are alike
        return prod(tiling.input_size(*now)) / prod(alone.input_size(*before))

    encoder, decoder = plan.vae
    unet, encode, decode = map(larger, planned.tilings)
    factors = {**dict.fromkeys(plan.rows, unet * planned.pictures), encoder: encode, decoder: decode * planned.pictures}
    counts = plan.calls | plan.rows  # calls of the UNet are measured for each prediction
    return sum(count * factors.get(name, 1.0) * measured.seconds[name] for name, count in counts.items() if count)
