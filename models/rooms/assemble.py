"""Puts the trained networks together as a diffusers pipeline: python -m models.rooms.assemble --run DIR [--few-step].

The averaged weights go into `DIR/diffusers/rooms` (`rooms-lcm` with --few-step), a folder that diffusers loads as a
StableDiffusionPipeline and `partway export` takes like any other.
"""

import argparse
from pathlib import Path
from typing import Any

from diffusers import AutoencoderKL, DPMSolverMultistepScheduler, LCMScheduler, StableDiffusionPipeline
from transformers import CLIPTokenizer

from . import training
from .latents import scaling_factor
from .networks import make_text_encoder, make_unet
from .train_unet import betas, empty_tokens

SCHEDULER: dict[str, Any] = {
    "trained_betas": betas(),
    "num_train_timesteps": 1000,
    "prediction_type": "v_prediction",
}
CARD = """---
license: apache-2.0
---
A small Stable Diffusion of living rooms, trained by partway's models/rooms on pictures that it draws itself.
"""


def trained(run: Path, *, restyled: bool = True) -> tuple[Any, Any]:
    """UNet and text encoder with the averaged weights of the checkpoint, and the UNet's of restyling if it was done."""
    state = training.load(run / "unet.pt")
    if not state:
        raise SystemExit(f"no unet.pt in {run}: run python -m models.rooms.train_unet --run {run} first")
    unet, text_encoder = make_unet(), make_text_encoder(int(empty_tokens(run).max()) + 1)
    training.put([*unet.parameters(), *text_encoder.parameters()], state["averaged"])
    if restyled and (state := training.load(run / "restyled.pt")):
        training.put(unet.parameters(), state["averaged"])
    return unet.eval(), text_encoder.eval()


def pipeline(run: Path, few_step: bool = False) -> StableDiffusionPipeline:
    """The whole model as diffusers runs it."""
    folder = next(path for name in ("tuned_vae", "vae") if (path := run / name).exists())
    vae = AutoencoderKL.from_pretrained(folder).eval()
    vae.register_to_config(scaling_factor=scaling_factor(run))
    unet, text_encoder = trained(run)
    scheduler: Any = DPMSolverMultistepScheduler(**SCHEDULER, timestep_spacing="trailing", steps_offset=1)
    if few_step:
        training.put(unet.parameters(), training.load(run / "lcm.pt")["averaged"])
        scheduler = LCMScheduler(**SCHEDULER, clip_sample=False)
    return StableDiffusionPipeline(
        vae=vae, text_encoder=text_encoder, tokenizer=CLIPTokenizer.from_pretrained(run / "tokenizer"), unet=unet,
        scheduler=scheduler, safety_checker=None, feature_extractor=None, requires_safety_checker=False,
    )  # fmt: skip


def main() -> None:
    """Writes the folder."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", type=Path, default=Path("build/rooms"))
    parser.add_argument("--few-step", action="store_true")
    args = parser.parse_args()
    folder = args.run / "diffusers" / ("rooms-lcm" if args.few_step else "rooms")
    pipeline(args.run, args.few_step).save_pretrained(folder)
    (folder / "README.md").write_text(CARD)
    print(folder)


if __name__ == "__main__":
    main()
