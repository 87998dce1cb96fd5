"""The built-in model: its data, its training, its figures."""

from partway.model.catalog import entries

GUIDANCE = float(entries()["rooms"].defaults["guidance_scale"])  # what the built-in model is measured and shown with
