"""A model by whatever it is called, opened."""

from pathlib import Path

from partway.model.catalog import suited
from partway.model.hub import locate
from partway.model.package import Package, open_package


def open_model(
    model: str | Path | None,
    *,
    revision: str | None = None,
    vae: str | Path | None = None,
    prediction: str | None = None,
) -> Package:
    """Find a model, fetch it where it lies on the Hub, and read its description, with the settings that suit it.

    ``model`` and ``revision`` are those of `locate`, ``vae`` and ``prediction`` of `open_package`; raises as they do.
    """
    return suited(open_package(locate(model, revision=revision), vae=vae, prediction=prediction), model)
