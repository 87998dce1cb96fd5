"""Puts a decoder into a package and leaves all else as it is: python -m models.rooms.put_decoder PACKAGE --run DIR.

Reads `DIR/tuned_vae`. The decoder's graph stays and its weights are stored as they were, in 8 bits or as floats;
golden, checksums and distance from torch follow, also in the folders beside the package that share its decoder.
"""

import argparse
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from numpy.typing import NDArray
from onnx import numpy_helper

from partway.model import files
from partway.model.doctor import DEFAULT_GATE, psnr
from partway.pictures.metadata import file_hash
from partway_export.manifest import MANIFEST, put_manifest

from .autoencoder import LatentDecoder, load_autoencoder

GRAPH, GOLDEN = "vae_decoder/model.onnx", "goldens/vae_decoder.npz"
NORMS = {"Mul": "weight", "Add": "bias"}  # what of a norm these operators, called after its layer, take
Arrays = Mapping[str, NDArray[np.float32]]


def quantised(values: NDArray[np.float32]) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Values in -127 .. 127 and a scale for each output channel, the first axis."""
    scale = np.abs(values).max(tuple(range(1, values.ndim)), keepdims=True) / 127
    scale = np.where(scale > 0, scale, 1).astype(np.float32)
    return np.rint(values / scale).clip(-127, 127).astype(np.int8), scale.reshape(-1)


def put(model: onnx.ModelProto, weights: Arrays) -> None:
    """Changes a decoder's weights, given by the names of its parameters; SystemExit where one has no place."""
    parameters: dict[str, str] = {}
    for node in model.graph.node:
        layer = node.name.rpartition("/")[0].strip("/").replace("/", ".")
        parameters |= {name: f"{layer}.{NORMS[node.op_type]}" for name in node.input if node.op_type in NORMS}
    placed = set()
    for tensor in model.graph.initializer:
        name, _, form = tensor.name.rpartition(".")
        key = parameters.get(tensor.name, name if form in ("int8", "scale", "fp16") else tensor.name)
        if key not in weights:
            continue
        value: NDArray[Any] = weights[key]
        if form in ("int8", "scale"):
            value = quantised(value)[form == "scale"]
        kind = numpy_helper.to_array(tensor).dtype
        tensor.CopyFrom(numpy_helper.from_array(value.reshape(tuple(tensor.dims)).astype(kind), tensor.name))
        placed.add(key)
    if missing := sorted(weights.keys() - placed):
        raise SystemExit(f"the package's decoder has no {', '.join(missing)}")


def golden(path: Path, decoder: LatentDecoder) -> dict[str, NDArray[Any]]:
    """The golden's inputs, and what torch makes of them."""
    with np.load(path) as kept:
        latents = kept["inputs/latent_sample"]
    with torch.no_grad():
        return {"inputs/latent_sample": latents, "outputs/sample": decoder(torch.from_numpy(latents)).numpy()}


def sharing(package: Path) -> Iterator[Path]:
    """The package, and the folders beside it that take the decoder from it."""
    yield package
    for path in sorted(package.parent.glob(f"*/{MANIFEST}")):
        if files.manifest(path).get("shares") == package.name:
            yield path.parent


def put_decoder(package: Path, decoder: LatentDecoder) -> float:
    """Writes graph, goldens and manifests; returns the PSNR to torch in dB, SystemExit where it is too low."""
    model = onnx.load(package / GRAPH)
    put(model, {name: value.numpy() for name, value in decoder.state_dict().items()})
    arrays = golden(package / GOLDEN, decoder)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    (made,) = session.run(["sample"], {"latent_sample": arrays["inputs/latent_sample"]})
    figure = psnr(arrays["outputs/sample"], made)
    if figure < DEFAULT_GATE:
        raise SystemExit(f"the stored decoder is only {figure:.1f} dB from torch's, and {DEFAULT_GATE:g} are needed")
    (package / GRAPH).write_bytes(model.SerializeToString())
    for folder in sharing(package):
        np.savez_compressed(folder / GOLDEN, allow_pickle=False, **arrays)
        manifest = files.manifest(folder / MANIFEST)
        for name, path in ((GRAPH, package / GRAPH), (GOLDEN, folder / GOLDEN)):
            manifest["files"][name] = {"sha256": file_hash(path), "bytes": path.stat().st_size}
        manifest["verification"]["vae_decoder"]["psnr"] = round(figure, 2)
        put_manifest(folder, manifest)
    return figure


def main() -> None:
    """Puts it in."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("package", type=Path)
    parser.add_argument("--run", type=Path, default=Path("build/rooms"))
    args = parser.parse_args()
    _, decoder = load_autoencoder(args.run / "tuned_vae")
    print(f"{put_decoder(args.package.resolve(), decoder):.2f} dB from torch")


if __name__ == "__main__":
    main()
