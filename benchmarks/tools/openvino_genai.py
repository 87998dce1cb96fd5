"""openvino.genai; options: ``precision`` (default: the processor's own) and ``reshape`` (compile for the exact size).

Its own generator gives other noise than torch's; it gets partway's numbers instead, so that pictures can be compared.
"""

from pathlib import Path
from typing import Any

from benchmarks.jobs import Job, Made, Make, Request

PACKAGES = ("openvino-genai", "openvino", "openvino-tokenizers", "numpy", "pillow")
SCHEDULERS = {"ddim": "DDIM", "euler": "EULER_DISCRETE"}


def start(job: Job) -> Make:
    """Open and compile the networks."""
    import numpy as np
    import openvino
    import openvino_genai as genai
    from PIL import Image

    if job.settings:
        raise ValueError(f"openvino.genai takes no settings of partway's: {', '.join(job.settings)}")
    properties: dict[str, Any] = {"PERFORMANCE_HINT": "LATENCY"}
    if "precision" in job.options:
        properties["INFERENCE_PRECISION_HINT"] = job.options["precision"]
    if job.threads:
        properties["INFERENCE_NUM_THREADS"] = job.threads
    if job.options.get("reshape"):
        pipe = genai.Image2ImagePipeline(job.model)
        pipe.reshape(1, job.height, job.width, job.guidance_scale)
        pipe.compile("CPU", **properties)
    else:
        pipe = genai.Image2ImagePipeline(job.model, "CPU", **properties)
    kind = getattr(genai.Scheduler.Type, SCHEDULERS[job.sampler])
    pipe.set_scheduler(genai.Scheduler.from_config(str(Path(job.model) / "scheduler/scheduler_config.json"), kind))
    noise = np.load(job.noise)

    class Drawn(genai.Generator):  # type: ignore[misc]
        """Normal numbers that were drawn beforehand."""

        def __init__(self) -> None:
            super().__init__()
            self.left = iter(noise.ravel())
            self.draws = iter(noise)

        def randn_tensor(self, shape: Any) -> Any:
            return openvino.Tensor(np.ascontiguousarray(next(self.draws)).reshape(list(shape)))

        def next(self) -> float:
            return float(next(self.left))

        def seed(self, seed: int) -> None:
            self.__init__()  # type: ignore[misc]

    def make(request: Request) -> Made:
        kept: dict[str, Any] = {}

        def keep(_step: int, _steps: int, latents: Any) -> bool:
            kept["latents"] = latents.data.copy()
            return False  # go on

        pixels = np.asarray(Image.open(request.image).convert("RGB"))[None]
        made = pipe.generate(
            request.prompt,
            openvino.Tensor(pixels),
            num_inference_steps=request.steps,
            strength=request.strength,
            guidance_scale=job.guidance_scale,
            generator=Drawn(),
            callback=keep,
        )
        picture = Image.fromarray(np.array(made.data[0]))
        return Made(picture, *_stages(pipe.get_performance_metrics()), kept["latents"])

    return make


def _stages(metrics: Any) -> tuple[dict[str, float], dict[str, int]]:
    """Seconds and calls by partway's names; the metrics are in milliseconds, the raw ones in microseconds."""
    unet = [float(getattr(one, "count", lambda one=one: one)()) for one in metrics.raw_metrics.unet_inference_durations]
    seconds = {
        "text_encoder": sum(metrics.get_text_encoder_infer_duration().values()) / 1e3,
        "vae_encoder": metrics.get_vae_encoder_infer_duration() / 1e3,
        "unet": sum(unet) / 1e6,
        "vae_decoder": metrics.get_vae_decoder_infer_duration() / 1e3,
    }
    seconds["other"] = metrics.get_generate_duration() / 1e3 - sum(seconds.values())
    return seconds, {"text_encoder": 1, "vae_encoder": 1, "unet": len(unet), "vae_decoder": 1}
