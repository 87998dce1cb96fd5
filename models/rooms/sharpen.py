"""Trains the decoder until its pictures are crisp: python -m models.rooms.sharpen --run DIR --minutes 8.

The encoder stays as it is, and so do the latents and all that learnt them. The first fifth of the time is for pixels
alone, at many pictures a step; then a critic and the energy of fine detail join in, with weights that are steered by
pictures it never learns from: each octave's so that its share of the renders' detail is kept, the critic's as high as
the PSNR allows. A GPU is taken where there is one. Rooms are drawn beside it by `--workers` processes. Last, a tiny
decoder learns to draw what this one draws.

Reads `DIR/vae`; writes `decoder.safetensors` (the weights `crisp.*`; `plain.*`, which are those before the critic, to
blend with; `sharper.*`, which are some steps on with more detail), `tiny.safetensors`, `sharpen.jsonl` and
`sharpen.png` to `--out`. Stopped at any time, the same command goes on from the last minute.
`python -m models.rooms.take_decoder` puts the weights where assembling looks for them.
"""

import argparse
import copy
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from safetensors.torch import save_file

from . import drawing, training
from .autoencoder import LatentDecoder, TinyDecoder, load_autoencoder
from .detail import octave_energies, psnr
from .pool import Pool, check_pictures
from .probe import Probe, load_probe
from .sharpness import Balance, Critic, Steering, critic_loss, critic_losses, energy_losses, pixel_loss, probe_loss

RATE, JUDGED_RATE, CRITIC_RATE, TINY_RATE = 5e-4, 3e-4, 4e-4, 2e-3  # the second with a critic
PLAIN, RAMP, DECAY = 0.2, 0.1, 0.3  # shares of the time: without a critic, until it has all its weight, slowing down
COST, SHARE = 0.7, 0.86  # PSNR given for detail, in dB below the decoder that it starts from, and detail to be kept
NOISE = 0.05  # on a quarter of the latents, as a share of their deviation: what a UNet makes is not exact


