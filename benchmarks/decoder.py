"""Where an autoencoder's time goes on OpenVINO, and what rewriting its graph saves.

    python -m benchmarks.decoder --model PACKAGE [--size 512] [--turns 5]

Decoder and encoder of a package, compiled as they are, for one size, with convolutions of enlarged pictures split, and
with others in tiles too, take turns in one process; then each call is taken apart by kinds of operators. One line each
goes to ``results/decoder.jsonl``.
"""

import argparse
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks import records
from partway.engines.rewrites.phases import split_enlarged
from partway.engines.rewrites.winograd import fewer_products
from partway.model.doctor import psnr
from partway.model.package import open_package
from partway.support.machine import versions

FILE = records.RESULTS / "decoder.jsonl"
WAYS = ("any size", "one size", "enlargements split", "tiles, too")
NETWORKS = ("vae_decoder", "vae_encoder")
_KINDS = {
    "products": {"Convolution", "MatMul", "FullyConnected", "ScaledDotProductAttention"},
    "layouts": {"Reorder", "Transpose", "DepthToSpace", "Concatenation", "Concat", "StridedSlice", "Slice", "Split"},
    "enlargements": {"Interpolate"},
}


class Way:
    """A network compiled in one way, and what its calls took."""

    def __init__(self, core: Any, path: Path, way: str, shape: Sequence[int], threads: int) -> None:
        model = core.read_model(path)
        begun = perf_counter()
        if way != WAYS[0]:
            model.reshape({0: list(shape)})
        self.split = split_enlarged(model) if way in WAYS[2:] else 0
        self.tiled = fewer_products(model) if way == WAYS[3] else 0
        settings = {"INFERENCE_NUM_THREADS": threads, "INFERENCE_PRECISION_HINT": "f32", "PERF_COUNT": True}
        self.request = core.compile_model(model, "CPU", settings).create_infer_request()
        self.compiling = perf_counter() - begun
        self.seconds: list[float] = []

    def call(self, inputs: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
        """One call, timed."""
        begun = perf_counter()
        results = self.request.infer(inputs)
        self.seconds.append(perf_counter() - begun)
        return np.array(next(iter(results.values())))

    def parts(self) -> Mapping[str, float]:
        """Shares of the last call by kinds of operators."""
        found: Counter[str] = Counter()
        for one in self.request.get_profiling_info():
            kind = next((kind for kind, types in _KINDS.items() if one.node_type in types), "the rest")
            found[kind] += one.real_time.total_seconds()
        return {kind: round(seconds / found.total(), 3) for kind, seconds in found.items()}


def measure(path: Path, network: str, size: int, turns: int, threads: int) -> list[dict[str, Any]]:
    """Each way's median seconds and what they are spent on; all make the same numbers."""
    from openvino import Core

    core = Core()
    channels = core.read_model(path).inputs[0].get_partial_shape()[1].get_length()
    side = size if network == "vae_encoder" else size // 8
    picture = np.random.default_rng(0).standard_normal((1, channels, side, side)).astype(np.float32)
    ways = {way: Way(core, path, way, picture.shape, threads) for way in WAYS}
    first = {way: one.call([picture]) for way, one in ways.items()}
    for _ in range(turns):
        for one in ways.values():
            one.call([picture])
    return [
        {
            "network": network, "way": way, "size": size, "threads": threads, "turns": turns,
            "seconds": median(one.seconds[1:]), "least": min(one.seconds[1:]), "compiling": one.compiling,
            "split": one.split, "tiled": one.tiled, "parts": one.parts(),
            "psnr": _finite(psnr(first[WAYS[0]], first[way])),
        }
        for way, one in ways.items()
    ]  # fmt: skip


def _finite(value: float) -> float | None:
    """The number, or None for equal arrays."""
    return value if np.isfinite(value) else None


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print and keep."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.decoder", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--model", required=True)
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--results", type=Path, default=FILE)
    args = parser.parse_args(argv)
    session = records.session("decoder") | {"versions": versions(("partway", "openvino"))}
    package = open_package(args.model)
    for network in NETWORKS:
        file = package.networks[network]
        if not isinstance(file, Path):
            parser.error(f"{args.model} is no package; export it first")
        for row in measure(file, network, args.size, args.turns, args.threads):
            records.append(args.results, session | {"model": Path(args.model).name} | row)
            print(row, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
