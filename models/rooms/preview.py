"""A sheet of what the model draws so far: python -m models.rooms.preview --run DIR OUT.png [--few-step].

Upper rows: text to image. Lower rows: one held-out room, restyled at strengths 0.2 to 1, run by diffusers.
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from diffusers import StableDiffusionImg2ImgPipeline
from PIL import Image

from partway_rooms import HELD_OUT
from partway_rooms.renderer import LIGHTS, MEDIA, STYLES

from . import GUIDANCE
from .assemble import pipeline
from .renders import picture


def prompts() -> list[str]:
    """One prompt a style, with lights and media in turn."""
    lights, media = [light.words[0] for light in LIGHTS.values()], ("photo", MEDIA[1], "photo", *MEDIA[2:])
    styles = [style.words[0] for style in STYLES.values()]
    return [f"a {media[i % 6]} of a {style} living room, {lights[i % 6]}" for i, style in enumerate(styles)]


def main() -> None:
    """Draws and saves the sheet."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out")
    parser.add_argument("--run", type=Path, default=Path("build/rooms"))
    parser.add_argument("--few-step", action="store_true")
    parser.add_argument("--guidance", type=float, default=GUIDANCE)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    pipe = pipeline(args.run, args.few_step)
    pipe.set_progress_bar_config(disable=True)
    steps, guidance = (4, 1.0) if args.few_step else (20, args.guidance)
    drawn = []
    for index, prompt in enumerate(prompts()):
        noise = torch.Generator().manual_seed(index)
        image = pipe(prompt, num_inference_steps=steps, guidance_scale=guidance, generator=noise).images[0]
        drawn.append(np.asarray(image))
    restyle = StableDiffusionImg2ImgPipeline(**pipe.components, requires_safety_checker=False)
    restyle.set_progress_bar_config(disable=True)
    for seed, prompt in ((HELD_OUT, "cozy scandinavian interior, warm light"), (HELD_OUT + 1, prompts()[6])):
        room = picture(seed).pixels
        drawn.append(room)
        for strength in (0.25, 0.45, 0.7, 1.0):
            noise = torch.Generator().manual_seed(0)
            image = restyle(
                prompt, image=Image.fromarray(room), strength=strength, num_inference_steps=max(steps, 8),
                guidance_scale=guidance, generator=noise,
            ).images[0]  # fmt: skip
            drawn.append(np.asarray(image))
    rows = [np.concatenate(drawn[i : i + 5], 1) for i in range(0, len(drawn), 5)]
    Image.fromarray(np.concatenate(rows)).save(args.out)


if __name__ == "__main__":
    main()
