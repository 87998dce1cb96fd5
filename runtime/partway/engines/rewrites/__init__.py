"""OpenVINO graphs rewritten before they are compiled, to the same results with less work or more exactly.

It may import `partway.support` and the ground; OpenVINO is imported when a rewrite is called.
Start with `rewrite`, which applies them: `shared` (a batch's copies computed once), `phases` (convolutions of enlarged
pictures), `winograd` (other convolutions in fewer products), `waves` (sines and cosines in float32); `graph` has the
walks that they share.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from numpy.typing import NDArray

from partway.engines.rewrites.phases import split_enlarged
from partway.engines.rewrites.shared import Alike, find_alike, share
from partway.engines.rewrites.waves import Waves, take_out
from partway.engines.rewrites.winograd import fewer_products

__all__ = ["Adapter", "Alike", "find_alike", "rewrite"]


class Adapter(NamedTuple):
    """Turns a network's inputs into those that its rewritten graph takes."""

    alike: Alike | None = None
    waves: Waves | None = None

    def __call__(self, inputs: Mapping[str, NDArray[Any]]) -> Mapping[str, NDArray[Any]]:
        """The rewritten graph's inputs, by name."""
        if self.alike is not None:
            inputs = self.alike.once(inputs)
        return inputs if self.waves is None else self.waves.beside(inputs)


def rewrite(core: Any, model: Any, *, alike: Alike | None, cpu: bool, exact: bool, tiled: bool) -> tuple[Any, Adapter]:
    """An OpenVINO model as it is best compiled, and the adapter of its inputs. ``model`` may be changed.

    alike: an input of repeated arrays, for a model of fixed sizes. cpu: whether it is compiled for a CPU. exact:
    whether it computes in float32, where sines and cosines are exact as they are.
    """
    fewer = None if alike is None else share(model, *alike)
    if fewer is None:
        alike = None
    else:
        model = fewer
    if cpu:
        split_enlarged(model)
    if tiled:
        fewer_products(model)
    if exact:
        return model, Adapter(alike)
    model, beside = take_out(model)
    return model, Adapter(alike, None if beside is None else Waves(core, beside, model))
