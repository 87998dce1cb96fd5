"""What a ControlNet costs beside the UNet that it guides, at a published size with random weights, on both engines.

``python -m benchmarks.control --work DIR``: calls of both in turn, in one process, with a batch of two predictions; a
line in ``results/control.jsonl``. It exits with 1 where a call of the ControlNet takes more than `MOST` of the UNet's.
"""

import argparse
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

import partway
from benchmarks import random_files, records
from partway.bench.measuring import peak_bytes
from partway.engines import ENGINES, Engine, EngineOptions, open_engine
from partway.graphs import CONTROLS, MIDDLE, RESIDUAL
from partway.model import unet
from partway.model.control_units import with_controls
from partway.model.package import open_package
from partway.settings import Settings
from partway.support.caching import Recent

MOST = 0.40
RESULTS = records.RESULTS / "control.jsonl"
_BATCH = 2


def main(argv: Sequence[str] | None = None) -> int:
    """Measure; return 0, or 1 where it costs more than it should."""
    args = _parser().parse_args(argv)
    model, net = _files(args.work, args.size)
    common, failed = records.session("control"), False
    for engine in args.engines:
        found = _measured(model, net, engine, args)
        records.append(args.results, common | {"case": engine, "size": args.size} | found)
        print(f"{engine}: a ControlNet's call takes {found['ratio']:.2f} of the UNet's", flush=True)
        failed |= found["ratio"] > MOST
    return int(failed)


def _files(work: Path, size: str) -> tuple[Path, Path]:
    """A model's file and a ControlNet's, made where they are not there."""
    own = random_files.SIZES[size]
    model, net = (work / f"{size}{end}.safetensors" for end in ("", "-control"))
    work.mkdir(parents=True, exist_ok=True)
    for path, tensors in ((model, random_files.shapes(own)), (net, random_files.controlnet(own))):
        if not path.exists():
            random_files.write_tensors(path, tensors)
    return model, net


def _measured(model: Path, net: Path, engine: str, args: argparse.Namespace) -> dict[str, Any]:
    package = open_package(model)
    package = with_controls(package, Settings(control=partway.Control(str(net))), Recent(1))
    names = ("unet", CONTROLS[0])
    networks = {name: package.networks[name] for name in names}
    opened = open_engine(engine, networks, EngineOptions(threads=args.threads))
    told = _inputs(args.side // package.vae_scale_factor, package.config("unet"))
    seconds: dict[str, list[float]] = {name: [] for name in names}
    for _ in range(1 + args.rounds):  # the first is not counted
        begun = time.perf_counter()
        given = {**told, "controlnet_cond": np.zeros((_BATCH, 3, args.side, args.side), np.float32)}
        made = _call(opened, CONTROLS[0], given)
        between = time.perf_counter()
        _call(opened, "unet", {**told, **made})
        seconds[CONTROLS[0]].append(between - begun)
        seconds["unet"].append(time.perf_counter() - between)
    best = {name: min(each[1:]) for name, each in seconds.items()}
    return {
        "ratio": best[CONTROLS[0]] / best["unet"],
        "seconds": seconds,
        "threads": args.threads,
        "side": args.side,
        "peak_bytes": peak_bytes(),
    }


def _call(engine: Engine, network: str, inputs: dict[str, Any]) -> dict[str, Any]:
    made = unet.evaluate(engine, network, 500.0, inputs, batch=_BATCH)
    return {name: array for name, array in made.items() if name == MIDDLE or name.startswith(RESIDUAL[:-2])}


def _inputs(side: int, config: Any) -> dict[str, Any]:
    rng = np.random.default_rng(0)
    shapes = {
        unet.SAMPLE: (_BATCH, 4, side, side),
        "encoder_hidden_states": (_BATCH, 77, config["cross_attention_dim"]),
    }
    if config.get("addition_embed_type") == "text_time":
        pooled = config["projection_class_embeddings_input_dim"] - 6 * config["addition_time_embed_dim"]
        shapes |= {"text_embeds": (_BATCH, pooled), "time_ids": (_BATCH, 6)}
    return {name: rng.standard_normal(shape, dtype=np.float32) for name, shape in shapes.items()}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.control", description=__doc__)
    parser.add_argument("--work", type=Path, required=True, help="a folder for the files, 2.9 GB for sd15")
    parser.add_argument("--size", choices=random_files.SIZES, default="sd15")
    parser.add_argument("--side", type=int, default=512, help="pixels (default 512)")
    parser.add_argument("--engines", nargs="+", choices=ENGINES, default=list(ENGINES))
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--results", type=Path, default=RESULTS)
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
