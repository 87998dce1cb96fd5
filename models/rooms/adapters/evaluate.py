"""Measures the adapters in torch: python -m models.rooms.adapters.evaluate --run DIR.

Writes `DIR/adapters/measured.json` and a sheet of pictures, `sheet.jpg`, beside it. What is read by the probe is read
as in `models.rooms.evaluate`; whether a picture is a blueprint is told by its colour.
"""

import argparse
import json
import multiprocessing
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from diffusers import ControlNetModel
from PIL import Image
from safetensors.torch import load_file

from partway.pictures.lines import canny
from partway_rooms import HELD_OUT

from ..evaluate import WORDS, other, overlap
from ..probe import NAMES, load_probe, true_labels
from ..renders import picture, true_map
from .blueprint import TRIGGER, blueness
from .data import device, encode
from .lora import read
from .sampling import FEW, Plan, Studio, draw, open_studio, to_pixels
from .shared import load_base

BLUE = 0.45  # of `blueness`, from which a picture counts as a blueprint
STRENGTHS = (0.3, 0.45, 0.6, 0.8)


class Sources(NamedTuple):
    """Held-out rooms: pictures, their objects and labels, another style for each and a prompt that asks for it."""

    pixels: Any
    maps: Any
    styles: list[int]
    prompts: list[str]


def _room(seed: int) -> tuple[Any, Any]:
    return picture(seed).pixels, true_map(seed)


def held_out(count: int, workers: int) -> Sources:
    """The first held-out rooms, with the prompts of `models.rooms.evaluate`."""
    seeds = range(HELD_OUT, HELD_OUT + count)
    with multiprocessing.get_context("fork").Pool(workers) as pool:
        drawn = pool.map(_room, seeds, chunksize=2)
    styles, prompts = [], []
    for seed in seeds:
        labels = true_labels(seed)
        style = other("style", labels[0], np.random.default_rng([12, seed]))
        light, medium = (WORDS[n][NAMES[n][i]] for n, i in zip(("light", "medium"), labels[1:], strict=True))
        styles.append(NAMES["style"].index(style))
        prompts.append(f"a {medium} of a {WORDS['style'][style]} living room, {light}")
    return Sources(np.stack([p for p, _ in drawn]), [m for _, m in drawn], styles, prompts)


def asked(count: int) -> tuple[list[list[int]], list[str]]:
    """Labels and prompts of text-to-image, those of `models.rooms.evaluate`."""
    rng, labels, prompts = np.random.default_rng(11), [], []
    for _ in range(count):
        picked = [int(rng.integers(len(values))) for values in NAMES.values()]
        style, light, medium = (WORDS[n][NAMES[n][i]] for n, i in zip(NAMES, picked, strict=True))
        labels.append(picked)
        prompts.append(f"a {medium} of a {style} living room, {light}")
    return labels, prompts


class Measure:
    """A model, a probe and held-out rooms."""

    def __init__(self, studio: Studio, sources: Sources, pictures: int) -> None:
        self.studio, self.sources, on = studio, sources, studio.base.device
        self.probe = load_probe().to(on)
        self.labels, self.prompts = asked(pictures)
        self.latents = torch.from_numpy(encode(studio.vae, sources.pixels, on)).to(on).float()
        x = torch.from_numpy(sources.pixels).to(on).permute(0, 3, 1, 2).float() / 127.5 - 1
        self.own = float(np.mean(self._layouts(x)))
        hints = np.stack([canny(pixels) for pixels in sources.pixels]) > 0
        self.lines = torch.from_numpy(hints).to(on).float()[:, None].expand(-1, 3, -1, -1)

    @torch.no_grad()
    def _layouts(self, x: torch.Tensor) -> list[float]:
        maps = [self.probe(part).objects.argmax(1).byte().cpu().numpy() for part in x.split(64)]
        return [overlap(a, b) for a, b in zip(np.concatenate(maps), self.sources.maps, strict=True)]

    @torch.no_grad()
    def read(self, x: torch.Tensor) -> np.ndarray:
        """Numbers of style, light, medium of pictures, (B, 3)."""
        readings = [self.probe(part) for part in x.split(64)]
        found = [torch.stack([getattr(r, name).argmax(1) for name in NAMES], 1) for r in readings]
        return torch.cat(found).cpu().numpy()

    def text(self, plan: Plan) -> dict[str, float]:
        """Share of text-to-image pictures in which the probe reads what was asked for."""
        right = self.read(draw(self.studio, self.prompts, plan)) == np.array(self.labels)
        return dict(zip(NAMES, right.mean(0).round(3).tolist(), strict=True))

    def restyle(self, plan: Plan, net: Any = None) -> tuple[dict[str, float], torch.Tensor]:
        """Layout kept, as a share of what the probe reads in renders, and asked style read; and the pictures."""
        control = None if net is None else (net, self.lines)
        x = draw(self.studio, self.sources.prompts, plan, sources=self.latents, control=control)
        layouts = np.array(self._layouts(x)) / self.own
        changed = self.read(x)[:, 0] == self.sources.styles
        error = layouts.std() / len(layouts) ** 0.5
        found = {"layout": layouts.mean(), "layout_error": error, "style": changed.mean()}
        return {key: round(float(value), 4) for key, value in found.items()}, x

    def blue(self, plan: Plan, image: bool = False, trigger: bool = True) -> tuple[float, torch.Tensor]:
        """Share of blueprints among pictures, with the word in the prompt or without; and the pictures."""
        words = [f"a {TRIGGER} of a {p.split(' of a ')[1]}" if trigger else p for p in self.sources.prompts]
        x = draw(self.studio, words, plan, sources=self.latents if image else None)
        return round(float((blueness(x.cpu().float().numpy()) > BLUE).mean()), 4), x


