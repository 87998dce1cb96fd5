"""Parts of a network that is built: its last layers alone, for reuse, and segments that run one after the other."""

from collections.abc import Collection, Mapping
from dataclasses import replace
from itertools import pairwise
from math import prod

from partway.building.network import Network, Node, Seam, Value
from partway.errors import PackageError
from partway.graphs import DEEP, is_guide


def shallow(unet: Network) -> Network:
    """What of the UNet comes after the features `DEEP`, which it is given; what leads to them is left out.

    Of what adapters of pictures give a UNet it takes only what it has a use for.
    """
    given = {**unet.inputs, DEEP: unet.outputs[DEEP]}
    wanted = {name: value for name, value in unet.outputs.items() if name != DEEP}
    made = _between(unet, unet.nodes, given, wanted)
    used = {name for node in made.nodes for name in node.inputs}
    return replace(made, inputs={name: one for name, one in given.items() if name in used or not is_guide(name)})


def segments(unet: Network, count: int) -> list[Network]:
    """The UNet cut into ``count`` networks of about as many weights; what crosses a cut has one name in both, and a
    result comes last.

    Raises `PackageError` where it has fewer layers than that.
    """
    cuts = _cuts(unet, count)
    bounds = [0, *(seam.place for seam in cuts), len(unet.nodes)]
    known = {**unet.inputs, **unet.outputs}
    for seam in cuts:
        known |= seam.values
    found = []
    for start, end in pairwise(bounds):
        made = {name for node in unet.nodes[start:end] for name in node.outputs}
        used = {name for node in unet.nodes[start:end] for name in node.inputs}
        later = {name for node in unet.nodes[end:] for name in node.inputs}
        given = {name: known[name] for name in sorted(used - made) if name in known}
        wanted = [*sorted(made & later), *(name for name in reversed(list(unet.outputs)) if name in made - later)]
        found.append(_between(unet, unet.nodes[start:end], given, {name: known[name] for name in wanted}))
    return found


def _cuts(unet: Network, count: int) -> list[Seam]:
    """The seams that share out the weights most evenly."""
    if len(unet.seams) < count - 1:
        raise PackageError(f"the UNet is too small to be cut into {count} segments; ask for fewer")
    sizes = [sum(prod(unet.weights[name].shape) for name in node.inputs if name in unet.weights) for node in unet.nodes]
    before = [sum(sizes[: seam.place]) for seam in unet.seams]
    cuts: list[Seam] = []
    for index in range(1, count):
        left = range(len(cuts) and unet.seams.index(cuts[-1]) + 1, len(unet.seams) - (count - 1 - index))
        cuts.append(unet.seams[min(left, key=lambda place: abs(before[place] - sum(sizes) * index / count))])
    return cuts


def _between(
    network: Network, nodes: Collection[Node], given: Mapping[str, Value], wanted: Mapping[str, Value]
) -> Network:
    """The nodes that lead from what is ``given`` to what is ``wanted``, and the weights and constants that they use."""
    makers = {name: node for node in nodes for name in node.outputs if name not in given}
    needed: set[str] = set()
    waiting = list(wanted)
    while waiting:
        name = waiting.pop()
        if name not in needed:
            needed.add(name)
            waiting += makers[name].inputs if name in makers else ()
    return Network(
        [node for node in nodes if any(name in makers and name in needed for name in node.outputs)],
        {name: array for name, array in network.constants.items() if name in needed},
        {name: weight for name, weight in network.weights.items() if name in needed},
        given,
        wanted,
    )
