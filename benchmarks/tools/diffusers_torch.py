"""diffusers on torch; option ``dtype``: "float32" or "bfloat16".

Of a model's file also ``config``, a folder of its configurations, and ``xl``.
"""

from pathlib import Path

from benchmarks.jobs import Job, Make
from benchmarks.tools.pipelines import maker

PACKAGES = ("diffusers", "torch", "transformers", "numpy", "pillow")


def start(job: Job) -> Make:
    """Load the file or folder that all packages were exported from."""
    import torch
    from diffusers import StableDiffusionImg2ImgPipeline, StableDiffusionXLImg2ImgPipeline

    if job.threads:
        torch.set_num_threads(job.threads)
    dtype, xl = getattr(torch, job.options["dtype"]), job.options.get("xl")
    cls, more = (
        (StableDiffusionXLImg2ImgPipeline, {}) if xl else (StableDiffusionImg2ImgPipeline, {"safety_checker": None})
    )
    if Path(job.model).is_file():
        told = {"config": job.options["config"], "local_files_only": True}
        return maker(cls.from_single_file(job.model, torch_dtype=dtype, **told, **more), job)
    return maker(cls.from_pretrained(job.model, torch_dtype=dtype, **more), job)
