"""Checks of a model folder: are its files whole, and do its networks compute here what they should?

Both need what partway's export leaves in ``partway.json``: checksums, and goldens (inputs and outputs).
"""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from partway.engines import Engine
from partway.errors import PartwayError
from partway.model.package import Package
from partway.pictures.metadata import file_hash

DEFAULT_GATE = 35.0
"""Least PSNR in dB where ``partway.json`` names none: what weights of 16 bits reach."""


class Check(NamedTuple):
    """One finding: what was checked, whether it is as it should be, and the figure or the fault."""

    name: str
    passed: bool
    detail: str


def check_files(package: Package) -> Iterator[Check]:
    """Compare every file with its size and SHA-256 in ``partway.json``; nothing where that names none."""
    for name, entry in package.manifest.get("files", {}).items():
        path = package.path(name)
        if not path.is_file():
            yield Check(name, False, "missing")
        elif path.stat().st_size != entry["bytes"]:
            yield Check(name, False, f"{path.stat().st_size:,} bytes instead of {entry['bytes']:,}")
        elif file_hash(path) != entry["sha256"]:
            yield Check(name, False, "the contents have changed (SHA-256)")
        else:
            yield Check(name, True, f"{entry['bytes']:,} bytes")


def check_networks(package: Package, engine: Engine) -> Iterator[Check]:
    """Run every network on its golden inputs and compare with its golden outputs by `psnr`.

    A network without a golden is only loaded. One that fails is reported, not raised.
    """
    goldens = package.manifest.get("goldens", {})
    gates = package.manifest.get("verification", {})
    truth = str(package.manifest.get("truth", "torch"))
    for network in package.networks:
        try:
            if network in goldens:
                gate = float(gates.get(network, {}).get("gate", DEFAULT_GATE))
                check = _check_golden(engine, network, package.path(goldens[network]), gate)
                yield check._replace(detail=check.detail.format(truth=truth))
            else:
                engine.signature(network)
                yield Check(network, True, "loads; there is no golden to compare with")
        except (PartwayError, OSError, ValueError, TypeError, AttributeError, KeyError, BadZipFile) as problem:
            yield Check(network, False, str(problem))
        engine.release(network)


def psnr(reference: NDArray[Any], output: NDArray[Any]) -> float:
    """Return the peak signal-to-noise ratio in dB; the peak is the range (max - min) of ``reference``.

    Infinite for equal arrays; -inf where shapes differ or ``output`` is not finite.
    """
    if reference.shape != output.shape or not np.isfinite(output).all():
        return -math.inf
    error = float(np.mean((reference.astype(np.float64) - output) ** 2))
    if error == 0:
        return math.inf
    peak = float(np.ptp(reference))
    return 10 * math.log10(peak**2 / error) if peak > 0 else -math.inf


def _check_golden(engine: Engine, network: str, golden: Path, gate: float) -> Check:
    with np.load(golden, allow_pickle=False) as arrays:
        inputs = {name.removeprefix("inputs/"): arrays[name] for name in arrays if name.startswith("inputs/")}
        wanted = {name.removeprefix("outputs/"): arrays[name] for name in arrays if name.startswith("outputs/")}
    outputs = engine.run(network, inputs)
    if not wanted or not wanted.keys() <= outputs.keys():
        return Check(
            network,
            False,
            f"gives {', '.join(outputs)} where the golden has {', '.join(wanted) or 'nothing'}",
        )
    worst = min(psnr(reference, outputs[name]) for name, reference in wanted.items())
    return Check(network, worst >= gate, f"{worst:.1f} dB from {{truth}}, at least {gate:g} dB expected")
