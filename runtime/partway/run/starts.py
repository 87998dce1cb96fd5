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
from partway.run.results import Result
from partway.settings import Settings

Array = NDArray[np.float32]
ImageInput = images.Source | images.Picture | masks.Edit | Result | Latents | None


@dataclass(frozen=True, eq=False)
class Start:
    """What a run starts from, checked.

    size       width and height of the result
    picture    the source; of a result that is handed on, the source of the first run of the chain; None without any
    edit       its mask and the part of it that is worked on; None without a mask
    latents    an earlier run's, in the picture's place; None where the picture is what counts
    untouched  the pictures that strength 0 returns, one in all or one for each seed; none where they have to be decoded
    imagined   whether this is a picture for a plan alone, of which the size is known and nothing else
    """

    size: tuple[int, int]
    picture: images.Picture | None = None
    edit: masks.Edit | None = None
    latents: Latents | None = None
    untouched: tuple[Image.Image, ...] = ()
    imagined: bool = False

    @property
    def text_to_image(self) -> bool:
        """Whether there is nothing but a size."""
        return self.picture is None and self.latents is None and not self.imagined

    def check(self, package: Package, settings: Settings, *, decode: bool) -> None:
        """Raise `InputError` for a start that the model or the settings cannot run."""
        instructed = package.guidance == "instruction"
        if instructed and (self.picture is None or self.edit is not None or self.latents is not None):
            raise InputError("an instruction needs a picture, and takes no mask")
        if package.inpaints and self.edit is None:
            raise InputError("this is an inpainting model, which needs a picture and a mask: use inpaint or outpaint")
        if package.inpaints and self.edit is not None and self.edit.weights.max() < 0.5:
            raise InputError("this inpainting model reads masks as black and white, and this one is darker than that")
        if self.edit is not None and (settings.denoising_start or settings.denoising_end):
            raise InputError("a run with a mask cannot be handed over; leave out denoising_start and denoising_end")
        if self.edit is not None and not decode:
            raise InputError("what a mask keeps are pixels, so such a run is always decoded; leave decode=False out")

    def copies(self, pictures: int) -> list[Image.Image]:
        """What strength 0 returns: so many copies of the one untouched picture, or one of each."""
        each = pictures // max(len(self.untouched), 1)
        return [one.copy() for one in self.untouched for _ in range(each)]

    def finish(
        self, pixels: Array, colour_match: float, *, reads_image: bool = True
    ) -> tuple[list[Image.Image], tuple[Drift, ...]]:
        """Pictures from pixels (B, 3, H, W), which are padded as networks need them, and how far their colours drifted.

        They get the source's alpha and profile; and by ``colour_match`` its colours, but where it has no part in the
        result (``reads_image`` False) those that text-to-image gives them.
        """
        pixels = pixels[:, :, : self.size[1], : self.size[0]]
        if self.picture is None:
            return images.to_pil(pixels), ()
        drift: tuple[Drift, ...] = ()
        if reads_image:
            source, before = self.picture.pixels, colours.drift(pixels, self.picture.pixels)
            if colour_match:
                pixels = colours.matched(pixels, source, colour_match)
            drift = tuple(map(Drift, before, colours.drift(pixels, source)))
        finish = self.edit.finish if self.edit else lambda one: images.finish(one, self.picture)
        return [finish(one) for one in images.to_pil(pixels)], drift


def check_task(package: Package, *, instruct: bool) -> None:
    """Raise `InputError` unless the prompt is an instruction where, and only where, the model follows those."""
    if not instruct and package.guidance == "instruction":
        raise InputError("this model follows instructions (InstructPix2Pix); use instruct, on a picture")
    if instruct and package.guidance != "instruction":
        raise InputError("this model does not follow instructions; use img2img, or load an InstructPix2Pix model")


def read(source: ImageInput, package: Package, *, width: int | None = None, height: int | None = None) -> Start:
    """Read what a run on a model is given; a picture from a prompt alone has the model's size unless one is asked for.

    A result without latents (a mask put back what it keeps, or nothing ran) counts as its first picture. Raises
    `InputError` for latents that are another kind of model's.
    """
    if source is None:
        return Start(_size(package, width, height))
    if width is not None or height is not None:
        raise InputError("image-to-image keeps the picture's size; resize the picture to change it")
    if isinstance(source, masks.Edit):
        return Start(source.picture.original.size, source.picture, source, untouched=(source.source.original,))
    untouched: tuple[Image.Image, ...] = ()
    if isinstance(source, Result):
        untouched = tuple(source.images)
        source = source.latents or source.image
    if isinstance(source, Latents):
        return Start(source.size, source.source, latents=source.fitting(package), untouched=untouched)
    picture = source if isinstance(source, images.Picture) else images.read(source)
    return Start(picture.original.size, picture, untouched=(picture.original,))


def imagined(
    image: bool | ImageInput, package: Package, *, width: int | None = None, height: int | None = None
) -> Start:
    """As `read`, for a plan: True stands for some picture of this size, by default the model's own, False for none."""
    if not isinstance(image, bool):
        return read(image, package, width=width, height=height)
    return Start(_size(package, width, height), imagined=image)


def _size(package: Package, width: int | None, height: int | None) -> tuple[int, int]:
    """The size that is asked for, checked, or else the model's own."""
    return _side("width", width, package.size[0]), _side("height", height, package.size[1])


def _side(name: str, value: int | None, default: int) -> int:
    side = default if value is None else value
    if not is_integer(side, 8, MAX_SIDE):
        raise InputError(f"{name} must be a whole number of pixels between 8 and {MAX_SIDE}, not {side!r}")
    return int(side)
