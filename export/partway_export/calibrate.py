"""The inputs that a UNet really gets, recorded while the model itself restyles pictures.

Ranges of activations are taken from these. Random tensors would not do: what the UNet sees changes with the noise
level, and image-to-image visits latents of real pictures under every amount of noise (Li et al. 2023, arXiv
2302.04304, section 4.2, samples them along trajectories too).
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

import partway
from partway.engines import Engine, Signature, cast
from partway.errors import ImageError, InputError
from partway.model.catalog import suited
from partway.pictures import images

STRENGTHS = (0.2, 0.4, 0.6, 0.8, 1.0)
STEPS = 10  # of the full schedule, where the model suggests no other number
SAMPLES = 32  # calls to keep
PICTURES = 16  # of a folder, so that it may be any folder
PROMPT_FILE = "prompts.txt"
PROMPTS = (
    "cozy scandinavian interior, warm light",
    "a watercolour painting of a garden in spring",
    "a photograph of a city street at night, neon signs",
    "portrait of an old man, oil painting, dark background",
    "a bright modern living room, large windows",
    "a pencil sketch of a house by the sea",
    "mountains and a lake at dawn, highly detailed",
    "an industrial loft with leather sofas, evening",
)
_DRAWN = range(1000, 1004)  # rooms of `partway_rooms`; the low numbers are left for measuring

Arrays = dict[str, NDArray[Any]]


class Material(NamedTuple):
    """Pictures and prompts to calibrate on, with the names that partway.json keeps of the pictures."""

    pictures: tuple[Image.Image, ...]
    names: tuple[str, ...]
    prompts: tuple[str, ...]


class Calibration(NamedTuple):
    """Inputs of the UNet by name, noisiest first, and how they came about, ready for partway.json."""

    samples: tuple[Arrays, ...]
    facts: dict[str, Any]


def material(folder: Path | None) -> Material:
    """Read a folder of pictures and, or, ``prompts.txt`` with a prompt a line; what it lacks is built in.

    The first `PICTURES` by name are taken. Raises InputError for a folder that is missing, holds neither, or holds a
    picture or a text that cannot be read.
    """
    pictures: list[Image.Image] = []
    names: list[str] = []
    prompts: tuple[str, ...] | None = None
    if folder is not None:
        if not folder.is_dir():
            raise InputError(f"there is no folder {str(folder)!r} of pictures to calibrate on")
        known = Image.registered_extensions()
        for path in sorted(path for path in folder.iterdir() if path.suffix.lower() in known)[:PICTURES]:
            try:
                pictures.append(images.read(path).original.convert("RGB"))
            except ImageError as error:
                raise InputError(f"calibration: {error}") from error
            names.append(path.name)
        prompts = _prompts(folder / PROMPT_FILE)
        if not pictures and prompts is None:
            raise InputError(f"{folder} holds neither pictures nor {PROMPT_FILE}; put some there, or leave it out")
    if not pictures:
        from partway_rooms import room

        pictures, names = [room(number).picture for number in _DRAWN], [f"drawn room {number}" for number in _DRAWN]
    return Material(tuple(pictures), tuple(names), prompts or PROMPTS)


def _prompts(path: Path) -> tuple[str, ...] | None:
    if not path.exists():
        return None
    try:
        lines = [line.strip() for line in path.read_text("utf-8").splitlines()]
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read ({error}); it has to be text, one prompt a line") from error
    return tuple(line for line in lines if line) or None


def calibrate(folder: Path, source: str, data: Material) -> Calibration:
    """Run the float32 model in ``folder`` on every picture at every strength, each time with the next prompt.

    ``source`` is the model's name, for the settings that its catalogue entry suggests. Of all calls of the UNet,
    `SAMPLES` are kept, evenly from the noisiest to the cleanest. Raises what `partway.load` and the runs raise.
    """
    loaded = partway.load(folder)
    engine = Recorded(loaded.engine, "unet")
    pipe = replace(loaded, engine=engine, package=suited(loaded.package, source))
    steps = pipe.package.defaults.get("steps", STEPS)
    runs = [(picture, strength) for picture in data.pictures for strength in STRENGTHS]
    for index, (picture, strength) in enumerate(runs):
        prompt = data.prompts[index % len(data.prompts)]
        fitted = ImageOps.fit(picture, pipe.package.size)
        _run(pipe, fitted, prompt, {"strength": strength, "steps": steps, "seed": index})
    calls = sorted(engine.calls, key=_noise_level, reverse=True)
    kept = np.unique(np.linspace(0, len(calls) - 1, SAMPLES).round().astype(int))
    facts = {
        "pictures": list(data.names),
        "prompts": list(data.prompts),
        "strengths": list(STRENGTHS),
        "steps": steps,
        "calls": len(calls),
        "samples": len(kept),
    }
    return Calibration(tuple(calls[index] for index in kept), facts)


def _run(pipe: partway.Pipeline, picture: Image.Image, prompt: str, settings: partway.Options) -> None:
    """One run of the task that the model is for; there is no use for what comes out."""
    if pipe.package.guidance == "instruction":
        pipe.stream(prompt, picture, instruct=True, decode=False, **settings).result()
    elif pipe.package.inpaints:
        middle = Image.new("L", picture.size)
        width, height = picture.size
        middle.paste(255, (width // 4, height // 4, 3 * width // 4, 3 * height // 4))
        pipe.inpaint(picture, middle, prompt, **settings)
    else:
        pipe.img2img(picture, prompt, decode=False, **settings)


def _noise_level(call: Mapping[str, NDArray[Any]]) -> float:
    return float(call["timestep"].reshape(-1)[0])


class Recorded:
    """Wraps an engine; ``calls`` are the inputs of one network, as its graph takes them."""

    def __init__(self, engine: Engine, network: str) -> None:
        self._engine = engine
        self._network = network
        self.batch = engine.batch
        self.calls: list[Arrays] = []

    def signature(self, network: str) -> Signature:
        """What the network takes and gives."""
        return self._engine.signature(network)

    def run(self, network: str, inputs: Mapping[str, NDArray[Any]]) -> Arrays:
        """Run the network, and keep a copy of its inputs if it is the one to record."""
        if network == self._network:
            ready = cast(network, inputs, self.signature(network))
            self.calls.append({name: array.copy() for name, array in ready.items()})
        return self._engine.run(network, inputs)

    def release(self, network: str) -> None:
        """Forget a network to free its memory."""
        self._engine.release(network)
