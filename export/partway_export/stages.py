"""From a diffusers model to a partway package, in one straight line."""

import gc
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from partway.errors import InputError, choose
from partway.graphs import MAX_SEGMENTS, SHALLOW
from partway_export.calibrate import calibrate, material
from partway_export.compress import compress_onnx, compress_openvino
from partway_export.families import FORMATS, INT4, W8A8, WEIGHTS
from partway_export.fetch import fetch
from partway_export.guard import check_space, new_folder, one_line_errors
from partway_export.load import bytes_on_disk, family_of, load
from partway_export.manifest import write_manifest
from partway_export.onnx_file import read, write
from partway_export.optimise import optimise
from partway_export.package import copy_settings, latent_channels, write_goldens
from partway_export.quantise import quantise_onnx, quantise_openvino
from partway_export.quiet import quiet
from partway_export.reference import references
from partway_export.segments import cut
from partway_export.split import split_off
from partway_export.tiny_vae import load_tiny, trace_tiny
from partway_export.trace import trace
from partway_export.verify import GATES, verify, with_features


def export(
    source: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    to: str = "onnx",
    weights: str = "fp16",
    revision: str | None = None,
    goldens: bool = True,
    calibration: str | os.PathLike[str] | None = None,
    tiny_vae: str | os.PathLike[str] | None = None,
    split: bool = False,
    segments: int | None = None,
    say: Callable[[str], None] = lambda text: None,
) -> dict[str, Any]:
    """Export the model ``source`` (diffusers folder or Hub id) to the folder ``out``; return partway.json.

    to: "onnx" or "openvino"; weights: "fp32", "fp16", "int8", "int4" or "w8a8"; revision: of a Hub id; goldens:
    keep torch's outputs in the package; calibration: a folder of pictures, prompts or both that "w8a8" takes the
    ranges of activations from (see `partway_export.calibrate`); tiny_vae: a folder or Hub id of diffusers'
    AutoencoderTiny, to be put beside the VAE; split: whether the UNet's outermost layers become a graph of their own
    too (`partway.diffusion.reuse`);
    segments: into how many the UNet of an ONNX package is also cut; say: is called with a line of text for each stage.
    Every network is compared with torch; when one fails its gate, or anything else goes wrong, nothing is left at
    ``out``.

    Raises InputError for arguments that cannot be used, PackageError for a model that cannot be exported,
    EngineError when a library is missing, NetworkError when a network differs too much from torch.
    """
    choose("format", to, FORMATS)
    choose("weights", weights, WEIGHTS)
    if calibration is not None and weights != W8A8:
        raise InputError(f"only weights {W8A8!r} are calibrated; leave calibration out, or ask for those")
    if segments is not None and (to != "onnx" or not 2 <= segments <= MAX_SEGMENTS):
        raise InputError(f"segments must be between 2 and {MAX_SEGMENTS}, of format onnx, not {segments} of {to}")
    if segments is not None and weights == W8A8:
        raise InputError(f"weights {W8A8!r} are not cut into segments; choose int8, or leave segments out")
    inputs = material(None if calibration is None else Path(calibration)) if weights == W8A8 else None
    with new_folder(Path(out)) as folder, one_line_errors():
        say(f"fetch {source}")
        found = fetch(os.fspath(source), revision)
        family = family_of(found.folder)
        copy_settings(found.folder, folder, family)
        say("load into torch")
        with quiet():
            networks = load(found.folder, to)
            truth = references(networks, family.networks)
            tiny = None if tiny_vae is None else load_tiny(os.fspath(tiny_vae), latent_channels(folder))
        check_space(folder, bytes_on_disk(networks))
        verification, calibrated = {}, None

        def check(name: str, path: Path, gate: float) -> None:
            with quiet():
                figure = verify(name, path, truth[name], to, gate)
            verification[name] = {"psnr": round(figure, 2), "gate": gate}
            say(f"{name}: {figure:.1f} dB against torch, {gate:g} needed")

        for name in sorted(family.networks, key="unet".__eq__):  # last: it is calibrated by running them all
            say(f"{name}: trace")
            with quiet():
                path = trace(name, networks.pop(name), folder, to)
            gc.collect()  # the torch module; its forward refers to itself
            stored, gate = form(name, weights), GATES[form(name, weights)]
            say(f"{name}: optimise, store as {stored}")
            with quiet():
                finish(path, to, "fp32" if stored == W8A8 else stored)
            if stored == W8A8 and inputs:
                say(f"{name}: calibrate on {len(inputs.pictures)} pictures")
                with quiet():
                    samples, calibrated = calibrate(folder, found.name, inputs)
                    (quantise_onnx if to == "onnx" else quantise_openvino)(path, samples)
            if name == "unet" and split and (shallow := split_off(path, to)):
                truth[SHALLOW] = with_features(truth[name], path, to)
                check(SHALLOW, shallow, gate)
            check(name, path, gate)
            if name == "unet" and segments is not None:
                say(f"{name}: cut into {segments} segments")
                cut(path, segments)
        if tiny is not None:
            say("tiny VAE: trace")
            with quiet():
                halves = trace_tiny(tiny, folder, to)
            for name, (path, reference) in halves.items():
                truth[name], stored = reference, form(name, weights)
                with quiet():
                    finish(path, to, stored)
                check(name, path, GATES[stored])
        kept = write_goldens(folder, truth) if goldens else {}
        return write_manifest(
            folder,
            found,
            to=to,
            weights=weights,
            verification={name: verification[name] for name in truth},
            goldens=kept,
            calibration=calibrated,
        )


def form(name: str, weights: str) -> str:
    """How a network is stored in a package of ``weights``: 4 bits, and 8 for activations, are for the UNet alone."""
    return "int8" if weights in (INT4, W8A8) and name != "unet" else weights


def finish(path: Path, to: str, weights: str) -> None:
    """Optimise the traced graph at ``path`` and store its weights as ``weights``, in place."""
    if to == "openvino":  # its converter has optimised the graph
        compress_openvino(path, weights)
        return
    model = optimise(read(path), shapes=weights == INT4)
    compress_onnx(model, weights)
    write(model, path)
