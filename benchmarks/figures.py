"""The figures that tables and plots are made of, from the records of one session."""

from statistics import median
from typing import Any

Record = dict[str, Any]
NETWORKS = ("text_encoder", "vae_encoder", "unet", "vae_decoder")


def by_case(found: list[Record]) -> dict[str, list[Record]]:
    """The runs of each configuration, in the order they were first run."""
    cases: dict[str, list[Record]] = {}
    for record in found:
        cases.setdefault(record["case"], []).append(record)
    return cases


def call(one: Record, network: str) -> float:
    """Seconds of one call of a network."""
    return float(one["seconds"][network] / one["calls"][network])


def loading(record: Record) -> float | None:
    """Seconds of opening and loading: what the first picture's stages took beyond their calls at warm speed.

    None when the tool does not tell the seconds of its stages and its first picture had fewer steps.
    """
    first, warm = record["first"], record["warm"]
    if first["steps"] == warm["steps"]:
        extra = first["seconds"]["total"] - warm["seconds"]["total"]
    elif set(first["calls"]) >= set(NETWORKS) <= set(warm["calls"]):
        extra = sum(first["seconds"][name] - first["calls"][name] * call(warm, name) for name in NETWORKS)
    else:
        return None
    return float(record["open_seconds"] + max(extra, 0.0))


def cold(record: Record) -> float | None:
    """Seconds from the start of the process to a finished picture: launch, loading, a picture of all steps.

    Where the first picture had all its steps this is what it took, measured; elsewhere the sum is the same thing.
    """
    loaded = loading(record)
    return None if loaded is None else float(record["launch_seconds"] + loaded + record["warm"]["seconds"]["total"])


def middle(values: list[float | None]) -> float | None:
    """The median of those that are known; None when none is."""
    known = [value for value in values if value is not None]
    return median(known) if known else None


def seconds(runs: list[Record]) -> float | None:
    """Of a warm picture."""
    return middle([run["warm"]["seconds"]["total"] for run in runs])


def peak(runs: list[Record]) -> float | None:
    """Resident memory at most, GB."""
    return middle([run["peak_bytes"] / 1e9 for run in runs])


def latents(runs: list[Record]) -> float | None:
    """Relative distance of the final latents to the reference's."""
    return middle([run["picture"].get("latents") for run in runs])


def encodes(runs: list[Record]) -> float | None:
    """Most calls of text and image encoders that one more strength of the same picture and prompt took."""
    again = [one for run in runs for one in run.get("again", []) if one["calls"]]
    counts = [sum(one["calls"].get(name, 0) for name in ("text_encoder", "vae_encoder")) for one in again]
    return float(max(counts)) if counts else None


FIGURES = {
    "seconds": seconds,
    "call": lambda runs: middle([call(run["warm"], "unet") for run in runs]),
    "peak": peak,
    "latents": latents,
    "encodes": encodes,
    "cold": lambda runs: middle([cold(run) for run in runs]),
    "ssim": lambda runs: min((run["ssim"] for run in runs), default=None),
    "drift": lambda runs: max((run["drift"] for run in runs), default=None),
}


def over_strength(runs: list[Record]) -> list[tuple[float, float, float]]:
    """(strength, UNet calls, seconds) of the pictures at other strengths; calls by steps where they are not told."""
    made = [one for run in runs for one in run.get("again", [])]
    points = [
        (one["strength"], one["calls"].get("unet", one["strength"] * one["steps"]), one["seconds"]["total"])
        for one in made
    ]
    return sorted(points)


def bend(points: list[tuple[float, float, float]]) -> float | None:
    """How far the seconds are from a straight line over the calls, at most, as a share of the largest; 3 points up."""
    if len({calls for _, calls, _ in points}) < 3:
        return None
    import numpy as np

    calls, times = np.array([point[1:] for point in points]).T
    return float(np.max(np.abs(np.polyval(np.polyfit(calls, times, 1), calls) - times)) / times.max())
