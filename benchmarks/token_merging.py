"""What merging tokens (Bolya and Hoffman 2023, arXiv 2303.17604) would save in a UNet call, and what it would cost.

    python -m benchmarks.token_merging [--package FOLDER] [--rooms FOLDER]

times one transformer block of Stable Diffusion 1.5's finest level, plain and with merged tokens in its self-attention,
the blocks in turn; with ``--package``, an OpenVINO package of that size, also the whole UNet call that has five of
them. ``--rooms``, a diffusers folder of the built-in model, restyles rooms that it never saw with both and compares.
One line for each block and each kind of merging goes to ``results/token_merging.jsonl``.
"""

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import numpy as np
import torch
from diffusers.models.attention import BasicTransformerBlock
from torch import Tensor

from benchmarks import records, tables
from benchmarks.likeness import PROMPTS
from benchmarks.quality import ssim
from partway.support.machine import versions
from partway_export.quiet import quiet
from partway_rooms import room

FILE = records.RESULTS / "token_merging.jsonl"
SIDE, CHANNELS, HEADS, TEXT = 64, 320, 8, (77, 768)
BLOCKS = 5  # such blocks in the UNet: two on the way down, three on the way up
PAIR = 2  # the call with the prompt and the one without
STRENGTHS = (0.45, 0.8)
ROOMS = 6


class Merging(NamedTuple):
    """``ratio`` of all tokens go: into the most similar kept token anywhere, or only into that of their 2x2 window."""

    ratio: float
    window: bool = False

    def __str__(self) -> str:
        return f"{'own window' if self.window else 'anywhere'}, {self.ratio:g}"


KINDS = tuple(Merging(ratio, window) for window in (False, True) for ratio in (0.25, 0.5))
Run = Callable[[], Any]


class MergedAttention(torch.nn.Module):
    """Self-attention on fewer tokens: (B, N, C) to (B, N, C), N the square of an even number.

    The first token of each 2x2 window takes others in, so that a graph needs no random numbers. The others are ranked
    by their cosine similarity to the one that would take them; the first of that order become one mean with it, and
    get its output.
    """

    def __init__(self, attention: torch.nn.Module, merging: Merging) -> None:
        super().__init__()
        self.attention, self.merging = attention, merging

    def forward(self, x: Tensor, **others: Any) -> Tensor:
        """The signature is that of diffusers' Attention."""
        batch, count, channels = map(int, x.shape)  # a graph of one shape
        half = round(count**0.5) // 2
        windows = x.reshape(batch, half, 2, half, 2, channels).transpose(2, 3).reshape(batch, -1, 4, channels)
        takers, rest = windows[:, :, 0], windows[:, :, 1:].reshape(batch, -1, channels)
        alike, taker = self.match(takers, rest)
        order = alike.sort(dim=1, descending=True).indices
        merged, kept = order.split([gone := int(self.merging.ratio * count), int(rest.shape[1]) - gone], dim=1)
        into = taker.gather(1, merged)
        total = takers.scatter_add(1, _wide(into, channels), rest.gather(1, _wide(merged, channels)))
        share = torch.ones_like(takers[..., 0]).scatter_add(1, into, torch.ones_like(into, dtype=x.dtype))
        few = torch.cat([rest.gather(1, _wide(kept, channels)), total / share[..., None]], dim=1)
        out = self.attention(few, **others)
        ranks = torch.arange(int(kept.shape[1])).expand(batch, -1)
        places = (taker + int(kept.shape[1])).scatter(1, kept, ranks)  # where each of the rest finds its output
        first = (torch.arange(half * half) + int(kept.shape[1])).expand(batch, -1)
        places = torch.cat([first[..., None], places.reshape(batch, -1, 3)], dim=2).reshape(batch, count)
        windows = out.gather(1, _wide(places, channels)).reshape(batch, half, half, 2, 2, channels)
        return windows.transpose(2, 3).reshape(batch, count, channels)

    def match(self, takers: Tensor, rest: Tensor) -> tuple[Tensor, Tensor]:
        """Similarity of each of the rest to the token that would take it in, and the number of that; both (B, 3 D)."""
        a, b = (torch.nn.functional.normalize(tokens, dim=-1) for tokens in (takers, rest))
        if not self.merging.window:
            return (b @ a.transpose(1, 2)).max(dim=2)
        batch, count, channels = map(int, takers.shape)
        alike = (a[:, :, None] * b.reshape(batch, count, 3, channels)).sum(-1).reshape(batch, -1)
        return alike, torch.arange(count).repeat_interleave(3).expand(batch, -1)


