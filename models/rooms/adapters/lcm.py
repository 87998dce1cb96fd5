"""Distils four steps without guidance into a LoRA: python -m models.rooms.adapters.lcm --run DIR --minutes 5.

Latent consistency distillation (Luo et al., 2023, arXiv 2311.05556) as in `models.rooms.distill`, with the UNet frozen.
Writes `DIR/adapters/rooms_lcm.safetensors`.
"""

import torch

from ..distill import STRIDE, consistency, teacher_step
from .lora import ALL, Lora
from .shared import Trainer, arguments, dropped, load_base, load_pool, stratified

RANK = 12
METADATA = {
    "modelspec.title": "four steps",
    "modelspec.usage_hint": "4 steps, LCM sampler, guidance scale 1",
    "ss_training_comment": "latent consistency",
}


def main() -> None:
    """Distils until the time is up."""
    args = arguments(__doc__, rate=1e-3, batch=64)
    base, pool = load_base(args.run, args.device), load_pool(args.run, args.device)
    student, target = Lora(base.unet, ALL, RANK), Lora(base.unet, ALL, RANK)
    target.load_state_dict(student.state_dict())
    target.requires_grad_(False)
    trainer, a = Trainer("lcm", student.parameters(), args), base.cumulative
    trainer.averaged = [weight.detach() for weight in target.parameters()]
    bare_tokens = pool.empty.expand(args.batch, -1)
    for _ in trainer.left():
        room = torch.randint(len(pool.latents), (args.batch,), device=base.device)
        which = torch.randint(2, room.shape, device=base.device)
        batch = pool.take(room, which, dropped(args.batch, base.device), stratified(args.batch, base.device))
        t = batch.timesteps
        level = a[t].view(-1, 1, 1, 1)
        x = level.sqrt() * batch.latents + (1 - level).sqrt() * batch.noise
        earlier = t - STRIDE
        with torch.no_grad():
            asked, bare = base.text_encoder(batch.tokens)[0], base.text_encoder(bare_tokens)[0]
            student.scale, target.scale = 0.0, 0.0
            nearer = teacher_step(base.unet, x, t, earlier, (bare, asked), a)
            target.scale = 1.0
            goal = consistency(base.unet, nearer, earlier.clamp(min=0), asked, a)
            goal = torch.where((earlier < 0).view(-1, 1, 1, 1), nearer, goal)
        student.scale, target.scale = 1.0, 0.0
        difference = consistency(base.unet, x, t, asked, a) - goal
        trainer.learn(((difference.square() + 1e-6).sqrt() - 1e-3).mean(), 0.98)
    target.write(args.run / "adapters" / "rooms_lcm.safetensors", METADATA)


if __name__ == "__main__":
    main()
