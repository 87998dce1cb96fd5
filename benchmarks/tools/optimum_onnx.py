"""optimum-onnx on ONNX Runtime; it has no options."""

from benchmarks.jobs import Job, Make
from benchmarks.tools.pipelines import maker

PACKAGES = ("optimum-onnx", "onnxruntime", "diffusers", "torch", "transformers", "numpy", "pillow")


def start(job: Job) -> Make:
    """Open the networks."""
    import torch
    from onnxruntime import SessionOptions
    from optimum.onnxruntime import ORTStableDiffusionImg2ImgPipeline

    session = SessionOptions()
    if job.threads:
        torch.set_num_threads(job.threads)
        session.intra_op_num_threads = job.threads
    pipe = ORTStableDiffusionImg2ImgPipeline.from_pretrained(job.model, session_options=session, safety_checker=None)
    # It puts the prediction behind what other outputs there are and takes the first: partway's deep features.
    pipe.unet.output_names = {"out_sample": pipe.unet.output_names["out_sample"]}
    return maker(pipe, job)
