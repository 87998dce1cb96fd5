"""What `benchmarks.checkpoints` measures in processes of their own: ``python -m benchmarks.checkpoint_work WHAT JSON``.

The last line that each writes is a JSON object.
"""

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from partway.bench.measuring import peak_bytes
from partway.engines import Engine, EngineOptions, open_engine
from partway.model import unet
from partway.model.package import Package, open_package
from partway.support import heap

Work = dict[str, Any]


def export(work: Work) -> Work:
    """Make a package; all of it is one process."""
    from partway_export import export as make

    begun = time.perf_counter()
    made = make(work["source"], work["out"], to=work["to"], weights="fp16", split=True, goldens=False)
    names = {name: figures["psnr"] for name, figures in made["verification"].items()}
    return {"seconds": time.perf_counter() - begun, "peak_bytes": peak_bytes(), "psnr": names}


def calls(work: Work) -> Work:
    """The same call of the UNet that is built over the file, and of the exported one, in turn.

    ``order`` says which is opened first, and called first in every round.
    """
    threads, found = work["threads"], {}
    opened: dict[str, tuple[Package, Engine]] = {}
    for name in work.get("order", ("file", "package")):
        package = open_package(work[name])
        opened[name] = (package, open_engine(work["engine"], package.networks, EngineOptions(threads=threads)))
        begun = time.perf_counter()
        first = _call(*opened[name], work["side"])
        found[name] = {"first": time.perf_counter() - begun, "seconds": [], "cpu": []}
        found[name]["mean"] = float(np.abs(first).mean())
    apart = [_call(*one, work["side"]) for one in opened.values()]
    for _ in range(work["rounds"]):
        for name, one in opened.items():
            begun, busy = time.perf_counter(), time.process_time()
            _call(*one, work["side"])
            found[name]["seconds"].append(time.perf_counter() - begun)
            found[name]["cpu"].append(time.process_time() - busy)
    ratio = min(found["file"]["seconds"]) / min(found["package"]["seconds"])
    return {"ratio": ratio, "apart": float(np.abs(apart[0] - apart[1]).max()), **found}


def level(work: Work) -> Work:
    """ONNX Runtime itself, over the UNet that is built, at an optimisation level, with weights packed or not."""
    from partway.engines.onnxruntime import library

    package = open_package(work["file"])
    graph, ort = package.networks["unet"], library()
    assert not isinstance(graph, Path)
    options, (name, packed) = ort.SessionOptions(), work["level"]
    options.graph_optimization_level = getattr(ort.GraphOptimizationLevel, name)
    options.intra_op_num_threads = work["threads"]
    options.enable_mem_pattern = False
    options.add_session_config_entry("session.disable_prepacking", packed)
    options.add_session_config_entry(
        "session.model_external_initializers_file_folder_path", str(Path(work["file"]).resolve().parent)
    )
    begun = time.perf_counter()
    session = ort.InferenceSession(graph.with_files(), options, providers=["CPUExecutionProvider"])
    heap.trim()
    found: Work = {"load_seconds": time.perf_counter() - begun, "load_peak_bytes": peak_bytes(), "calls": []}
    found["loaded"] = resident()
    inputs = {"timestep": np.float32([500]), **_inputs(package, work["side"])}
    for _ in range(1 + work["rounds"]):
        begun = time.perf_counter()
        session.run(None, inputs)
        found["calls"].append(time.perf_counter() - begun)
    found["call_seconds"] = min(found["calls"][1:])
    return found | {"peak_bytes": peak_bytes(), "resident": resident()}


def resident() -> dict[str, int]:
    """Bytes that this process has in memory now: private ones, and mapped pages of files; empty but on Linux."""
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.exists() else []
    fields = {line.split(":")[0]: line.split()[1] for line in lines if line.startswith(("RssAnon", "RssFile"))}
    return {name: int(value) * 1024 for name, value in fields.items()}


def _call(package: Package, engine: Engine, side: int) -> np.ndarray:
    outputs = unet.evaluate(engine, "unet", 500.0, _inputs(package, side), batch=2)
    return np.asarray(next(iter(outputs.values())))


def _inputs(package: Package, side: int) -> dict[str, Any]:
    """The UNet's inputs for a picture of this size, with and without the prompt."""
    rng, config = np.random.default_rng(0), package.config("unet")
    inputs = {
        "sample": (2, config["in_channels"], side // 8, side // 8),
        "encoder_hidden_states": (2, 77, config["cross_attention_dim"]),
    }
    if package.size_conditions:
        width = config["projection_class_embeddings_input_dim"] - 6 * config["addition_time_embed_dim"]
        inputs |= {"text_embeds": (2, width), "time_ids": (2, 6)}
    return {name: rng.standard_normal(shape, np.float32) for name, shape in inputs.items()}


WORK: dict[str, Callable[[Work], Work]] = {"export": export, "calls": calls, "level": level}

if __name__ == "__main__":
    print(json.dumps(WORK[sys.argv[1]](json.loads(sys.argv[2]))))
