"""openvino.genai's part of `benchmarks.adapters`, run by the interpreter that has it: ``adapter_genai.py JSON``.

A call is what a picture of two steps takes longer than one of one step; a swap is what the first picture after it
takes longer than the next. Imports nothing of partway.
"""

import json
import sys
import time
from typing import Any

import numpy as np
import openvino
import openvino_genai as genai


def main(work: dict[str, Any]) -> dict[str, Any]:
    """Calls without an adapter, swaps, and calls with one."""
    mode = {"dynamic": genai.AdapterConfig.Mode.MODE_DYNAMIC, "fused": genai.AdapterConfig.Mode.MODE_FUSE}[work["way"]]
    loras = [genai.Adapter(file) for file in work["loras"]]
    properties = {"INFERENCE_NUM_THREADS": work["threads"], "INFERENCE_PRECISION_HINT": "f32"}
    plain = genai.Image2ImagePipeline(work["package"], "CPU", **properties)

    def opened(index: int) -> Any:
        return genai.Image2ImagePipeline(work["package"], "CPU", adapters=config(index), **properties)

    def config(index: int) -> Any:
        return genai.AdapterConfig([(loras[index % 2], 0.8)], mode)

    pixels = openvino.Tensor(np.zeros((1, work["side"], work["side"], 3), np.uint8))

    def picture(pipe: Any, steps: int, **more: Any) -> float:
        begun = time.perf_counter()
        settings = {"num_inference_steps": steps, "strength": 1.0, "guidance_scale": 7.5}
        pipe.generate("a room", pixels, **settings, **more)
        return time.perf_counter() - begun

    found: dict[str, Any] = {"plain": [], "calls": [], "swaps": []}
    pipe = opened(0)
    picture(plain, 1), picture(pipe, 1)
    for turn in range(1, work["rounds"] + 1):
        found["plain"].append(-picture(plain, 1) + picture(plain, 2))
        begun = time.perf_counter()
        if work["way"] == "fused":  # which is compiled anew
            pipe = opened(turn)
            picture(pipe, 1)
        else:
            picture(pipe, 1, adapters=config(turn))
        swapped = time.perf_counter() - begun
        one = picture(pipe, 1)
        found["swaps"].append(swapped - one)
        found["calls"].append(picture(pipe, 2) - one)
    return found


if __name__ == "__main__":
    print(json.dumps(main(json.loads(sys.argv[1]))))
