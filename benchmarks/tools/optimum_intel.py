"""optimum-intel on OpenVINO; options: ``reshape`` (compile for the exact size) and ``tiny`` (the tiny autoencoder).

With both it is what FastSD CPU runs, which cannot be installed as a package.
"""

from pathlib import Path

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
    if job.options.get("tiny"):
        import openvino

        for part, name in ((pipe.vae_encoder, "tiny_encoder"), (pipe.vae_decoder, "tiny_decoder")):
            part.model = openvino.Core().read_model(Path(job.model) / name / "openvino_model.xml")
            part.register_to_config(scaling_factor=1.0)  # its latents are scaled ones
    if job.options.get("reshape"):
        pipe.reshape(batch_size=1, height=job.height, width=job.width, num_images_per_prompt=1)
        if job.guidance_scale <= 1:  # it makes room for two predictions
            ports = [port for port in pipe.unet.model.inputs if len(port.shape) > 1]
            pipe.unet.model.reshape({port: [1, *port.shape[1:]] for port in ports})
    pipe.compile()
    return maker(pipe, job)
