"""From a model as people hold it to a partway package, in one straight line."""

import os
from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from partway.errors import InputError, choose
from partway.graphs import MAX_SEGMENTS, SHALLOW
from partway.loras import Lora, chosen
from partway.model.package import Package
from partway_export.calibrate import calibrate, material
from partway_export.families import FORMATS, W8A8, WEIGHTS
from partway_export.fetch import fetch
from partway_export.fused import fused
from partway_export.guard import check_space, new_folder, one_line_errors
from partway_export.manifest import write_manifest
from partway_export.networks import Wanted, built, write_network
from partway_export.opened import opened
from partway_export.package import write_goldens, write_settings
from partway_export.quantise import quantise_onnx, quantise_openvino
from partway_export.quiet import quiet
from partway_export.reference import TRUTH, Reference, references
from partway_export.storing import bytes_on_disk
from partway_export.torch_reference import compared
from partway_export.verify import GATES, measured, with_features


def export(
    source: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    to: str = "onnx",
    weights: str = "fp16",
    revision: str | None = None,
    goldens: bool = True,
    calibration: str | os.PathLike[str] | None = None,
    vae: str | os.PathLike[str] | None = None,
    tiny_vae: str | os.PathLike[str] | None = None,
    prediction: str | None = None,
    split: bool = False,
    segments: int | None = None,
    verify: bool = False,
    loras: Mapping[str, float] | Sequence[Lora] = (),
    say: Callable[[str], None] = lambda text: None,
) -> dict[str, Any]:
    """Export the model ``source`` (file, diffusers folder or Hub id) to the folder ``out``; return partway.json.

    to: "onnx" or "openvino"; weights: "fp32", "fp16", "int8", "int4" or "w8a8"; revision: of a Hub id; goldens:
    keep the model's own outputs in the package; calibration: a folder of pictures, prompts or both that "w8a8" takes
    the ranges of activations from (see `partway_export.calibrate`); vae, prediction: as `partway.load` has them;
    tiny_vae: a file, folder or Hub id of diffusers' AutoencoderTiny (TAESD), to be put beside the VAE; split: whether
    the UNet's outermost layers become a graph of their own too (`partway.diffusion.reuse`); segments: into how many
    the UNet of an ONNX package is also cut; verify: whether every network is also compared with torch's, which has to
    be installed; loras: adapters to make a part of the model, as `partway.load` has them; say: is called with a line of
    text for each stage.
    Every network is compared with the model itself in float32; when one fails its gate, or anything else goes wrong,
    nothing is left at ``out``.

    Raises InputError for arguments that cannot be used, PackageError for a model that cannot be exported,
    EngineError when a library is missing, NetworkError when a network differs too much.
    """
    wanted, adapters = Wanted(to, weights, split, segments), chosen(loras)
    _check(wanted, calibrated=calibration is not None)
    inputs = material(None if calibration is None else Path(calibration)) if weights == W8A8 else None
    with new_folder(Path(out)) as folder, one_line_errors():
        _look_for(wanted, verify=verify)
        say(f"fetch {source}")
        found = fetch(os.fspath(source), revision)
        tiny = None if tiny_vae is None else os.fspath(tiny_vae)
        with (
            opened(found, vae=vae, tiny_vae=tiny, prediction=prediction) as plain,
            fused(plain, adapters) as package,
        ):
            assert package.checkpoint is not None
            say(f"{package.checkpoint.title} ({'; '.join(package.checkpoint.reasons)})")
            names = built(package)
            check_space(folder, bytes_on_disk(names.values(), weights))
            write_settings(package, folder)
            say("run it as it is, to compare with")
            truth = references(package)
            if verify:
                truth |= _as_torch_has_it(package, truth, say)
            verification, calibrated = {}, None
            for name in sorted(names, key="unet".__eq__):  # last: it is calibrated by running them all
                say(f"{name}: write, stored as {wanted.stored(name)}")
                paths = write_network(package, name, folder, wanted)
                if name == "unet" and inputs:
                    say(f"{name}: calibrate on {len(inputs.pictures)} pictures")
                    with quiet():
                        samples, calibrated = calibrate(folder, found.name, inputs)
                        (quantise_onnx if to == "onnx" else quantise_openvino)(paths[name], samples)
                if to == "onnx" and name == "unet":
                    truth[name].inputs["timestep"] = truth[name].inputs["timestep"].reshape(())
                if SHALLOW in paths:
                    truth[SHALLOW] = with_features(truth[name], paths[name], to)
                for one, path in paths.items():
                    gate = GATES[wanted.stored(one)]
                    with quiet():
                        figure = measured(one, path, truth[one], to, gate)
                    verification[one] = {"psnr": round(figure, 2), "gate": gate}
                    say(f"{one}: {figure:.1f} dB from the model in float32, {gate:g} needed")
        kept = write_goldens(folder, truth) if goldens else {}
        return write_manifest(
            folder,
            found,
            to=to,
            weights=weights,
            truth="torch" if verify else TRUTH,
            verification={name: verification[name] for name in truth},
            goldens=kept,
            calibration=calibrated,
            loras=adapters,
        )


def _check(wanted: Wanted, *, calibrated: bool) -> None:
    """Raise InputError for what no package can have."""
    to, weights, _, segments = wanted
    choose("format", to, FORMATS)
    choose("weights", weights, WEIGHTS)
    if calibrated and weights != W8A8:
        raise InputError(f"only weights {W8A8!r} are calibrated; leave calibration out, or ask for those")
    if segments is not None and (to != "onnx" or not 2 <= segments <= MAX_SEGMENTS):
        raise InputError(f"segments must be between 2 and {MAX_SEGMENTS}, of format onnx, not {segments} of {to}")
    if segments is not None and weights == W8A8:
        raise InputError(f"weights {W8A8!r} are not cut into segments; choose int8, or leave segments out")


def _look_for(wanted: Wanted, *, verify: bool) -> None:
    """Raise ImportError for a library that the last stages import, before the first have worked for nothing."""
    needed = {"torch": verify, "nncf": wanted.weights == W8A8 and wanted.to == "openvino"}
    for name in (name for name, is_needed in needed.items() if is_needed and find_spec(name) is None):
        raise ImportError(f"no module named {name}", name=name)


def _as_torch_has_it(package: Package, truth: dict[str, Reference], say: Callable[[str], None]) -> dict[str, Reference]:
    """torch's outputs in the place of those of the networks that are built here."""
    say("load into torch")
    with quiet():
        found = compared(package, truth)
    for name, (_, figure) in found.items():
        say(f"{name}: as it is built here {figure:.1f} dB from torch's")
    return {name: reference for name, (reference, _) in found.items()}