def _wide(index: Tensor, channels: int) -> Tensor:
    return index[..., None].expand(-1, -1, channels)


def block(merging: Merging | None, channels: int = CHANNELS, heads: int = HEADS, text: int = TEXT[1]) -> Any:
    """Stable Diffusion's transformer block with random weights, the same for every kind of merging."""
    torch.manual_seed(0)
    made = BasicTransformerBlock(channels, heads, channels // heads, cross_attention_dim=text, activation_fn="geglu")
    if merging is not None:
        made.attn1 = MergedAttention(made.attn1, merging)
    return made.eval()


def write_onnx(made: Any, inputs: tuple[Tensor, Tensor], path: Path) -> None:
    """The block as a graph of one shape."""
    names = ["x", "text"]
    with quiet():
        torch.onnx.export(_Two(made), inputs, str(path), input_names=names, opset_version=17, dynamo=False)


class _Two(torch.nn.Module):
    """A block with its two inputs in order."""

    def __init__(self, made: Any) -> None:
        super().__init__()
        self.made = made

    def forward(self, x: Tensor, text: Tensor) -> Tensor:
        return self.made(x, encoder_hidden_states=text)


def openvino_run(model: Any, inputs: dict[Any, Any]) -> Run:
    """A call of an OpenVINO model in bfloat16."""
    import openvino

    compiled = openvino.compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "bf16"})
    return lambda: compiled(inputs)


def block_runs(merging: Merging | None, folder: Path) -> Iterator[tuple[str, Run]]:
    """The block in each engine."""
    import onnxruntime
    import openvino

    inputs = (torch.randn(PAIR, SIDE * SIDE, CHANNELS), torch.randn(PAIR, *TEXT))
    arrays = [value.numpy() for value in inputs]
    made, path = block(merging), folder / "block.onnx"
    with quiet():
        model = openvino.convert_model(_Two(made), example_input=inputs, input=[value.shape for value in arrays])
    yield "openvino bf16 static", openvino_run(model, dict(enumerate(arrays)))
    write_onnx(made, inputs, path)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    yield "onnxruntime fp32", lambda: session.run(None, dict(zip(("x", "text"), arrays, strict=True)))


def call_run(package: Path) -> Run:
    """A whole UNet call of an OpenVINO package of Stable Diffusion 1.5's size."""
    import openvino

    model = openvino.Core().read_model(package / "unet/openvino_model.xml")
    shapes = {"sample": [PAIR, 4, SIDE, SIDE], "encoder_hidden_states": [PAIR, *TEXT]}
    named = {port.any_name: shapes.get(port.any_name, [1] * len(port.partial_shape)) for port in model.inputs}
    model.reshape(named)
    rng = np.random.default_rng(0)
    return openvino_run(model, {name: rng.standard_normal(shape).astype("f") for name, shape in named.items()})


def timed(runs: dict[Any, Run], repeats: int) -> dict[Any, list[float]]:
    """Seconds of each, taking turns; the first turn is not counted."""
    found: dict[Any, list[float]] = {name: [] for name in runs}
    for turn in range(repeats + 1):
        for name, run in runs.items():
            started = time.perf_counter()
            run()
            if turn:
                found[name].append(time.perf_counter() - started)
    return found


