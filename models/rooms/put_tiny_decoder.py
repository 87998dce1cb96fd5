"""Puts a tiny decoder into a package, beside what it has: python -m models.rooms.put_tiny_decoder PACKAGE --run DIR.

Reads `DIR/tiny_decoder.safetensors` and writes the network in 8 bits, its golden and its lines in the manifests, also
those of the folders beside the package that share its networks.
"""

import argparse
import json
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file

from partway.building.tiny_vae import tiny_decoder
from partway.checkpoints.safetensors import read_header
from partway.graphs import TINY_DECODER
from partway.model.doctor import DEFAULT_GATE, psnr
from partway.pictures.metadata import file_hash
from partway_export.onnx_networks import write_onnx

from .autoencoder import TinyDecoder
from .put_decoder import MANIFEST, sharing
from .train_tiny_decoder import FILE, SCALE

GRAPH, GOLDEN = f"{TINY_DECODER}/model.onnx", f"goldens/{TINY_DECODER}.npz"


def golden(package: Path, weights: Path) -> dict[str, NDArray[np.float32]]:
    """Latents of the golden of the package's decoder, scaled, and what torch makes of them."""
    tiny = TinyDecoder()
    tiny.load_state_dict({name.removeprefix("decoder."): value for name, value in load_file(weights).items()})
    with np.load(package / "goldens/vae_decoder.npz") as kept:
        latents = kept["inputs/latent_sample"] * np.float32(SCALE)
    with torch.no_grad():
        return {"inputs/latent_sample": latents, "outputs/sample": tiny(torch.from_numpy(latents)).numpy()}


def put_tiny_decoder(package: Path, weights: Path) -> float:
    """Writes graph, goldens and manifests; returns the PSNR to torch in dB, SystemExit where it is too low."""
    arrays, graph = golden(package, weights), package / GRAPH
    graph.parent.mkdir(exist_ok=True)
    write_onnx({graph: tiny_decoder(read_header(weights).weights)}, "int8")
    session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
    (made,) = session.run(["sample"], {"latent_sample": arrays["inputs/latent_sample"]})
    figure = psnr(arrays["outputs/sample"], made)
    if figure < DEFAULT_GATE:
        raise SystemExit(f"the stored decoder is only {figure:.1f} dB from torch's, and {DEFAULT_GATE:g} are needed")
    for folder in sharing(package):
        np.savez_compressed(folder / GOLDEN, allow_pickle=False, **arrays)
        manifest = json.loads((folder / MANIFEST).read_text("utf-8"))
        for name, path in ((GRAPH, graph), (GOLDEN, folder / GOLDEN)):
            manifest["files"][name] = {"sha256": file_hash(path), "bytes": path.stat().st_size}
        manifest["files"] = dict(sorted(manifest["files"].items()))
        manifest["verification"][TINY_DECODER] = {"psnr": round(figure, 2), "gate": DEFAULT_GATE}
        (folder / MANIFEST).write_text(json.dumps(manifest, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return figure


def main() -> None:
    """Puts it in."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("package", type=Path)
    parser.add_argument("--run", type=Path, default=Path("build/rooms"))
    args = parser.parse_args()
    print(f"{put_tiny_decoder(args.package.resolve(), args.run / FILE):.2f} dB from torch")


if __name__ == "__main__":
    main()
