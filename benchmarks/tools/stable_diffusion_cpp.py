"""stable-diffusion.cpp by its Python binding; reads diffusers' folder. Option ``wtype``: its name of a weights' type.

Its tokenizer, its vocabulary and its noise are built in, so pictures of other tools cannot be compared with its own. At
a strength it runs one step more than the others.
"""

from benchmarks.jobs import Job, Made, Make, Request

PACKAGES = ("stable-diffusion-cpp-python", "pillow")
SAMPLERS = {"ddim": "ddim_trailing", "euler": "euler", "dpmpp_2m": "dpm++2m"}


def start(job: Job) -> Make:
    """Load the weights."""
    from PIL import Image
    from stable_diffusion_cpp import StableDiffusion

    if job.settings:
        raise ValueError(f"stable-diffusion.cpp takes no settings of partway's: {', '.join(job.settings)}")
    pipe = StableDiffusion(model_path=job.model, n_threads=job.threads or -1, verbose=False, **job.options)
    if not pipe.model:  # the library only writes to its log
        raise ValueError(f"stable-diffusion.cpp does not know the shapes of {job.model}")

    def make(request: Request) -> Made:
        pictures = pipe.generate_image(
            prompt=request.prompt,
            init_image=Image.open(request.image).convert("RGB"),
            width=job.width,
            height=job.height,
            sample_steps=request.steps,
            strength=request.strength,
            cfg_scale=job.guidance_scale,
            sample_method=SAMPLERS[job.sampler],
            seed=job.seed,
        )
        return Made(pictures[0], {}, {})

    return make
