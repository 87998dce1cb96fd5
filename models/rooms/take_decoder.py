"""Puts sharpened decoders where assembling looks for them: python -m models.rooms.take_decoder --run DIR.

Reads `DIR/vae`, and `decoder.safetensors` and `tiny.safetensors` as `sharpen` wrote them; writes `DIR/tuned_vae`, and
the tiny decoder's weights to `DIR/tiny_decoder.safetensors` under the names of diffusers' `AutoencoderTiny`.
`--blend 0.8` takes four fifths of the decoder that is named and one of another, `--base`, which is the one before the
critic if none is named: less detail, a better PSNR.
"""

import argparse
import shutil
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from .autoencoder import WEIGHTS


def blended(source: Path, name: str, base: str, amount: float) -> dict[str, torch.Tensor]:
    """The named decoder's weights, float32, that far from the base's (Wang et al., 2018, 1809.00219)."""
    weights = load_file(source)
    keys = [key.removeprefix(f"{base}.") for key in weights if key.startswith(f"{base}.")]
    return {key: torch.lerp(weights[f"{base}.{key}"].float(), weights[f"{name}.{key}"].float(), amount) for key in keys}


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
    parser.add_argument("--base", choices=("plain", "crisp"), default="plain")
    parser.add_argument("--blend", type=float, default=1.0)
    args = parser.parse_args()
    source = args.source or args.run
    print(take(args.run, blended(source / "decoder.safetensors", args.name, args.base, args.blend)))
    if (tiny := source / "tiny.safetensors").exists():
        parts = {key: value.float() for key, value in load_file(tiny).items() if key.startswith("decoder.")}
        save_file(parts, args.run / "tiny_decoder.safetensors")


if __name__ == "__main__":
    main()
