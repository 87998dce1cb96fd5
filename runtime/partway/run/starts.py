"""What a run starts from: a picture, a picture under a mask, an earlier run's result, or nothing but a size."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from partway.errors import MAX_SIDE, InputError, is_integer
from partway.model.package import Package
from partway.pictures import colours, images, masks
from partway.pictures.colours import Drift
from partway.run.latents import Latents
from partway.run.plans import Plan
from partway.run.results import Result
from partway.settings import Settings

Array = NDArray[np.float32]
ImageInput = images.Source | masks.Edit | Result | Latents | None


@dataclass(frozen=True, eq=False)
class Start:
    """What a run starts from, checked.

    size       width and height of the result
    picture    the source, which for a result handed on is the one that its chain began with; None without any
    edit       its mask and the part of it that is worked on; None without a mask
    latents    an earlier run's, in the picture's place; None where the picture is what counts
    untouched  the pictures that strength 0 returns, one or one a seed; none where they have to be decoded first
    """

    size: tuple[int, int]
    picture: images.Picture | None = None
    edit: masks.Edit | None = None
    latents: Latents | None = None
    untouched: tuple[Image.Image, ...] = ()

    @property
    def has_image(self) -> bool:
        """Whether it starts from a picture or latents; False for text-to-image."""
        return self.picture is not None or self.latents is not None

    def check(self, package: Package, settings: Settings, *, instruct: bool, decode: bool) -> None:
        """Raise `InputError` for a start that the model, or the settings, can not do with."""
        if not instruct and package.guidance == "instruction":
            raise InputError("this model follows instructions (InstructPix2Pix); use instruct, on a picture")
        if instruct and package.guidance != "instruction":
            raise InputError("this model does not follow instructions; use img2img, or load an InstructPix2Pix model")
        if instruct and (self.picture is None or self.edit is not None or self.latents is not None):
            raise InputError("an instruction needs a picture, and takes no mask")
        if package.inpaints and self.edit is None:
            raise InputError("this is an inpainting model, which needs a picture and a mask: use inpaint or outpaint")
        for name, tile in (("tile", settings.tile), ("vae_tile", settings.vae_tile)):
            if tile is not None and tile % package.multiple:
                raise InputError(f"{name} must be a multiple of {package.multiple} for this model, not {tile}")
        if self.edit is not None and (settings.denoising_start or settings.denoising_end):
            raise InputError("a run with a mask cannot be handed over; leave out denoising_start and denoising_end")
        if self.edit is not None and not decode:
            raise InputError("what a mask keeps are pixels, so such a run is always decoded; leave decode=False out")

    def of(self, plan: Plan, *, decode: bool) -> Plan:
        """The plan with the VAE's calls as this start needs them: latents are not encoded again."""
        if self.latents is not None:
            plan = plan.with_calls(encode=0)
            if not plan.levels and not self.untouched:
                plan = plan.with_calls(decode=1)
        return plan if decode else plan.with_calls(decode=0)

    def copies(self, pictures: int) -> list[Image.Image]:
        """What strength 0 returns: so many copies of one untouched picture, or of one each."""
        each = pictures // max(len(self.untouched), 1)
        return [one.copy() for one in self.untouched for _ in range(each)]

    def finish(
        self, pixels: Array, colour_match: float, *, seen: bool = True
    ) -> tuple[list[Image.Image], tuple[Drift, ...]]:
        """Pictures of pixels (B, 3, H, W), padded as networks need them, with what they take from the source.

        ``seen`` False for pictures that the source had no part in: they are left as text-to-image makes them.
        """
        pixels = pixels[:, :, : self.size[1], : self.size[0]]
        if self.picture is None:
            return images.to_pil(pixels), ()
        drift: tuple[Drift, ...] = ()
        if seen:
            source, before = self.picture.pixels, colours.drift(pixels, self.picture.pixels)
            if colour_match:
                pixels = colours.matched(pixels, source, colour_match)
            drift = tuple(map(Drift, before, colours.drift(pixels, source)))
        finish = self.edit.finish if self.edit else lambda one: images.finish(one, self.picture)
        return [finish(one) for one in images.to_pil(pixels)], drift


def start(given: ImageInput, width: int | None, height: int | None, package: Package) -> Start:
    """Read what a run on a model was given; a picture from a prompt alone has the model's size unless one is asked for.

    A result without latents (a mask put back what it keeps, or nothing ran) counts as its first picture. Raises
    `InputError` for latents that are another kind of model's.
    """
    if given is None:
        return Start((_side("width", width, package.size[0]), _side("height", height, package.size[1])))
    if width is not None or height is not None:
        raise InputError("image-to-image keeps the picture's size; resize the picture to change it")
    if isinstance(given, masks.Edit):
        return Start(given.picture.original.size, given.picture, given, untouched=(given.source.original,))
    untouched: tuple[Image.Image, ...] = ()
    if isinstance(given, Result):
        untouched = tuple(given.images)
        given = given.latents or given.image
    if isinstance(given, Latents):
        return Start(given.size, given.source, latents=given.fitting(package), untouched=untouched)
    picture = images.read(given)
    return Start(picture.original.size, picture, untouched=(picture.original,))


def _side(name: str, value: int | None, default: int) -> int:
    side = default if value is None else value
    if not is_integer(side, 8, MAX_SIDE):
        raise InputError(f"{name} must be a whole number of pixels between 8 and {MAX_SIDE}, not {side!r}")
    return int(side)
