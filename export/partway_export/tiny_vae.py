"""A tiny autoencoder beside the VAE, many times faster and a little less exact: diffusers' AutoencoderTiny (TAESD).

Its latents are scaled ones, as the UNet has them: neither scaling factor nor posterior comes in between.
"""

from pathlib import Path
from typing import Any

from partway.errors import PackageError
from partway.graphs import TINY_DECODER, TINY_ENCODER
from partway_export.families import FORMATS
from partway_export.fetch import fetch
from partway_export.guard import one_line
from partway_export.reference import Reference, picture
from partway_export.trace import OPSET

_PORTS = {TINY_ENCODER: ("sample", "latents", 3), TINY_DECODER: ("latent_sample", "sample", 4)}
"""The input and the output of each graph, and the input's channels."""


def load_tiny(source: str, channels: int) -> Any:
    """The AutoencoderTiny in the folder, or of the Hub id, ``source``; raises PackageError if there is none that fits.

    ``channels``: of the latents that the model has.
    """
    from diffusers import AutoencoderTiny

    folder = fetch(source).folder
    try:
        vae = AutoencoderTiny.from_pretrained(folder, local_files_only=True).eval()
    except (ImportError, MemoryError):
        raise
    except Exception as error:
        raise PackageError(f"{source} cannot be loaded as an AutoencoderTiny: {one_line(error)}") from error
    if vae.config.latent_channels != channels:
        raise PackageError(
            f"{source} has latents of {vae.config.latent_channels} channels where the model has {channels}"
        )
    return vae


def trace_tiny(vae: Any, folder: Path, to: str) -> dict[str, tuple[Path, Reference]]:
    """Write both halves in float32 to ``folder/<name>/``; return each one's path, and what torch says of a picture."""
    import torch

    class Encoder(torch.nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.vae = vae

        def forward(self, sample: Any) -> Any:
            return self.vae.encode(sample).latents

    class Decoder(Encoder):
        def forward(self, sample: Any) -> Any:
            return self.vae.decode(sample).sample

    found, value = {}, torch.from_numpy(picture())
    for name, module in ((TINY_ENCODER, Encoder()), (TINY_DECODER, Decoder())):
        input_name, output_name, channels = _PORTS[name]
        path = folder / name / FORMATS[to]
        path.parent.mkdir(parents=True)
        with torch.no_grad():
            output = module(value)
            if to == "onnx":
                axes = {port: {0: "batch", 2: "height", 3: "width"} for port in (input_name, output_name)}
                torch.onnx.export(
                    module, (value,), str(path), input_names=[input_name], output_names=[output_name],
                    dynamic_axes=axes, opset_version=OPSET, dynamo=False,
                )  # fmt: skip
            else:
                _convert(module, value, path, channels, input_name, output_name)
        found[name] = (path, Reference({input_name: value.numpy()}, {output_name: output.numpy()}))
        value = output
    return found


def _convert(module: Any, value: Any, path: Path, channels: int, input_name: str, output_name: str) -> None:
    import openvino

    shape = openvino.PartialShape([-1, channels, -1, -1])
    model = openvino.convert_model(module, example_input=value, input=[shape])
    model.inputs[0].set_names({input_name})
    model.outputs[0].set_names({output_name})
    openvino.save_model(model, path, compress_to_fp16=False)
