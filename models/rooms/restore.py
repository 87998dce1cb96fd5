"""The shipped weights back in torch, to train on from them: python -m models.rooms.restore PACKAGE --run DIR.

A package holds the weights under the names that the export gave them. Exporting the same networks with random weights
tells which name is which parameter; int8 and fp16 weights come back as the numbers that they stand for. Writes
`DIR/vae`, `DIR/tokenizer`, `DIR/vae.pt` at the step where whole pictures begin and `DIR/unet.pt` at step 0.
"""

import argparse
import json
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from diffusers import DDIMScheduler, StableDiffusionPipeline
from numpy.typing import NDArray
from onnx import numpy_helper
from transformers import CLIPTokenizer

from partway.graphs import FILES, FUSED
from partway.model.package import open_package
from partway_export.load import Traceable, networks
from partway_export.onnx_file import read
from partway_export.optimise import optimise
from partway_export.package import CONFIG_OF
from partway_export.quiet import quiet
from partway_export.trace import trace

from . import training
from .networks import make_text_encoder, make_unet, make_vae
from .train_vae import STAGES

CROPS = sum(steps for steps, _, _ in STAGES[:-1])
Weights = Mapping[str, NDArray[np.float32]]


def stored(path: Path) -> Weights:
    """Every floating-point weight of an exported network by its name, compressed ones as float32."""
    model = onnx.load(path)
    raw = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    found = {name: value for name, value in raw.items() if value.dtype == np.float32}
    for node in model.graph.node:
        if node.op_type == "Cast" and node.input[0] in raw and raw[node.input[0]].dtype == np.float16:
            found[node.output[0]] = raw[node.input[0]].astype(np.float32)
        elif node.op_type == "DequantizeLinear":
            values, scale = (raw[name] for name in node.input[:2])
            axis = next(item.i for item in node.attribute if item.name == "axis")
            shape = [-1 if index == axis else 1 for index in range(values.ndim)]
            found[node.output[0]] = values.astype(np.float32) * scale.reshape(shape)
    return found


def parameters_by_name(name: str, network: Traceable, fuse: bool) -> dict[str, tuple[str, bool]]:
    """For each parameter of a network, the name of the weight that an export makes of it, and whether transposed.

    fuse: as the package was traced, for names count nodes
    """
    with torch.no_grad():
        for parameter in network.module.parameters():
            torch.nn.init.normal_(parameter)
    with tempfile.TemporaryDirectory() as folder, quiet():
        model = optimise(read(trace(name, network, Path(folder), "onnx", fuse=fuse)))
        places = {numpy_helper.to_array(t).tobytes(): t.name for t in model.graph.initializer}
    found = {}
    for key, parameter in network.module.named_parameters():
        for transposed in (False, True):
            value = parameter.detach().T if transposed and parameter.ndim == 2 else parameter.detach()
            if (place := places.get(np.ascontiguousarray(value.numpy()).tobytes())) is not None:
                found[key] = (place, transposed and parameter.ndim == 2)
                break
    return found


def restore(package: Path, tokenizer: Any) -> tuple[Any, Any, Any]:
    """Autoencoder, UNet and text encoder with a package's weights; SystemExit where one is missing or does not fit."""
    vae, unet, text_encoder = make_vae(), make_unet(), make_text_encoder(len(tokenizer))
    pipe = StableDiffusionPipeline(
        vae=vae, text_encoder=text_encoder, tokenizer=tokenizer, unet=unet,
        scheduler=DDIMScheduler(clip_sample=False, steps_offset=1),
        safety_checker=None, feature_extractor=None, requires_safety_checker=False,
    )  # fmt: skip
    restored: set[int] = set()
    opened = open_package(package)
    fuse = FUSED.items() <= opened.manifest.items()
    for name, network in networks(pipe, "onnx").items():
        places, weights = parameters_by_name(name, network, fuse), stored(opened.path(f"{name}/{FILES['onnx']}"))
        own = dict(getattr(pipe, CONFIG_OF.get(name, name)).named_parameters())
        with torch.no_grad():
            for key, (place, transposed) in places.items():
                if place not in weights:
                    raise SystemExit(f"{package}/{name} has no {place}: it was exported from other networks")
                shape = own[key].T.shape if transposed else own[key].shape
                value = torch.from_numpy(np.array(weights[place])).reshape(shape)
                own[key].copy_(value.T if transposed else value)
                restored.add(id(own[key]))
    for module in (vae, unet, text_encoder):
        missing = [key for key, parameter in module.named_parameters() if id(parameter) not in restored]
        if missing:
            raise SystemExit(f"{package} has no weights for {', '.join(missing)}")
    return vae.eval(), unet.eval(), text_encoder.eval()


def main() -> None:
    """Writes the run folder."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("package", type=Path)
    parser.add_argument("--run", type=Path, default=Path("build/rooms"))
    args = parser.parse_args()
    shutil.copytree(args.package / "tokenizer", args.run / "tokenizer", dirs_exist_ok=True)
    tokenizer = CLIPTokenizer.from_pretrained(args.run / "tokenizer")
    vae, unet, text_encoder = restore(args.package, tokenizer)
    config = json.loads((args.package / "vae_decoder" / "config.json").read_text())
    vae.register_to_config(scaling_factor=config["scaling_factor"])
    vae.save_pretrained(args.run / "vae")
    weights = [p.detach() for p in vae.parameters()]
    training.save(args.run / "vae.pt", vae=vae.state_dict(), averaged=weights, step=CROPS)
    averaged = [p.detach() for p in (*unet.parameters(), *text_encoder.parameters())]
    training.save(
        args.run / "unet.pt", unet=unet.state_dict(), text_encoder=text_encoder.state_dict(), averaged=averaged, step=0
    )
    print(args.run)


if __name__ == "__main__":
    main()
