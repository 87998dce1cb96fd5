"""optimum-intel on OpenVINO; its option ``reshape`` compiles for the exact size."""

from benchmarks.jobs import Job, Make
from benchmarks.tools.pipelines import maker

PACKAGES = ("optimum-intel", "openvino", "diffusers", "torch", "transformers", "numpy", "pillow")


def start(job: Job) -> Make:
    """Open and compile the networks."""
    import torch
    from optimum.intel import OVStableDiffusionImg2ImgPipeline

    config = {"PERFORMANCE_HINT": "LATENCY"}
    if job.threads:
        torch.set_num_threads(job.threads)
        config["INFERENCE_NUM_THREADS"] = str(job.threads)
    pipe = OVStableDiffusionImg2ImgPipeline.from_pretrained(
        job.model, ov_config=config, compile=False, safety_checker=None
    )
    if job.options.get("reshape"):
        pipe.reshape(batch_size=1, height=job.height, width=job.width, num_images_per_prompt=1)
    pipe.compile()
    return maker(pipe, job)
