"""Distils the UNet to a few steps without guidance: python -m models.rooms.distill --run DIR [--steps N].

Latent consistency distillation (Luo et al., 2023): the student's answer at one noise level must equal its averaged
self's answer 40 timesteps nearer to the picture, where one DDIM step of the guided teacher leads. Any timestep can be
the first, so the student knows those of every strength. Resumable like the rest.
"""

import copy
from typing import Any

import torch

from . import training
from .assemble import trained
from .latents import check_owner, scaling_factor
from .looks import FOLDER, SHARDS, each_look, read_looks, starts
from .train_unet import Batch, alphas, empty_tokens
from .train_unet import batch_at as captioned

STRIDE = 40  # timesteps
GUIDANCE = 4.5  # of the teacher
SIGMA_DATA, TIMESTEP_SCALE = 0.5, 10.0  # as diffusers' LCMScheduler expects them
SEED = 3
EVERY = 100  # steps between checkpoints


def boundary(timesteps: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Weights (B, 1, 1, 1) of the input and of the estimate of x0, which make the answer exact at timestep 0."""
    t = timesteps.float().view(-1, 1, 1, 1) * TIMESTEP_SCALE
    return SIGMA_DATA**2 / (t**2 + SIGMA_DATA**2), t / (t**2 + SIGMA_DATA**2).sqrt()


def run_unet(unet: Any, x: torch.Tensor, timesteps: torch.Tensor, hidden: torch.Tensor) -> torch.Tensor:
    """The predicted v, float32."""
    with training.quick():
        out = unet(x.contiguous(memory_format=torch.channels_last), timesteps, hidden).sample
    return torch.as_tensor(out.float())


def consistency(unet: Any, x: torch.Tensor, t: torch.Tensor, hidden: torch.Tensor, a: torch.Tensor) -> torch.Tensor:
    """The model's answer: an estimate of x0 from any noise level."""
    level = a[t].view(-1, 1, 1, 1)
    estimate = level.sqrt() * x - (1 - level).sqrt() * run_unet(unet, x, t, hidden)
    skip, out = boundary(t)
    return skip * x + out * estimate


@torch.no_grad()
def teacher_step(
    teacher: Any, x: torch.Tensor, t: torch.Tensor, to: torch.Tensor, texts: tuple[torch.Tensor, ...], a: torch.Tensor
) -> torch.Tensor:
    """One guided DDIM step from timesteps t to `to`; level -1 is no noise."""
    both = run_unet(teacher, torch.cat([x, x]), torch.cat([t, t]), torch.cat(texts))
    bare, asked = both.chunk(2)
    v = bare + GUIDANCE * (asked - bare)
    level = a[t].view(-1, 1, 1, 1)
    after = torch.where(to < 0, torch.ones((), device=a.device), a[to.clamp(min=0)]).view(-1, 1, 1, 1)
    denoised = level.sqrt() * x - (1 - level).sqrt() * v
    noise = (1 - level).sqrt() * x + level.sqrt() * v
    return after.sqrt() * denoised + (1 - after).sqrt() * noise


def main() -> None:
    """Distils until the step count is reached."""
    args = training.arguments(__doc__, seed=SEED, steps=250, batch=24, rate=3e-4, report=50, shards=SHARDS)
    check_owner(args.run, FOLDER)
    looks, scale, empty = read_looks(args.run, args.shards), scaling_factor(args.run), empty_tokens(args.run)
    flat, half = each_look(looks), args.batch // 2
    teacher, text_encoder = trained(args.run)
    student, target, cumulative = copy.deepcopy(teacher).train(), copy.deepcopy(teacher), alphas()
    for network in (teacher, text_encoder, target):
        network.requires_grad_(False)
    weights, averaged = list(student.parameters()), list(target.parameters())
    optimiser = training.Optimiser([student], args.rate, 0.0)
    path, parts = args.run / "lcm.pt", {"student": student, "optimiser": optimiser}
    first = training.resume(path, averaged, **parts)
    log, total = training.Log(path.with_suffix(".jsonl")), 0.0
    bare_tokens = torch.from_numpy(empty)[None].repeat(args.batch, 1)
    for step in range(first, args.steps):
        usual = captioned(flat, step, args.batch - half, scale, empty)
        restyled, _ = starts(looks, step, half, scale, SEED)
        batch = Batch(*map(torch.cat, zip(usual, restyled, strict=True)))
        t = batch.timesteps
        a = cumulative[t].view(-1, 1, 1, 1)
        x = a.sqrt() * batch.latents + (1 - a).sqrt() * batch.noise
        with torch.no_grad(), training.quick():
            asked, bare = text_encoder(batch.tokens)[0].float(), text_encoder(bare_tokens)[0].float()
        earlier = t - STRIDE
        nearer = teacher_step(teacher, x, t, earlier, (bare, asked), cumulative)
        with torch.no_grad():
            goal = consistency(target, nearer, earlier.clamp(min=0), asked, cumulative)
            goal = torch.where((earlier < 0).view(-1, 1, 1, 1), nearer, goal)
        difference = consistency(student, x, t, asked, cumulative) - goal
        loss = ((difference.square() + 1e-6).sqrt() - 1e-3).mean()
        optimiser.step(loss, training.rate(step, args.steps, args.rate, warmup=100))
        training.average(averaged, weights, step, 0.98)
        total += loss.item()
        if (step + 1) % args.report == 0:
            log(step=step + 1, loss=round(total / args.report, 5))
            total = 0.0
        if (step + 1) % EVERY == 0 or step + 1 == args.steps:
            training.keep(path, step + 1, averaged, **parts)


if __name__ == "__main__":
    main()
