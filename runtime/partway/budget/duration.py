"""How long a run takes once its networks are loaded, predicted from what ``partway tune`` measured of single calls."""

from partway.budget.footprint import seen
from partway.budget.tuned import Measured
from partway.model.package import Package
from partway.run.plans import Plan
from partway.settings import Settings


def seconds(
    plan: Plan, package: Package, settings: Settings, size: tuple[int, int], measured: Measured
) -> float | None:
    """About the seconds of a run on pictures of this size in pixels; None if it needs a network that was not measured.

    Calls of the UNet and the VAE count in proportion to the pixels they are shown. What is remembered from an earlier
    run, and what is no network, does not count.
    """
    if not all(name in measured.seconds for name, count in plan.calls.items() if count):
        return None
    before = _area(seen(package, measured.size, None))
    unet, vae = (
        _area(seen(package, size, tile)) / before for tile in (settings.tile, settings.vae_tile or settings.tile)
    )
    pictures = len(settings.seeds)
    encoder, decoder = plan.vae
    factors = {**dict.fromkeys(plan.rows, unet * pictures), encoder: vae, decoder: vae * pictures}
    counts = plan.calls | plan.rows  # calls of the UNet are measured for each prediction
    return sum(count * factors.get(name, 1.0) * measured.seconds[name] for name, count in counts.items() if count)


def _area(sides: tuple[int, int]) -> int:
    return sides[0] * sides[1]
