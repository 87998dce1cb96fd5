"""Puts sharpened decoders where assembling looks for them: python -m models.rooms.take_decoder --run DIR.

Reads `DIR/vae`, and `decoder.safetensors` and `tiny.safetensors` as `sharpen` wrote them; writes `DIR/tuned_vae`, and
the tiny decoder's weights to `DIR/tiny_decoder.safetensors` under the names of diffusers' `AutoencoderTiny`.
`--blend 0.8` takes four fifths of the decoder that is named and one of another, `--base`, which is the one before the
critic if none is named, and is of another run's folder with `--base-source`: less detail, a better PSNR.
"""

import argparse
import shutil
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from .autoencoder import WEIGHTS


def named(source: Path, name: str) -> dict[str, torch.Tensor]:
    """The weights of a decoder that sharpening wrote, float32."""
    weights = load_file(source / "decoder.safetensors").items()
    return {key.removeprefix(f"{name}."): value.float() for key, value in weights if key.startswith(f"{name}.")}


def blended(base: dict[str, torch.Tensor], other: dict[str, torch.Tensor], amount: float) -> dict[str, torch.Tensor]:
    """The weights that far from the base's to the other's (Wang et al., 2018, 1809.00219)."""
    return {key: torch.lerp(value, other[key], amount) for key, value in base.items()}


def take(run: Path, new: dict[str, torch.Tensor]) -> Path:
    """Writes the autoencoder's folder with a decoder's new weights, its encoder as it was."""
    weights = load_file(run / "vae" / WEIGHTS)
    if missing := new.keys() - weights.keys():
        raise SystemExit(f"{run}/vae has no {', '.join(sorted(missing))}")
    folder = run / "tuned_vae"
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(run / "vae" / "config.json", folder / "config.json")
    save_file({key: new.get(key, value.float()) for key, value in weights.items()}, folder / WEIGHTS)
    return folder


def main() -> None:
    """Writes both."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", type=Path, default=Path("build/rooms"))
    parser.add_argument("--source", type=Path, default=None, help="the folder that sharpening wrote to, if another")
    parser.add_argument("--name", choices=("crisp", "sharper"), default="crisp")
    parser.add_argument("--base", choices=("plain", "crisp", "sharper"), default="plain")
    parser.add_argument("--base-source", type=Path, default=None, help="the folder of the base, if another")
    parser.add_argument("--blend", type=float, default=1.0)
    args = parser.parse_args()
    source = args.source or args.run
    base = named(args.base_source or source, args.base)
    print(take(args.run, blended(base, named(source, args.name), args.blend)))
    if (tiny := source / "tiny.safetensors").exists():
        parts = {key: value.float() for key, value in load_file(tiny).items() if key.startswith("decoder.")}
        save_file(parts, args.run / "tiny_decoder.safetensors")


if __name__ == "__main__":
    main()
