"""Trains a ControlNet for lines: python -m models.rooms.adapters.control --run DIR --minutes 5.

A copy of the UNet's encoder (Zhang et al., 2023, arXiv 2302.05543) is shown the lines of a room in one look and learns
the room in another: what the lines tell of the layout helps, what they tell of the look does not. One picture in
three has its own lines. Writes `DIR/adapters/rooms_lines.safetensors` (diffusers' ControlNetModel) and its
configuration beside it.
"""

import json
from typing import Any

import torch
from diffusers import ControlNetModel
from safetensors.torch import save_file

from ..train_unet import Batch
from .shared import Base, Trainer, arguments, dropped, load_base, load_pool, stratified

OWN = 1 / 3  # of the pictures
EARLY = 0.7  # exponent below 1: more timesteps near pure noise, where the layout is decided


def controlled(
    base: Base, net: Any, x: torch.Tensor, t: torch.Tensor, hidden: torch.Tensor, lines: torch.Tensor
) -> Any:
    """The v that the UNet predicts with the ControlNet's help."""
    x = x.contiguous(memory_format=torch.channels_last)
    down, middle = net(x, t, hidden, lines, return_dict=False)
    out = base.unet(x, t, hidden, down_block_additional_residuals=down, mid_block_additional_residual=middle)
    return out.sample.float()


def loss_of(base: Base, net: Any, batch: Batch, lines: torch.Tensor) -> torch.Tensor:
    """Mean squared error of the predicted v."""
    a = base.cumulative[batch.timesteps].view(-1, 1, 1, 1)
    x = a.sqrt() * batch.latents + (1 - a).sqrt() * batch.noise
    target = a.sqrt() * batch.noise - (1 - a).sqrt() * batch.latents
    with torch.no_grad():
        hidden = base.text_encoder(batch.tokens)[0]
    return (controlled(base, net, x, batch.timesteps, hidden, lines) - target).square().mean()


def main() -> None:
    """Trains until the time is up."""
    args = arguments(__doc__, rate=4e-4, batch=64)
    base, pool = load_base(args.run, args.device), load_pool(args.run, args.device)
    net = ControlNetModel.from_unet(base.unet).requires_grad_(True).to(base.device).train()
    net = net.to(memory_format=torch.channels_last)
    trainer = Trainer("control", net.parameters(), args)
    for _ in trainer.left():
        room = torch.randint(len(pool.latents), (args.batch,), device=base.device)
        which = torch.randint(2, room.shape, device=base.device)
        shown = torch.where(torch.rand(args.batch, device=base.device) < OWN, which, 1 - which)
        spread = stratified(args.batch, base.device) ** EARLY
        batch = pool.take(room, which, dropped(args.batch, base.device), spread.clamp(max=0.9999))
        trainer.learn(loss_of(base, net, batch, pool.hints(room, shown)))
    trainer.finish()
    path = args.run / "adapters" / "rooms_lines.safetensors"
    save_file({k: v.detach().half().cpu().contiguous() for k, v in net.state_dict().items()}, path)
    path.with_suffix(".json").write_text(json.dumps(dict(net.config), indent=2, default=str) + "\n")


if __name__ == "__main__":
    main()
