"""The shipped weights back in torch, to train on from them: python -m models.rooms.restore PACKAGE --run DIR.

A package holds the weights under their own names, or the operators that take them are called after their layers, as
torch's tracing leaves it; int8 and fp16 weights come back as the numbers that they stand for. Writes
`DIR/vae`, `DIR/tokenizer`, `DIR/vae.pt` at the step where whole pictures begin and `DIR/unet.pt` at step 0.
"""

import argparse
import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import numpy_helper
from transformers import CLIPTokenizer

from partway.graphs import FILES, NETWORKS
from partway.model.package import open_package

from . import training
from .networks import make_text_encoder, make_unet, make_vae
from .train_vae import STAGES

CROPS = sum(steps for steps, _, _ in STAGES[:-1])
Weights = Mapping[str, NDArray[np.float32]]

_KINDS = {"MatMul": "weight", "Conv": "weight", "Gemm": "weight", "Mul": "weight", "Add": "bias"}
"""What operators named after a layer take of it."""


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


def by_parameter(path: Path) -> Weights:
    """The weights of an exported network by the names of its parameters, each the way round that torch has it."""
    weights = stored(path)
    found = dict(weights)
    for node in onnx.load(path).graph.node:
        layer = node.name.rpartition("/")[0].strip("/").replace("/", ".")
        for place in {0, 1} & set(range(len(node.input))):
            name = node.input[place]
            if name in weights and node.op_type in _KINDS and layer:
                value = weights[name].T if node.op_type == "MatMul" else weights[name]
                found[f"{layer}.{_KINDS[node.op_type]}"] = value
    return found


def restore(package: Path, tokenizer: Any) -> tuple[Any, Any, Any]:
    """Autoencoder, UNet and text encoder with a package's weights; SystemExit where one is missing or does not fit."""
    vae, unet, text_encoder = make_vae(), make_unet(), make_text_encoder(len(tokenizer))
    opened = open_package(package)
    restored: set[int] = set()
    for name in (one for one in NETWORKS if one in opened.networks):
        weights = by_parameter(opened.path(f"{name}/{FILES['onnx']}"))
        module = {"unet": unet, "text_encoder": text_encoder}.get(name, vae)
        with torch.no_grad():
            for key, parameter in module.named_parameters():
                if key in weights:
                    parameter.copy_(torch.from_numpy(np.array(weights[key])).reshape(parameter.shape))
                    restored.add(id(parameter))
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
