"""openvino.genai's part of `benchmarks.adapters`, run by the interpreter that has it: ``adapter_genai.py JSON``.

Its UNet alone, in both modes: ``dynamic`` is given other matrices, ``fused`` is compiled anew. Imports nothing of
partway.
"""

import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import openvino
import openvino_genai as genai

PICTURES = 2
CALLS = 3
"""As in `benchmarks.adapter_work`."""


class Unet:
    """openvino.genai's UNet, with adapters or without."""

    def __init__(self, work: dict[str, Any], config: Any = None) -> None:
        folder = Path(work["package"]) / "unet"
        width = json.loads((folder / "config.json").read_text("utf-8"))["cross_attention_dim"]
        rng, side = np.random.default_rng(0), work["side"] // 8
        properties = {"INFERENCE_NUM_THREADS": work["threads"], "INFERENCE_PRECISION_HINT": "f32"}
        more = {} if config is None else {"adapters": config}
        self._unet = genai.UNet2DConditionModel(folder, "CPU", **properties, **more)
        text = rng.standard_normal((PICTURES, 77, width), np.float32)
        self._unet.set_hidden_states("encoder_hidden_states", openvino.Tensor(text))
        self._sample = openvino.Tensor(rng.standard_normal((PICTURES, 4, side, side), np.float32))
        self._step = openvino.Tensor(np.array([500], np.int64))

    def take(self, config: Any) -> None:
        """Go on with other adapters."""
        self._unet.set_adapters(config)

    def call(self) -> np.ndarray:
        """What it predicts."""
        return np.array(self._unet.infer(self._sample, self._step).data)


def main(work: dict[str, Any]) -> dict[str, Any]:
    """Calls without an adapter, swaps (what the call after them takes longer is a part of them), and calls with one."""
    mode = {"dynamic": genai.AdapterConfig.Mode.MODE_DYNAMIC, "fused": genai.AdapterConfig.Mode.MODE_FUSE}[work["way"]]
    loras = [genai.Adapter(file) for file in work["loras"]]
    configs = [genai.AdapterConfig([(lora, 0.8)], mode) for lora in loras]
    plain, adapted = Unet(work), Unet(work, configs[0])
    if work["way"] == "dynamic":  # which has none before it is told
        adapted.take(configs[0])
    assert not np.allclose(plain.call(), adapted.call(), atol=1e-4)
    found: dict[str, Any] = {"plain": [], "calls": [], "swaps": []}
    for turn in range(1, work["rounds"] + 1):
        begun = time.perf_counter()
        if work["way"] == "fused":
            adapted = Unet(work, configs[turn % 2])
        else:
            adapted.take(configs[turn % 2])
        adapted.call()
        swapped = time.perf_counter() - begun
        for _ in range(CALLS):
            found["plain"].append(_seconds(plain))
            found["calls"].append(_seconds(adapted))
        found["swaps"].append(swapped - float(np.median(found["calls"][-CALLS:])))
    return found


def _seconds(unet: Unet) -> float:
    begun = time.perf_counter()
    unet.call()
    return time.perf_counter() - begun


if __name__ == "__main__":
    print(json.dumps(main(json.loads(sys.argv[1]))))
