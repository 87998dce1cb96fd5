"""How quickly an adapter reaches a loaded model, and what calls cost with one: three ways on each engine.

    python -m benchmarks.adapters --work DIR [--size mid] [--ways NAME ...] [--engines NAME ...] [--turns N]

Two LoRAs of rank 32 over all linear layers of the transformers are swapped by turns on a model's file of random
weights. Each way has a process of its own, in which it alternates with calls of the model without adapters. ``memory``
is a way too: the peak of a process that swaps, and of one that has no adapter; so is ``few steps``: whole pictures in
four steps with an adapter and in twenty without. openvino.genai runs in the environment of
``python -m benchmarks.peers --work DIR``, on the UNet that optimum-intel makes of the file.
Appends records to ``results/adapters.jsonl``.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import inputs, peers, random_files, records
from benchmarks.adapter_work import FEW_STEPS, WAYS
from benchmarks.peers import say
from partway.building.network import Network
from partway.model.package import open_package

RESULTS = records.RESULTS / "adapters.jsonl"
RANK = 32
_GENAI = ("dynamic", "fused")
_MEMORY = ("none", "partway")


def main(argv: Sequence[str] | None = None) -> int:
    """Measure what is asked for; return 0, or 1 where something failed."""
    args = _parser().parse_args(argv)
    args.work = args.work.resolve()
    file, loras = _made(args)
    common, failed = records.session("adapters") | {"size": args.size, "side": args.side, "rank": RANK}, 0
    for turn in range(args.turns):
        for engine, way, command in _commands(args, file, loras):
            before = records.Processor.now()
            environment = inputs.environment(ours=command[0] == sys.executable)
            done = subprocess.run(command, cwd=records.HERE.parent, env=environment, stdout=subprocess.PIPE, text=True)
            if done.returncode:
                say(f"{engine}, {way}: failed")
                failed = 1
                continue
            found = dict(json.loads(done.stdout.splitlines()[-1]))
            found["others_busy"] = before.others(records.Processor.now())
            records.append(args.results, common | {"engine": engine, "way": way, "turn": turn} | found)
            say(f"{engine}, {way}: {_shown(found)}")
    return failed


def _commands(args: argparse.Namespace, file: Path, loras: list[Path]) -> list[tuple[str, str, list[str]]]:
    """Engine, way and command of every process."""
    told: dict[str, Any] = {"file": str(file), "loras": [str(one) for one in loras]}
    told |= {name: getattr(args, name) for name in ("side", "threads", "rounds")}
    here = [sys.executable, "-m", "benchmarks.adapter_work"]
    found = []
    for engine in args.engines:
        for way in args.ways:
            ways = [f"memory {one}" for one in _MEMORY] if way == "memory" else [way]
            if way in ("memory", FEW_STEPS, *WAYS[engine]):
                found += [(engine, one, [*here, json.dumps(told | {"engine": engine, "way": one})]) for one in ways]
    python, maker = (peers.python_of(args.work, name) for name in ("openvino_genai", "optimum_intel"))
    if "genai" in args.ways and python.exists() and maker.exists():
        told["package"] = str(peers.traced(args.work, file, random_files.configs(file)))
        script = str(records.HERE / "adapter_genai.py")
        found += [("openvino.genai", one, [str(python), script, json.dumps(told | {"way": one})]) for one in _GENAI]
    return found


def _shown(found: dict[str, Any]) -> str:
    if "peak_bytes" in found:
        return f"peak {found['peak_bytes'] / 1e9:.2f} GB"
    if "few" in found:
        few, many = (float(np.median(found[name])) for name in ("few", "many"))
        return f"{few:.1f} s in few steps, {many:.1f} s in many: {few / many:.3f}"
    plain = float(np.median(found["plain"]))
    swap, call = (float(np.median(found[name])) for name in ("swaps", "calls"))
    return f"call {plain:.2f} s; swap {swap / plain:.2f} of one; with an adapter {call / plain:.3f}"


def _made(args: argparse.Namespace) -> tuple[Path, list[Path]]:
    """The model's file and two adapters of it, written where they are missing."""
    args.work.mkdir(parents=True, exist_ok=True)
    file = args.work / f"{args.size}.safetensors"
    if not file.exists():
        random_files.write(file.with_suffix(".partial"), random_files.SIZES[args.size])
        file.with_suffix(".partial").rename(file)
    loras = [args.work / f"{args.size}-rank{RANK}-{seed}.safetensors" for seed in (1, 2)]
    for seed, path in enumerate(loras):
        if not path.exists():
            _write_lora(open_package(file).networks["unet"], path, seed)
    return file, loras


def _write_lora(unet: Any, path: Path, seed: int) -> None:
    """A LoRA in float16 under kohya's names, with alpha the rank, as openvino.genai takes none else."""
    assert isinstance(unet, Network)
    rng, tensors = np.random.default_rng(seed), {}
    for name in (name for node in unet.nodes for name in node.inputs[1:2]):
        if "attentions." in name and ".norm" not in name and name.endswith(".weight"):
            key, (outs, ins, *kernel) = (
                f"lora_unet_{name.removesuffix('.weight').replace('.', '_')}",
                unet.weights[name].shape,
            )
            tensors[f"{key}.lora_down.weight"] = rng.normal(0, ins**-0.5, (RANK, ins, *kernel)).astype(np.float16)
            up = rng.normal(0, 0.1 * RANK**-0.5, (outs, RANK, *(1 for _ in kernel)))
            tensors[f"{key}.lora_up.weight"] = up.astype(np.float16)
            tensors[f"{key}.alpha"] = np.array(RANK, np.float32)
    _write(path, tensors)


def _write(path: Path, tensors: dict[str, np.ndarray]) -> None:
    kinds, at, entries = {"float16": "F16", "float32": "F32"}, 0, {}
    for name, array in tensors.items():
        places = [at, at + array.nbytes]
        entries[name] = {"dtype": kinds[array.dtype.name], "shape": list(array.shape), "data_offsets": places}
        at += array.nbytes
    header = json.dumps(entries).encode()
    data = b"".join(array.tobytes() for array in tensors.values())
    path.write_bytes(len(header).to_bytes(8, "little") + header + data)


def _parser() -> argparse.ArgumentParser:
    head = (__doc__ or "").splitlines()[0]
    it = argparse.ArgumentParser(prog="python -m benchmarks.adapters", description=head)
    it.add_argument("--work", type=Path, required=True, help="folder for models, several GB at full size")
    it.add_argument("--size", choices=["sd15", "mid", "tiny"], default="sd15")
    it.add_argument("--side", type=int, default=512, help="pixels")
    it.add_argument("--threads", type=int, default=2)
    it.add_argument("--rounds", type=int, default=4, help="swaps in each process")
    it.add_argument("--turns", type=int, default=1)
    it.add_argument("--engines", nargs="+", default=list(WAYS), choices=list(WAYS))
    ways = ["memory", FEW_STEPS, "genai", *dict.fromkeys(way for own in WAYS.values() for way in own)]
    it.add_argument("--ways", nargs="+", default=ways, choices=ways)
    it.add_argument("--results", type=Path, default=RESULTS)
    return it


if __name__ == "__main__":
    raise SystemExit(main())
