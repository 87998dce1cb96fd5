"""What guides the UNet of one run: evaluated for each tile of each evaluation, or once for each tile."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from partway.engines import Engine
from partway.graphs import FEATURE, MIDDLE, RESIDUAL
from partway.model import unet
from partway.model.guides import Guide
from partway.pictures import images

Array = NDArray[np.float32]
_CONDITION, _PICTURE = "controlnet_cond", "picture"  # what the networks call their pictures
_OUTERMOST = RESIDUAL.format(0)
_LEAST = -1.0  # the power of ten by which guess mode begins


class Guiding:
    """The guides of a run.

    hints     of each guide, (1, C, H, W) at the size of the run's padded picture
    unet      the UNet's configuration
    pictures  how many the run makes: so many rows of a batch, the last ones, are the prompt's
    active    numbers of the guides that count at this step
    """

    def __init__(
        self, guides: Sequence[Guide], hints: Sequence[Array], unet: Mapping[str, Any], pictures: int
    ) -> None:
        self.guides, self.hints = guides, hints
        self._levels, self._layers = len(unet["block_out_channels"]), int(unet["layers_per_block"])
        self._pictures = pictures
        self._features: dict[tuple[int, int], dict[str, Array]] = {}  # by guide and tile
        self._outermost: dict[int, Array] = {}  # by tile, the last that the UNet's outermost layers were given
        self._tile = 0
        self.active: Sequence[int] = ()

    def begin(self, active: Sequence[int]) -> None:
        """Begin an evaluation."""
        self.active, self._tile = active, 0

    def inputs(
        self, engine: Engine, timestep: float, told: Mapping[str, Array], hints: Sequence[Array]
    ) -> dict[str, Array]:
        """What the UNet takes beside ``told``, its own inputs for the next tile, of which ``hints`` show the place."""
        self._tile += 1
        found = self._nothing(engine, *told[unet.SAMPLE].shape)
        for number, guide in enumerate(self.guides):
            if guide.part.once:
                made = self._once(engine, number, hints[number])
            elif number in self.active:
                made = self._residuals(engine, guide, timestep, told, hints[number])
            else:
                continue
            scale = guide.control.scale if number in self.active else 0.0
            for (name, array), own in zip(made.items(), _scales(guide, len(made)), strict=True):
                _add(found, name, array * np.float32(own * scale), len(told[unet.SAMPLE]))
        if _OUTERMOST in found:
            self._outermost[self._tile] = found[_OUTERMOST]
        return found

    def kept(self, rows: int) -> dict[str, Array]:
        """What the UNet's outermost layers alone take for the next tile: as the last time, for the last rows of it."""
        self._tile += 1
        return {_OUTERMOST: self._outermost[self._tile][-rows:]} if self._outermost else {}

    def _once(self, engine: Engine, number: int, hint: Array) -> dict[str, Array]:
        key = (number, self._tile)
        if key not in self._features:
            guide = self.guides[number]
            shown = images.pad(hint, guide.part.factor)
            self._features[key] = engine.run(guide.network, {_PICTURE: shown})
        return self._features[key]

    def _residuals(
        self, engine: Engine, guide: Guide, timestep: float, told: Mapping[str, Array], hint: Array
    ) -> dict[str, Array]:
        taken = engine.signature(guide.network).inputs
        rows = self._pictures if guide.prompted else len(told[unet.SAMPLE])
        given = {name: array[-rows:] for name, array in told.items() if name in taken}
        channels = taken[unet.SAMPLE].shape[1]
        given[unet.SAMPLE] = given[unet.SAMPLE][:, :channels]  # without a mask's, and an instruction's picture
        given[_CONDITION] = np.broadcast_to(hint, (rows, *hint.shape[1:]))
        made = unet.evaluate(engine, guide.network, timestep, given, batch=rows)
        return {name: _mean(array) for name, array in made.items()} if guide.part.pooled else made

    def _nothing(self, engine: Engine, rows: int, _: int, height: int, width: int) -> dict[str, Array]:
        """Residuals of zeros, where the UNet takes any, of the sizes that its levels have."""
        sizes = [(height, width)]
        for level in range(self._levels):
            sizes += [sizes[-1]] * self._layers
            if level < self._levels - 1:
                sizes.append((-(-sizes[-1][0] // 2), -(-sizes[-1][1] // 2)))
        named = {RESIDUAL.format(index): size for index, size in enumerate(sizes)} | {MIDDLE: sizes[-1]}
        ports = engine.signature("unet").inputs
        shapes = {name: (rows, ports[name].shape[1] or 0, *size) for name, size in named.items() if name in ports}
        return {name: np.zeros(shape, np.float32) for name, shape in shapes.items()}


def _scales(guide: Guide, count: int) -> Iterable[float]:
    """How much each of a network's outputs counts: in guess mode from a tenth up to all, as diffusers has it."""
    if guide.control.guess_mode and not guide.part.pooled:
        return (10.0 ** (_LEAST - _LEAST * index / (count - 1)) for index in range(count))
    return [1.0] * count


def _add(found: dict[str, Array], name: str, array: Array, rows: int) -> None:
    """Add to the last rows what is made for them; what is made once is for all."""
    if name not in found:
        found[name] = np.zeros((rows, *array.shape[1:]), np.float32)
    count = rows if name.startswith(FEATURE.removesuffix("{}")) else len(array)
    found[name][-count:] += array


def _mean(array: Array) -> Array:
    return array.mean(axis=(2, 3), keepdims=True)
