"""How often an engine is called for a run, from the run's plan."""

from collections.abc import Mapping
from math import ceil

from partway.graphs import SHALLOW
from partway.run.plans import Plan


def calls(plan: Plan, pictures: int, *, reuse: bool, fixed: int | None = None, batch: int | None = None) -> Mapping:
    """Calls of each network in a run: those of its plan, times the batches that they take.

    ``reuse``: whether the run reuses features, for then each prediction is a call; ``fixed``: the UNet's batch where
    it has one; ``batch``: the largest that the engine is given at once.
    """
    expected = dict(plan.calls)
    expected[plan.vae[1]] *= pictures  # decoded one by one, to bound memory
    for graph in ("unet", SHALLOW):
        if graph in expected:
            each = plan.predictions
            guided = (plan.rows[graph] - plan.calls[graph]) // max(each - 1, 1)
            counts = {1: plan.calls[graph] - guided, each: guided} if guided else {1: plan.calls[graph]}
            expected[graph] = sum(
                count * ceil(made * pictures / (fixed or min(batch or 99, pictures if reuse else made * pictures)))
                for made, count in counts.items()
            )
    return {name: count for name, count in expected.items() if count}
