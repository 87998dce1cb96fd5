"""Stable Diffusion image-to-image without PyTorch.

    import partway

    pipe = partway.load("path/to/model")
    pipe.img2img("room.jpg", "cozy scandinavian interior, warm light", strength=0.45).image.save("out.png")

`load` opens a model folder, `Pipeline` runs it, `plan` says what a run will do before it does anything;
`match` translates the strengths of other tools.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from partway.controls import Control, IPAdapter
from partway.diffusion.dials import DIALS
from partway.diffusion.grids import Schedule
from partway.diffusion.levels import NoiseLevel
from partway.diffusion.samplers import SAMPLERS
from partway.diffusion.schedules import SCHEDULES
from partway.diffusion.written import Given
from partway.engines.options import EngineOptions
from partway.errors import EngineError, ImageError, InputError, NetworkError, PackageError, PartwayError, PartwayWarning
from partway.loras import Lora
from partway.pictures import masks as masks
from partway.pictures.colours import Drift
from partway.settings import Options, Settings

if TYPE_CHECKING:
    from partway.budget.presets import PRESETS
    from partway.engines import devices
    from partway.loading import load, match, plan
    from partway.model.words import Embeds
    from partway.pipeline import Pipeline
    from partway.run.latents import Latents
    from partway.run.plans import Plan
    from partway.run.results import Result, Run, Step

__all__ = [
    "DIALS",
    "PRESETS",
    "SAMPLERS",
    "SCHEDULES",
    "Control",
    "Drift",
    "Embeds",
    "EngineError",
    "EngineOptions",
    "Given",
    "IPAdapter",
    "ImageError",
    "InputError",
    "Latents",
    "Lora",
    "NetworkError",
    "NoiseLevel",
    "Options",
    "PackageError",
    "PartwayError",
    "PartwayWarning",
    "Pipeline",
    "Plan",
    "Result",
    "Run",
    "Schedule",
    "Settings",
    "Step",
    "devices",
    "load",
    "match",
    "plan",
]
__version__ = "0.1.0"

_LATE = {
    "Embeds": "model.words",
    "Latents": "run.latents",
    "PRESETS": "budget.presets",
    "Pipeline": "pipeline",
    "Plan": "run.plans",
    "Result": "run.results",
    "Run": "run.results",
    "Step": "run.results",
    "devices": "engines",
    "load": "loading",
    "match": "loading",
    "plan": "loading",
}
"""What is imported when it is first asked for, so that ``import partway`` is quick, and from where."""


def __getattr__(name: str) -> Any:
    if name not in _LATE:
        raise AttributeError(f"module 'partway' has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(f"partway.{_LATE[name]}"), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_LATE})
