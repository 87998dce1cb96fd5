"""Peers, each in a virtual environment of its own: ``python -m benchmarks.peers --work DIR [--peers NAME ...]``.

Makes ``DIR/venvs/<tool>`` with the releases named here, and those of constraints.txt for all that they need. torch's
releases for the processor alone are much smaller than the others; point pip to an index of them where that matters.
"""

import argparse
import json
import os
import subprocess
import sys
import venv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import records
from partway.model.package import open_package

_OPENVINO, _TOKENIZERS = "openvino==2026.4.1", "openvino-tokenizers==2026.4.1.0"
_TORCH = ("torch==2.13.0", "diffusers==0.39.0", "transformers==4.57.6", "accelerate==1.15.0", "pillow==13.0.0")
REQUIREMENTS: dict[str, tuple[str, ...]] = {
    "openvino_genai": ("openvino-genai==2026.4.1.0", _OPENVINO, _TOKENIZERS, "pillow==13.0.0"),
    # With the tokenizers, for it also makes openvino.genai's models.
    "optimum_intel": ("optimum-intel==1.27.0", "optimum==2.1.0", _OPENVINO, _TOKENIZERS, "nncf==3.4.0", *_TORCH),
    "optimum_onnx": ("optimum-onnx==0.1.0", "optimum==2.1.0", "onnxruntime==1.31.1", *_TORCH),
    "diffusers_torch": _TORCH,
    "stable_diffusion_cpp": ("stable-diffusion-cpp-python==0.4.7", "pillow==13.0.0"),
}
# openvino.genai reads a tokenizer as a network, gives the UNet whole timesteps where ours takes fractions too, and
# wants one output of it.
_CONVERT = """
import sys, openvino
from openvino.preprocess import PrePostProcessor
from openvino_tokenizers import convert_tokenizer
from transformers import CLIPTokenizerFast
package, folder, *names = sys.argv[1:]
for name in names:
    tokenizer = convert_tokenizer(CLIPTokenizerFast.from_pretrained(f"{package}/{name}"))
    openvino.save_model(tokenizer, f"{folder}/{name}/openvino_tokenizer.xml")
whole = openvino.Core().read_model(f"{package}/unet/openvino_model.xml")
unet = PrePostProcessor(openvino.Model([whole.output(0).get_node()], whole.get_parameters(), "unet"))
unet.input("timestep").tensor().set_element_type(openvino.Type.i64)
openvino.save_model(unet.build(), f"{folder}/unet/openvino_model.xml", compress_to_fp16=False)
"""
# openvino.genai finds the layers of a LoRA by the names that torch's tracing gives them.
_TRACE = """
import sys
from diffusers import StableDiffusionPipeline
from optimum.exporters.openvino.convert import export_from_model
from optimum.intel import OVConfig
file, configs, folder = sys.argv[1:]
pipe = StableDiffusionPipeline.from_single_file(file, config=configs, local_files_only=True, safety_checker=None)
export_from_model(pipe, folder, task="text-to-image", stateful=False, ov_config=OVConfig(dtype="fp16"))
"""


def python_of(work: Path, tool: str) -> Path:
    """The interpreter of a peer's environment."""
    return work / "venvs" / tool / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def install(work: Path, tool: str) -> bool:
    """Make a peer's environment unless it is there as it should be; whether it is now. What went wrong is said."""
    python, done = python_of(work, tool), work / "venvs" / tool / "requirements.txt"
    wanted = "\n".join(REQUIREMENTS[tool])
    if python.exists() and done.exists() and done.read_text() == wanted:
        return True
    say(f"{tool}: installing {', '.join(REQUIREMENTS[tool])}")
    venv.create(work / "venvs" / tool, with_pip=True, clear=True)
    constraints = str(records.HERE.parent / "constraints.txt")
    command = [str(python), "-m", "pip", "install", "--quiet", "-c", constraints, *REQUIREMENTS[tool]]
    found = subprocess.run(command, capture_output=True, text=True)
    if found.returncode:
        lines = [line for line in found.stderr.splitlines() if "error" in line.lower()] or found.stderr.splitlines()
        say(f"{tool} cannot be installed: {(lines or ['pip says nothing'])[-1].strip()}")
        return False
    done.write_text(wanted)
    return True


def for_genai(work: Path, package: Path) -> Path:
    """An OpenVINO package as openvino.genai takes it, beside it: the same weights, what need not differ as links."""
    folder = package.with_name(f"{package.name}-genai")
    if (folder / "unet/openvino_model.xml").exists():  # written last
        return folder
    for file in package.rglob("*"):
        link = folder / file.relative_to(package)
        if file.is_file() and not (link.exists() or (link.parent.name == "unet" and file.suffix in (".xml", ".bin"))):
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(file)
    scheduler = folder / "scheduler/scheduler_config.json"
    scheduler.unlink()
    scheduler.write_text(json.dumps(_ddim(package)), encoding="utf-8")
    names = [path.name for path in sorted(package.glob("tokenizer*"))]
    command = [str(python_of(work, "optimum_intel")), "-c", _CONVERT, str(package), str(folder), *names]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return folder


def traced(work: Path, file: Path, configs: Path) -> Path:
    """A model's file as optimum-intel exports it, beside it; ``configs`` is its folder of configurations."""
    folder = file.with_name(f"{file.stem}-optimum")
    if not (folder / "vae_decoder/openvino_model.xml").exists():
        command = [str(python_of(work, "optimum_intel")), "-c", _TRACE, str(file), str(configs), str(folder)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return folder


def _ddim(package: Path) -> dict[str, Any]:
    """The package's noise levels as settings of diffusers' DDIM, that goes to the end as all tools here do.

    Spelled out, for openvino.genai knows two of the formulas for them, and no infinite numbers in settings.
    """
    names = ("num_train_timesteps", "prediction_type", "steps_offset", "timestep_spacing")
    settings = json.loads((package / "scheduler/scheduler_config.json").read_text("utf-8"))
    kept = {name: settings[name] for name in names if name in settings}
    sigmas = open_package(package).trained.sigmas.astype(np.float64)  # cleanest first
    products = 1 / (1 + sigmas**2)
    betas = 1 - products / np.concatenate([[1.0], products[:-1]])
    ddim = {"_class_name": "DDIMScheduler", "set_alpha_to_one": True, "clip_sample": False}
    return kept | ddim | {"beta_schedule": "linear", "trained_betas": betas.tolist()}


def say(text: str) -> None:
    """Print to stderr."""
    print(text, file=sys.stderr, flush=True)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return 0, or 1 when a peer could not be installed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--work", type=Path, required=True, help="folder for the environments, some GB")
    parser.add_argument("--peers", nargs="+", choices=list(REQUIREMENTS), default=list(REQUIREMENTS))
    args = parser.parse_args(argv)
    return int(not all([install(args.work.resolve(), tool) for tool in args.peers]))


if __name__ == "__main__":
    sys.exit(main())
