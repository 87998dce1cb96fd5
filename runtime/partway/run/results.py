"""What a run gives: its steps as they happen, and the pictures at its end."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from partway.diffusion.levels import NoiseLevel
from partway.diffusion.sampling import State
from partway.errors import InputError
from partway.pictures import images, previews
from partway.pictures.colours import Drift
from partway.run.deadline import Ration
from partway.run.latents import Latents
from partway.run.plans import Plan
from partway.settings import Settings

Array = NDArray[np.float32]
Decoder = Callable[[Array], Array]


@dataclass(frozen=True, eq=False)
class Step:
    """One step of a run: ``index`` of ``total`` (from 1), the level it left, and the estimate of the clean latents.

    colours: the linear map of latents to colours; decoder: the run's; quick: the tiny one, None where there is none
    """

    index: int
    total: int
    level: NoiseLevel
    denoised: Array
    colours: Array
    decoder: Decoder
    quick: Decoder | None = None

    @classmethod
    def after(cls, state: State, colours: Array, decoder: Decoder, quick: Decoder | None = None) -> "Step":
        """The step that led to this state."""
        done, estimate = len(state.behind), state.past[-1].denoised
        return cls(done, done + len(state.ahead), state.behind[-1], estimate, colours, decoder, quick)

    def decode(self) -> list[Image.Image]:
        """The estimate as pictures, by the run's VAE and padded as it needs them: quick with the tiny one."""
        return images.to_pil(self.decoder(self.denoised))

    def preview(self) -> list[Image.Image]:
        """Quick pictures of the estimate: the tiny decoder's where the model has one and memory is not limited.

        Others are small, one pixel a latent, by a linear map that costs no network call.
        """
        if self.quick is not None:
            return images.to_pil(self.quick(self.denoised))
        return images.to_pil(previews.apply(self.denoised, self.colours))


@dataclass(frozen=True)
class Result:
    """What a run made: one picture a seed, the plan it followed, and the seconds each stage took.

    The keys of ``seconds`` are the networks' names, "other" for everything that is not a network, and "total".
    ``latents`` is what the next run takes when it is given this result; None where the picture says more. A run that
    ended at its ``denoising_end`` made no pictures, only these.
    ``drift`` is how far each picture's colours are from the source's; empty where the source has no part in them.
    """

    images: list[Image.Image]
    plan: Plan
    settings: Settings
    seconds: dict[str, float]
    latents: Latents | None = None
    drift: tuple[Drift, ...] = ()

    @property
    def image(self) -> Image.Image:
        """The first picture; `InputError` if none was decoded."""
        if not self.images and self.settings.denoising_end is not None:
            raise InputError("this run ended at its denoising_end; give its latents to a run with that denoising_start")
        if not self.images:
            raise InputError("no picture was decoded; leave decode=False out, or hand this on with strength=0")
        return self.images[0]

    @property
    def seeds(self) -> tuple[int, ...]:
        """The seed of each picture."""
        return self.settings.seeds


class Run:
    """A run under way: iterate over its steps, or take its `result`; `stop` it, or leave it to cancel it.

    size: width and height of its pictures
    """

    def __init__(
        self,
        plan: Plan,
        settings: Settings,
        work: Iterator[Step | Result],
        ration: Ration,
        *,
        size: tuple[int, int],
    ) -> None:
        self.plan = plan
        self.size = size
        self.settings = settings
        self._work = work
        self._ration = ration
        self._result: Result | None = None

    def __iter__(self) -> Iterator[Step]:
        for made in self._work:
            if isinstance(made, Result):
                self._result = made
            else:
                yield made

    def within(self, seconds: float) -> "Run":
        """The same run, which takes at most so long from its first step, as by ``deadline``; to be said before that."""
        self._ration.limit(seconds)
        return self

    def stop(self) -> None:
        """Take no further step: the result will be the estimate of the picture so far, once there is one.

        Any thread may say so. Raises `InputError` for a run that is handed over at its denoising_end.
        """
        if self.settings.denoising_end is not None:
            raise InputError("a run that is handed over cannot stop before its denoising_end; leave it instead")
        self._ration.stop()

    def result(self) -> Result:
        """Finish what is left of the run and return what it made."""
        for _ in self:
            pass
        if self._result is None:
            raise InputError("this run was left before it finished; start another one")
        return self._result