class Setting:
    """What stays the same while it trains."""

    def __init__(self, args: argparse.Namespace) -> None:
        self.device = "cuda" if torch.cuda.is_available() else "cpu"
        torch.backends.cudnn.benchmark = True
        encoder, self.first = load_autoencoder(args.run / "vae")
        self.encoder = self.placed(encoder).requires_grad_(False)
        self.probe: Probe = self.placed(load_probe()).requires_grad_(False)
        self.batch, self.scale, folder = args.batch, args.scale, args.run / f"drawn{args.side}"
        self.workers = drawing.start(folder, args.workers, args.side)
        self.checks = check_pictures(folder).to(self.device)
        self.check_latents = torch.cat([self.encode(x) for x in self.checks.split(16)])
        self.pool = Pool(folder, self.encode, side=args.side, size=args.pool, device=self.device)
        self.pool.wait(args.first)

    @torch.no_grad()
    def encode(self, pictures: torch.Tensor) -> torch.Tensor:
        """The means of the latents of pictures, unscaled."""
        return self.encoder(pictures)

    def placed(self, network: Any) -> Any:
        """The network on the device."""
        return network.to(self.device, memory_format=torch.channels_last)

    def quick(self) -> torch.autocast:
        """Products in bfloat16, where that is quicker."""
        return torch.autocast(self.device, torch.bfloat16, enabled=self.device == "cuda" or training.bfloat16())

    def disturbed(self, latents: torch.Tensor) -> torch.Tensor:
        """The latents with a little noise on the first quarter."""
        amount = torch.rand((len(latents), 1, 1, 1), device=latents.device) * NOISE / self.scale
        amount[len(latents) // 4 :] = 0
        return latents + amount * torch.randn_like(latents)

    @torch.no_grad()
    def check(self, decode: Any) -> dict[str, Any]:
        """Mean PSNR and median shares of the detail that a decoder keeps."""
        values, shares = [], []
        for x, latents in zip(self.checks.split(16), self.check_latents.split(16), strict=True):
            y = decode(latents).float().clamp(-1, 1)
            values.append(psnr(y, x))
            shares.append(octave_energies(y) / octave_energies(x))
        kept = torch.cat(shares).median(0).values.tolist()
        return {"psnr": round(float(torch.cat(values).mean()), 3), "kept": [round(share, 3) for share in kept]}


class Sharpening:
    """The decoder, its critic, their optimisers and the averaged weights."""

    def __init__(self, setting: Setting, floor: float) -> None:
        self.setting, self.used, self.steps = setting, 0.0, 0
        self.decoder = setting.placed(copy.deepcopy(setting.first)).train()
        self.critic = setting.placed(Critic())
        self.averaged, self.plain = copy.deepcopy(self.decoder).eval(), copy.deepcopy(setting.first)
        self.optimiser = torch.optim.AdamW(self.decoder.parameters(), lr=RATE, betas=(0.7, 0.99), weight_decay=0)
        self.critics = torch.optim.AdamW(self.critic.parameters(), lr=CRITIC_RATE, betas=(0.5, 0.99), weight_decay=0)
        self.balance, self.steering = Balance(), Steering(floor, SHARE)

    def step(self, done: float, rate: float) -> None:
        """One step at this share of the time."""
        setting = self.setting
        clean, x = setting.pool.batch(setting.batch)
        latents, ramp = setting.disturbed(clean), min(max((done - PLAIN) / RAMP, 0.0), 1.0)
        judged = done > PLAIN / 2
        with setting.quick():
            made = self.decoder(latents)
        y = made.detach().float().requires_grad_(True)
        with setting.quick():
            losses = {"pixels": pixel_loss(y, x), "probe": probe_loss(setting.probe, y, x)}
            if ramp:
                losses["critic"], losses["features"] = critic_losses(self.critic, y, x, clean * setting.scale)
                losses |= {f"octave {index}": loss for index, loss in enumerate(energy_losses(y, x))}
        gradient = self.balance(losses, self.steering.weights(ramp), y)
        self.optimiser.zero_grad(set_to_none=True)
        made.backward(gradient.to(made.dtype))
        turn(self.optimiser, rate * min((self.steps + 1) / 100, 1.0))
        if judged:
            with setting.quick():
                loss = critic_loss(self.critic, y.detach(), x, clean * setting.scale)
            self.critics.zero_grad(set_to_none=True)
            loss.backward()
            turn(self.critics, CRITIC_RATE * min(rate / JUDGED_RATE, 1.0))
        if self.steps % 4 == 0:
            training.average(self.averaged.parameters(), self.decoder.parameters(), self.steps // 4, 0.98)
        self.steps += 1

    def state(self) -> dict[str, Any]:
        """All that a checkpoint keeps."""
        parts = {name: getattr(self, name).state_dict() for name in PARTS}
        return parts | {"used": self.used, "steps": self.steps, "steering": vars(self.steering)}

    def keep(self, path: Path, out: Path) -> None:
        """Writes a checkpoint, and the averaged weights for whoever takes them."""
        training.save(path, **self.state())
        save_file(halves(crisp=self.averaged, plain=self.plain), out / "decoder.safetensors")

    def load(self, state: dict[str, Any]) -> None:
        """Goes on from a checkpoint."""
        for name in PARTS:
            getattr(self, name).load_state_dict(state[name])
        self.used, self.steps = state["used"], state["steps"]
        vars(self.steering).update(state["steering"])


PARTS = ("decoder", "critic", "averaged", "plain", "optimiser", "critics")


def turn(optimiser: torch.optim.Optimizer, rate: float) -> None:
    """A step at this learning rate."""
    for group in optimiser.param_groups:
        group["lr"] = rate
    optimiser.step()


def sharpen(found: Sharpening, seconds: float, log: training.Log, path: Path, out: Path) -> None:
    """Trains until so many seconds are used, checking and steering every few of them."""
    started, before, checked, kept = time.time(), found.used, 0.0, time.time()
    while found.used < seconds:
        done = found.used / seconds
        if done < PLAIN and found.steps % 50 == 0:
            found.plain.load_state_dict(found.averaged.state_dict())
        rate = RATE if done < PLAIN else JUDGED_RATE
        found.step(done, rate * min(1.0, max((1 - done) / DECAY, 0.02)))
        found.used = before + time.time() - started
        if found.steps % 10 == 0:
            found.setting.pool.grow()
        if found.used > checked + min(6.0, seconds / 50):
            result, checked = found.setting.check(found.averaged), found.used
            if done > PLAIN + RAMP:
                found.steering(result["psnr"], result["kept"])
            weights = {name: round(w, 3) for name, w in found.steering.weights(1.0).items()}
            log(step=found.steps, done=round(done, 3), pool=found.setting.pool.count, **result, weights=weights)
        if time.time() > kept + 60:
            kept = time.time()
            found.keep(path, out)
    found.keep(path, out)


def sharper(found: Sharpening, seconds: float, log: training.Log) -> LatentDecoder:
    """The decoder some seconds on, with half more detail asked for; `found` stays as it is."""
    more = copy.deepcopy(found.steering)
    more.octaves, more.critic = [1.5 * w for w in more.octaves], 1.5 * more.critic
    kept, decoder, averaged = found.steering, found.decoder, found.averaged
    found.steering, found.decoder, found.averaged = more, copy.deepcopy(averaged).train(), copy.deepcopy(averaged)
    found.optimiser = torch.optim.AdamW(found.decoder.parameters(), lr=RATE, betas=(0.7, 0.99), weight_decay=0)
    started = time.time()
    while (done := (time.time() - started) / max(seconds, 1e-6)) < 1:
        found.step(1.0, 0.5 * JUDGED_RATE * (1 - done))
    result = found.averaged
    found.steering, found.decoder, found.averaged = kept, decoder, averaged
    log(step=found.steps, sharper=found.setting.check(result))
    return result


def distil(setting: Setting, teacher: LatentDecoder, seconds: float, log: training.Log) -> TinyDecoder:
    """A tiny decoder that draws what the teacher draws."""
    tiny, balance = setting.placed(TinyDecoder()), Balance()
    averaged, started, step = copy.deepcopy(tiny).eval(), time.time(), 0
    optimiser = torch.optim.AdamW(tiny.parameters(), lr=TINY_RATE, betas=(0.9, 0.99), weight_decay=0)
    weights = {"pixels": 1.0, "probe": 0.2, "octave 0": 0.1, "octave 1": 0.1}
    while (done := (time.time() - started) / seconds) < 1:
        latents = setting.disturbed(setting.pool.batch(setting.batch)[0])
        with setting.quick():
            with torch.no_grad():
                x = teacher(latents).float().clamp(-1, 1)
            made = tiny(latents * setting.scale)
            y = made.detach().float().requires_grad_(True)
            losses = {"pixels": pixel_loss(y, x), "probe": probe_loss(setting.probe, y, x)}
            losses |= {f"octave {index}": loss for index, loss in enumerate(energy_losses(y, x))}
        gradient = balance(losses, weights, y)
        optimiser.zero_grad(set_to_none=True)
        made.backward(gradient.to(made.dtype))
        turn(optimiser, TINY_RATE * min((step + 1) / 100, 1.0, (1 - done) / 0.5))
        training.average(averaged.parameters(), tiny.parameters(), step, 0.99)
        step += 1
        if step % 200 == 0:
            log(step=step, done=round(done, 3), tiny=setting.check(lambda z: averaged(z * setting.scale)))
    log(step=step, done=1.0, tiny=setting.check(lambda z: averaged(z * setting.scale)))
    return averaged


def halves(**networks: Any) -> dict[str, torch.Tensor]:
    """The weights of networks as float16, each name after its network's."""
    pairs = [(f"{name}.{key}", value) for name, net in networks.items() for key, value in net.state_dict().items()]
    return {key: value.detach().half().cpu().contiguous() for key, value in pairs}


@torch.no_grad()
def draw(setting: Setting, path: Path, *decoders: Any) -> None:
    """A sheet: a row of renders, and a row of what each decoder makes of their latents."""
    rows = [setting.checks[:8], *(decode(setting.check_latents[:8]).float().clamp(-1, 1) for decode in decoders)]
    sheet = torch.cat([torch.cat(list(row), 2) for row in rows], 1)
    pixels = ((sheet + 1) * 127.5).round().byte().permute(1, 2, 0).cpu().numpy()
    Image.fromarray(np.ascontiguousarray(pixels)).save(path)


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", type=Path, default=Path("build/rooms"))
    parser.add_argument("--out", type=Path, default=None)
    parser.add_argument("--minutes", type=float, default=8.0)
    parser.add_argument("--sharper", type=float, default=0.6, help="minutes of them for more detail")
    parser.add_argument("--tiny", type=float, default=1.5, help="minutes of them for the tiny decoder")
    parser.add_argument("--scale", type=float, default=0.2050216117667224, help="the latents' scaling factor")
    parser.add_argument("--batch", type=int, default=12)
    parser.add_argument("--workers", type=int, default=10)
    parser.add_argument("--pool", type=int, default=24_000, help="pictures held")
    parser.add_argument("--first", type=int, default=160, help="pictures that it starts with")
    parser.add_argument("--side", type=int, default=256)
    return parser.parse_args()


def main() -> None:
    """Trains until the time is over."""
    started, args = time.time(), arguments()
    out = args.out or args.run
    out.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(7)
    setting = Setting(args)
    log, first = training.Log(out / "sharpen.jsonl"), setting.placed(copy.deepcopy(setting.first))
    before = setting.check(first)
    log(step=0, device=setting.device, drawn=setting.pool.count, before=before)
    found = Sharpening(setting, before["psnr"] - COST)
    path = args.run / "sharpen.pt"
    if state := training.load(path):
        found.load(state)
    rest = 60 * (args.sharper + args.tiny) + 12 + time.time() - started
    sharpen(found, 60 * args.minutes - rest, log, path, out)
    tiny = distil(setting, found.averaged, 60 * args.tiny, log)
    save_file(halves(decoder=tiny, critic=found.critic), out / "tiny.safetensors")
    more = sharper(found, 60 * args.sharper, log)
    save_file(halves(crisp=found.averaged, plain=found.plain, sharper=more), out / "decoder.safetensors")
    plain = setting.placed(found.plain)
    draw(setting, out / "sharpen.png", first, plain, found.averaged, more, lambda z: tiny(z * setting.scale))
    for worker in setting.workers:
        worker.terminate()
    log(step=found.steps, minutes=round((time.time() - started) / 60, 2))


if __name__ == "__main__":
    main()