def speed(package: Path | None, repeats: int) -> Iterator[dict[str, Any]]:
    """A row for each engine and block: seconds, and what a call of five such blocks saves."""
    runs: dict[Any, Run] = {}
    for merging in (None, *KINDS):
        with tempfile.TemporaryDirectory() as folder:
            runs |= {(engine, merging): run for engine, run in block_runs(merging, Path(folder))}
    if package is not None:
        runs["openvino bf16 static", "call"] = call_run(package)
    found = timed(runs, repeats)
    for engine in ("openvino bf16 static", "onnxruntime fp32"):
        plain, whole = median(found[engine, None]), found.get((engine, "call"))
        for merging in (None, *KINDS):
            seconds = found[engine, merging]
            row = {"what": "block", "engine": engine, "merging": merging and str(merging), "repeats": repeats}
            row |= {"seconds": median(seconds), "least": min(seconds), "most": max(seconds)}
            row["saved_seconds"] = BLOCKS * (plain - row["seconds"])
            yield row | ({} if whole is None else {"call_seconds": median(whole)})


def pictures(pipe: Any, merging: Merging | None) -> Iterator[np.ndarray]:
    """Rooms restyled, strength by strength, with merged tokens in the finest level that has self-attention."""
    levels = [where for where in (*pipe.unet.down_blocks, *pipe.unet.up_blocks) if hasattr(where, "attentions")]
    finest = min(where.attentions[0].transformer_blocks[0].norm1.normalized_shape for where in levels)
    blocks = [made for where in levels for attention in where.attentions for made in attention.transformer_blocks]
    blocks = [made for made in blocks if made.norm1.normalized_shape == finest]
    plain = [made.attn1 for made in blocks]
    for made in blocks if merging is not None else ():
        made.attn1 = MergedAttention(made.attn1, merging)
    for strength in STRENGTHS:
        for number in range(ROOMS):
            found = pipe(
                PROMPTS[number % len(PROMPTS)], image=room(number).picture, strength=strength, num_inference_steps=20,
                guidance_scale=7.5, generator=torch.Generator().manual_seed(number), output_type="np",
            )  # fmt: skip
            yield (found.images[0] * 255).round().astype(np.uint8)
    for made, attention in zip(blocks, plain, strict=True):
        made.attn1 = attention


def likeness(folder: Path) -> Iterator[dict[str, Any]]:
    """A row for each kind of merging: SSIM to the exact pictures, mean and least at each strength."""
    from diffusers import StableDiffusionImg2ImgPipeline

    pipe = StableDiffusionImg2ImgPipeline.from_pretrained(folder, safety_checker=None)
    pipe.set_progress_bar_config(disable=True)
    exact = list(pictures(pipe, None))
    for merging in KINDS:
        alike = [ssim(*pair) for pair in zip(pictures(pipe, merging), exact, strict=True)]
        table = np.reshape(alike, (len(STRENGTHS), ROOMS))
        row: dict[str, Any] = {"what": "pictures", "merging": str(merging), "rooms": ROOMS}
        for name, figures in (("ssim_mean", table.mean(axis=1)), ("ssim_least", table.min(axis=1))):
            row[name] = dict(zip(map(str, STRENGTHS), figures.round(3).tolist(), strict=True))
        yield row


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--package", type=Path, help="an OpenVINO package of Stable Diffusion 1.5's size")
    parser.add_argument("--rooms", type=Path, help="a diffusers folder of the built-in model")
    parser.add_argument("--repeats", type=int, default=7)
    args = parser.parse_args()
    installed = versions(("torch", "diffusers", "numpy", "onnxruntime", "openvino"))
    session = records.session("token_merging") | {"versions": installed}
    torch.set_num_threads(records.cores())
    with torch.inference_mode():
        for rows in (speed(args.package, args.repeats), likeness(args.rooms) if args.rooms else ()):
            for row in rows:
                records.append(FILE, session | row)
                print(row, flush=True)
    tables.renew()


if __name__ == "__main__":
    main()
