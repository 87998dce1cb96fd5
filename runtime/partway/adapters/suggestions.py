"""Adapters that make a model need few steps and no guidance, and the settings that suit them."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from partway.adapters.reading import Adapter

_STEPS = re.compile(r"(\d+)\s*[-_ ]?\s*steps?\b|(\d+)[-_ ]?steps?(?=[-_ .])", re.IGNORECASE)
_SAID = ("modelspec.title", "ss_output_name", "modelspec.usage_hint", "ss_training_comment", "modelspec.description")

_LCM = {"sampler": "lcm", "schedule": "lcm", "steps": 4, "guidance_scale": 1.0}
_KNOWN = (
    (r"hyper.*cfg", {"sampler": "ddim", "schedule": "trailing", "steps": 12, "guidance_scale": 5.0}),
    (r"hyper", {"sampler": "ddim", "schedule": "trailing", "steps": 8, "guidance_scale": 1.0}),
    (r"lightning", {"sampler": "euler", "schedule": "trailing", "steps": 4, "guidance_scale": 1.0}),
    (r"dmd2?(?![a-z])", _LCM),
    (r"turbo", {"sampler": "euler_a", "schedule": "trailing", "steps": 4, "guidance_scale": 1.0}),
    (r"lcm|latent.?consistency|tcd", _LCM),
)
"""What a file is called, and the settings that its authors give; a number of steps in its name counts more."""


def suggested(adapter: Adapter) -> dict[str, Any]:
    """The settings that an adapter needs; none for one that leaves a model as quick as it is."""
    texts = [adapter.path.stem, *(adapter.metadata.get(name, "") for name in _SAID)]
    for text in texts:
        for pattern, settings in _KNOWN:
            if re.search(rf"(?<![a-z]){pattern}", text.lower()):
                return {**settings, **_steps(texts, settings)}
    return {}


def combined(adapters: Iterable[Adapter]) -> Mapping[str, Any]:
    """The settings that several need, of which the first that needs any counts."""
    return next((found for one in adapters if (found := suggested(one))), {})


def _steps(texts: list[str], settings: Mapping[str, Any]) -> dict[str, int]:
    """The steps that a text names; one step of a "unified" adapter is none to begin with."""
    for text in texts:
        for found in _STEPS.finditer(text):
            steps = int(found[1] or found[2])
            if 1 < steps <= 16:
                return {"steps": steps}
    return {}
