"""Draws many pictures at once, with adapters or without, to measure them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from diffusers import AutoencoderKL, DPMSolverMultistepScheduler, LCMScheduler
from numpy.typing import NDArray
from transformers import CLIPTokenizer

from ..assemble import SCHEDULER
from .data import scale, to_tokens
from .shared import Base

CHUNK = 128


class Plan(NamedTuple):
    """How pictures are made: steps, guidance scale, strength (1 begins with noise alone), latent consistency or not."""

    steps: int = 20
    guidance: float = 7.5
    strength: float = 1.0
    few: bool = False


FEW = Plan(steps=4, guidance=1.0, few=True)


class Studio(NamedTuple):
    """The model and what stands around it."""

    base: Base
    vae: Any
    tokenizer: Any


def open_studio(run: Path, base: Base) -> Studio:
    """The autoencoder and the tokenizer of a run folder beside the UNet."""
    vae = AutoencoderKL.from_pretrained(run / "vae").to(base.device, memory_format=torch.channels_last)
    return Studio(base, vae, CLIPTokenizer.from_pretrained(run / "tokenizer"))


def _levels(plan: Plan, on: torch.device) -> tuple[Any, torch.Tensor]:
    """A fresh scheduler and the timesteps that a strength leaves."""
    if plan.few:
        scheduler: Any = LCMScheduler(**SCHEDULER, clip_sample=False)
        scheduler.set_timesteps(plan.steps, device=on, strength=plan.strength)
        return scheduler, scheduler.timesteps
    scheduler = DPMSolverMultistepScheduler(**SCHEDULER, timestep_spacing="trailing", steps_offset=1)
    scheduler.set_timesteps(plan.steps, device=on)
    first = plan.steps - min(int(plan.steps * plan.strength + 0.5), plan.steps)
    scheduler.set_begin_index(first)
    return scheduler, scheduler.timesteps[first:]


@torch.no_grad()
def predict(
    base: Base, x: torch.Tensor, t: torch.Tensor, hidden: torch.Tensor, net: Any = None, lines: Any = None
) -> torch.Tensor:
    """The predicted v, with a ControlNet's help where there is one."""
    times, x = t.expand(len(x)), x.contiguous(memory_format=torch.channels_last)
    more: dict[str, Any] = {}
    if net is not None:
        down, middle = net(x, times, hidden, lines, return_dict=False)
        more = {"down_block_additional_residuals": down, "mid_block_additional_residual": middle}
    return torch.as_tensor(base.unet(x, times, hidden, **more).sample.float())


@torch.no_grad()
def _chunk(studio: Studio, prompts: list[str], plan: Plan, sources: Any, control: tuple[Any, Any]) -> torch.Tensor:
    base, (net, lines) = studio.base, control
    on, noise = base.device, torch.Generator().manual_seed(len(prompts))
    scheduler, timesteps = _levels(plan, on)

    def hide(texts: list[str]) -> torch.Tensor:
        tokens = torch.from_numpy(to_tokens(studio.tokenizer, texts).astype(np.int64)).to(on)
        return torch.as_tensor(base.text_encoder(tokens)[0])

    hidden, guided = hide(prompts), plan.guidance > 1
    if guided:
        hidden = torch.cat([hide([""] * len(prompts)), hidden])
        lines = None if lines is None else torch.cat([lines, lines])
    x = torch.randn((len(prompts), 4, 32, 32), generator=noise).to(on)
    if sources is not None:
        x = scheduler.add_noise(sources, x, timesteps[:1])
    for t in timesteps:
        v = predict(base, torch.cat([x, x]) if guided else x, t, hidden, net, lines)
        if guided:
            bare, asked = v.chunk(2)
            v = bare + plan.guidance * (asked - bare)
        x = scheduler.step(v, t, x, return_dict=False)[0]
    pixels = studio.vae.decode(x / scale()).sample.float().clamp(-1, 1)
    return torch.round((pixels + 1) * 127.5) / 127.5 - 1


def draw(
    studio: Studio,
    prompts: Sequence[str],
    plan: Plan,
    *,
    sources: torch.Tensor | None = None,
    control: tuple[Any, torch.Tensor] | None = None,
) -> torch.Tensor:
    """Pictures (B, 3, 256, 256) in [-1, 1], rounded as in uint8.

    sources: scaled latents of the pictures that image-to-image begins with, (B, 4, 32, 32)
    control: a ControlNet and its lines, (B, 3, 256, 256)
    """
    found = []
    for i in range(0, len(prompts), CHUNK):
        part = slice(i, i + CHUNK)
        net, lines = (None, None) if control is None else (control[0], control[1][part])
        chosen = None if sources is None else sources[part]
        found.append(_chunk(studio, list(prompts[part]), plan, chosen, (net, lines)))
    return torch.cat(found)


def to_pixels(pictures: torch.Tensor) -> NDArray[np.uint8]:
    """(B, 3, H, W) in [-1, 1] to (B, H, W, 3) uint8."""
    return np.asarray(((pictures + 1) * 127.5).round().byte().permute(0, 2, 3, 1).cpu().numpy())
