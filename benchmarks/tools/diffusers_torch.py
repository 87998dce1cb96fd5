"""diffusers on torch; option ``dtype``: "float32" or "bfloat16"."""

from benchmarks.jobs import Job, Make
from benchmarks.tools.pipelines import maker

PACKAGES = ("diffusers", "torch", "transformers", "numpy", "pillow")


def start(job: Job) -> Make:
    """Load the folder that all packages were exported from."""
    import torch
    from diffusers import StableDiffusionImg2ImgPipeline

    if job.threads:
        torch.set_num_threads(job.threads)
    pipe = StableDiffusionImg2ImgPipeline.from_pretrained(
        job.model, torch_dtype=getattr(torch, job.options["dtype"]), safety_checker=None
    )
    return maker(pipe, job)
