"""partway itself; options are those of `partway.load`."""

from benchmarks.jobs import Job, Made, Make, Request

PACKAGES = ("partway", "numpy", "pillow", "tokenizers", "onnxruntime", "openvino")


def start(job: Job) -> Make:
    """Open the package; its networks load with the first picture."""
    import partway

    pipe = partway.load(job.model, threads=job.threads, **job.options)

    def make(request: Request) -> Made:
        result = pipe.img2img(
            request.image,
            request.prompt,
            steps=request.steps,
            strength=job.strength,
            guidance_scale=job.guidance_scale,
            sampler=job.sampler,
            seed=job.seed,
        )
        return Made(result.image, result.seconds, result.plan.calls)

    return make