def dial(m: Measure, plan: Plan, net: Any = None) -> dict[str, Any]:
    """`Measure.restyle` at several strengths."""
    return {str(s): m.restyle(plan._replace(strength=s), net)[0] for s in STRENGTHS}


def of_base(m: Measure) -> Iterator[tuple[str, Any]]:
    """What the model does without adapters."""
    yield "base", {"text": m.text(Plan()), "dial": dial(m, Plan()), "four steps": m.text(FEW)}
    yield "base_blueprints", {"asked": m.blue(Plan())[0], "not asked": m.blue(Plan(), trigger=False)[0]}


def of_control(m: Measure, path: Path, sheet: list[torch.Tensor]) -> Iterator[tuple[str, Any]]:
    """What the ControlNet adds."""
    net = ControlNetModel.from_unet(m.studio.base.unet)
    net.load_state_dict(load_file(path))
    net = net.eval().to(m.studio.base.device, memory_format=torch.channels_last)
    sheet.append(m.lines[:8] * 2 - 1)
    sheet.append(m.restyle(Plan(strength=0.8))[1][:8])
    found, x = m.restyle(Plan(strength=0.8), net)
    sheet.append(x[:8])
    yield "control", {"dial": dial(m, Plan(), net), "0.8": found, "1.0": m.restyle(Plan(), net)[0]}


def of_loras(m: Measure, folder: Path, sheet: list[torch.Tensor]) -> Iterator[tuple[str, Any]]:
    """What each LoRA does, and both together."""
    unet, both = m.studio.base.unet, []
    if (path := folder / "rooms_lcm.safetensors").exists():
        both.append(read(path, unet))
        yield "lcm", {"text": m.text(FEW), "dial": dial(m, FEW), "bytes": path.stat().st_size}
        sheet.append(draw(m.studio, m.prompts[:8], FEW))
        both[0].scale = 0.0
    if (path := folder / "rooms_blueprint.safetensors").exists():
        both.append(read(path, unet))
        share, x = m.blue(Plan())
        turned = {str(s): m.blue(Plan(strength=s), image=True) for s in STRENGTHS}
        sheet += [x[:8], *(turned[s][1][:8] for s in ("0.6", "0.8"))]
        without = m.blue(Plan(), trigger=False)[0]
        words = {s: value for s, (value, _) in turned.items()}
        yield "style", {"asked": share, "not asked": without, "dial": words, "text": m.text(Plan())}
        yield "style_bytes", path.stat().st_size
    if len(both) == 2:
        both[0].scale = 1.0
        share, x = m.blue(FEW)
        sheet.append(x[:8])
        yield "both", {"asked": share, "text": m.text(FEW)}
    for lora in both:
        lora.scale = 0.0


def main() -> None:
    """Measures what there is, printing each figure as it is known."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", type=Path, default=Path("build/rooms"))
    parser.add_argument("--rooms", type=int, default=96)
    parser.add_argument("--pictures", type=int, default=200)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--device")
    args = parser.parse_args()
    torch.manual_seed(7)
    folder, sources = args.run / "adapters", held_out(args.rooms, args.workers)
    base = load_base(args.run, device(args.device))
    m, found = Measure(open_studio(args.run, base), sources, args.pictures), {}
    sheet = [torch.from_numpy(sources.pixels[:8]).to(base.device).permute(0, 3, 1, 2).float() / 127.5 - 1]

    def all_of() -> Iterator[tuple[str, Any]]:
        yield from of_base(m)
        if (path := folder / "rooms_lines.safetensors").exists():
            yield from of_control(m, path, sheet)
        yield from of_loras(m, folder, sheet)

    for name, value in all_of():
        found[name] = value
        print(json.dumps({name: value}), flush=True)
    found["losses"] = {p.stem: [json.loads(x) for x in p.read_text().splitlines()] for p in folder.glob("*.jsonl")}
    (folder / "measured.json").write_text(json.dumps(found) + "\n")
    rows = [np.concatenate(list(to_pixels(row)), 1) for row in sheet]
    Image.fromarray(np.concatenate(rows)).save(folder / "sheet.jpg", quality=88)


if __name__ == "__main__":
    main()
