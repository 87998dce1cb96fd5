"""partway itself; options are those of `partway.load`, settings those of `Pipeline.img2img`."""

from benchmarks.jobs import Job, Make

PACKAGES = ("partway", "numpy", "pillow", "tokenizers", "onnxruntime", "openvino")


def start(job: Job) -> Make:
    """Open the package; its networks load with the first picture."""
    from partway.bench import processes as bench  # not above: the import is part of what is timed

    return bench.start(job)
