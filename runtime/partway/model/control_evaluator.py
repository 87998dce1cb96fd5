"""Evaluates the ControlNets and adapters of one run: for each tile of each evaluation, or once for each tile."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from partway.engines import Engine
from partway.graphs import FEATURE, IMAGE_ADAPTER, IMAGE_ENCODER, MIDDLE, RESIDUAL, SHALLOW, VALUE, skips
from partway.model import unet
from partway.model.control_units import ControlUnit, ImagePrompt
from partway.pictures import images

Array = NDArray[np.float32]
_CONDITION, _PICTURE = "controlnet_cond", "picture"  # what the networks call their pictures
_OUTERMOST = RESIDUAL.format(0)
_LEAST = -1.0  # the power of ten by which guess mode begins


class ControlEvaluator:
    """The ControlNets and adapters of a run.

    hints     of each control, (1, C, H, W) at the size of the run's padded picture
    unet      the UNet's configuration
    conditional_rows  how many rows of a batch, the last ones, are for the prompt
    image_prompt  by the UNet's names what an IP-Adapter gives without a picture and with one, each (1, N, C)
    active    numbers of the controls that count at this step
    """

    def __init__(
        self,
        units: Sequence[ControlUnit],
        hints: Sequence[Array],
        unet: Mapping[str, Any],
        conditional_rows: int,
        image_prompt: Mapping[str, tuple[Array, Array]],
    ) -> None:
        self.control_units, self.hints = units, hints
        self._widths = list(unet["block_out_channels"])
        self._skips = skips(unet)
        self._residuals = any(not unit.part.once for unit in units)
        self._conditional_rows, self._image_prompt = conditional_rows, image_prompt
        self._features: dict[tuple[int, int], dict[str, Array]] = {}  # by control and tile
        self._outermost: dict[int, Array] = {}  # by tile, the last that the UNet's outermost layers were given
        self._tile = 0
        self.active: Sequence[int] = ()

    def begin(self, active: Sequence[int]) -> None:
        """Begin an evaluation."""
        self.active, self._tile = active, 0

    def inputs(
        self, engine: Engine, timestep: float, told: Mapping[str, Array], hints: Sequence[Array], *, batch: int
    ) -> dict[str, Array]:
        """What the UNet takes beside ``told``, its own inputs for the next tile, of which ``hints`` show the place.

        They are called with ``batch`` rows at the most, as the UNet itself.
        """
        self._tile += 1
        found = self._nothing(*told[unet.SAMPLE].shape) if self._residuals else {}
        for number, control in enumerate(self.control_units):
            if control.part.once:
                made = self._once(engine, number, hints[number])
            elif number in self.active:
                made = self._looked(engine, control, timestep, told, hints[number], batch)
            else:
                continue
            scale = control.control.scale if number in self.active else 0.0
            for (name, array), own in zip(made.items(), _scales(control, len(made)), strict=True):
                _add(found, name, array * np.float32(own * scale), len(told[unet.SAMPLE]))
        if _OUTERMOST in found:
            self._outermost[self._tile] = found[_OUTERMOST]
        return found | self._of_picture(len(told[unet.SAMPLE]))

    def kept(self, engine: Engine, rows: int) -> dict[str, Array]:
        """What the UNet's outermost layers alone take for the next tile: as the last time, for the last rows of it."""
        self._tile += 1
        taken = engine.signature(SHALLOW).inputs
        found = {name: array for name, array in self._of_picture(rows).items() if name in taken}
        return found | ({_OUTERMOST: self._outermost[self._tile][-rows:]} if self._outermost else {})

    def _of_picture(self, rows: int) -> dict[str, Array]:
        """What an IP-Adapter gives for so many rows."""
        conditional = min(self._conditional_rows, rows)
        return {
            name: np.concatenate([without.repeat(rows - conditional, axis=0), picture.repeat(conditional, axis=0)])
            for name, (without, picture) in self._image_prompt.items()
        }

    def _once(self, engine: Engine, number: int, hint: Array) -> dict[str, Array]:
        key = (number, self._tile)
        if key not in self._features:
            control = self.control_units[number]
            shown = images.pad(hint, control.part.factor)
            self._features[key] = engine.run(control.network, {_PICTURE: shown})
        return self._features[key]

    def _looked(
        self, engine: Engine, control: ControlUnit, timestep: float, told: Mapping[str, Array], hint: Array, batch: int
    ) -> dict[str, Array]:
        taken = engine.signature(control.network).inputs
        rows = self._conditional_rows if control.conditional_only else len(told[unet.SAMPLE])
        given = {name: array[-rows:] for name, array in told.items() if name in taken}
        channels = taken[unet.SAMPLE].shape[1]
        given[unet.SAMPLE] = given[unet.SAMPLE][:, :channels]  # without a mask's, and an instruction's picture
        given[_CONDITION] = np.broadcast_to(hint, (rows, *hint.shape[1:]))
        made = unet.evaluate(engine, control.network, timestep, given, batch=min(rows, batch))
        return {name: _mean(array) for name, array in made.items()} if control.part.pooled else made

    def _nothing(self, rows: int, _: int, height: int, width: int) -> dict[str, Array]:
        """Residuals of zeros, of the sizes that the UNet's skips have."""
        found = {}
        for index, (level, halvings) in enumerate([*self._skips, self._skips[-1]]):
            name = MIDDLE if index == len(self._skips) else RESIDUAL.format(index)
            size = (-(-side // 2**halvings) for side in (height, width))
            found[name] = np.zeros((rows, self._widths[level], *size), np.float32)
        return found


def _scales(control: ControlUnit, count: int) -> Iterable[float]:
    """How much each of a network's outputs counts: in guess mode from a tenth up to all, as diffusers has it."""
    if control.control.guess_mode and not control.part.pooled:
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


def image_prompt_values(engine: Engine, prompt: ImagePrompt, shown: Array) -> dict[str, tuple[Array, Array]]:
    """What an IP-Adapter gives the UNet without a picture and with one, from what its encoder is shown.

    Without one the base takes zeros for the encoder's output, and "plus" shows the encoder zeros, as diffusers has it.
    Values count by the prompt's scale.
    """
    name = "hidden_states" if prompt.part.plus else "image_embeds"
    pixels = np.concatenate([np.zeros_like(shown), shown]) if prompt.part.plus else shown
    given = engine.run(IMAGE_ENCODER, {"pixel_values": pixels})[name]
    if not prompt.part.plus:
        given = np.concatenate([np.zeros_like(given), given])
    made = engine.run(IMAGE_ADAPTER, {name: given})
    for value in filter(lambda one: one.startswith(VALUE.removesuffix("{}")), made):
        made[value] = made[value] * np.float32(prompt.prompt.scale)
    return {name: (array[:1], array[1:]) for name, array in made.items()}
