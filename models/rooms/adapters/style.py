"""Teaches blueprints to a LoRA: python -m models.rooms.adapters.style --run DIR --minutes 5.

Ordinary pictures with their own captions, some of them empty, keep everything else as it is: without the word
"blueprint" the model draws what it draws without the adapter. Writes `DIR/adapters/rooms_blueprint.safetensors`.
"""

import torch

from ..train_unet import v_loss
from .blueprint import TRIGGER
from .lora import ALL, Lora
from .shared import Trainer, arguments, dropped, load_base, load_pool, stratified

RANK = 6
ORDINARY = 0.35  # of the pictures
METADATA = {
    "modelspec.title": "blueprint",
    "modelspec.trigger_phrase": TRIGGER,
    "modelspec.usage_hint": "say blueprint",
}


def main() -> None:
    """Trains until the time is up."""
    args = arguments(__doc__, rate=1e-3, batch=64)
    base, pool = load_base(args.run, args.device), load_pool(args.run, args.device)
    lora = Lora(base.unet, ALL, RANK)
    trainer = Trainer("style", lora.parameters(), args)
    for _ in trainer.left():
        room = torch.randint(len(pool.latents), (args.batch,), device=base.device)
        ordinary = torch.rand(args.batch, device=base.device) < ORDINARY
        which = torch.where(ordinary, torch.randint(2, room.shape, device=base.device), 2)
        drop = ordinary & dropped(args.batch, base.device)
        batch = pool.take(room, which, drop, stratified(args.batch, base.device))
        trainer.learn(v_loss(base.unet, base.text_encoder, batch, base.cumulative))
    trainer.finish()
    lora.write(args.run / "adapters" / "rooms_blueprint.safetensors", METADATA)


if __name__ == "__main__":
    main()
