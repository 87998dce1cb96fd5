"""What is measured and what is hoped for: one row a configuration, one row a target. A preset is a new row."""

from collections.abc import Mapping
from typing import Any, NamedTuple


class Case(NamedTuple):
    """A tool with its options (for loading) and settings (for a picture; partway's only).

    model    "onnx" or "openvino" for that export, "diffusers" for the folder they were made from; None: as --to says
    weights  as `partway export` takes them; None: as --weights says
    same_noise  whether its pictures start from the same noise and text, and can be compared
    """

    tool: str
    options: Mapping[str, Any] = {}
    settings: Mapping[str, Any] = {}
    model: str | None = None
    weights: str | None = None
    same_noise: bool = True

    @property
    def peer(self) -> bool:
        """Whether it is another project's, with an environment of its own."""
        return self.tool != "partway"


REFERENCE = "onnxruntime fp32"  # its pictures are what the others' are compared with
INT8 = "onnxruntime int8"
# These compute in the processor's own precision, bfloat16 where it has that and float32 where it has not.
EXACT = "exact"
GENAI = "openvino.genai"  # what ratios are to
INTEL = "optimum-intel reshaped"
FAST, FAST_TINY, INTEL_TINY = "fast", "fast, tiny VAE", "optimum-intel reshaped, tiny VAE"

CASES: dict[str, Case] = {
    REFERENCE: Case("partway", {"engine": "onnxruntime"}, model="onnx", weights="fp32"),
    "openvino fp32": Case("partway", {"engine": "openvino"}),
    "openvino fp32 static": Case("partway", {"engine": "openvino", "static": True}),
    EXACT: Case("partway", {"preset": "exact"}),
    "balanced": Case("partway", {"preset": "balanced"}),
    FAST: Case("partway", {"preset": "fast"}),
    "tiny": Case("partway", {"preset": "tiny"}, model="onnx", weights="int8"),
    "streamed": Case("partway", {"preset": "tiny", "stream": True}, model="onnx", weights="int8"),
    "openvino.genai fp32": Case("openvino_genai", {"precision": "f32"}, model="openvino"),
    GENAI: Case("openvino_genai", model="openvino"),
    "openvino.genai reshaped": Case("openvino_genai", {"reshape": True}, model="openvino"),
    "optimum-intel": Case("optimum_intel", model="openvino"),
    INTEL: Case("optimum_intel", {"reshape": True}, model="openvino"),
    "optimum-onnx fp32": Case("optimum_onnx", model="onnx"),
    "diffusers fp32": Case("diffusers_torch", {"dtype": "float32"}, model="diffusers"),
    "diffusers bf16": Case("diffusers_torch", {"dtype": "bfloat16"}, model="diffusers"),
    "stable-diffusion.cpp fp16": Case("stable_diffusion_cpp", {"wtype": "f16"}, model="diffusers", same_noise=False),
}
# Not part of a run of all cases: in tiles chosen for the picture, which may have any size; quantised by calibration,
# which takes long; with few steps.
NAMED: dict[str, Case] = {
    "exact, tiles": CASES[EXACT]._replace(settings={"tile": 0}),
    INT8: CASES[REFERENCE]._replace(weights="w8a8"),
    FAST_TINY: Case("partway", {"preset": "fast"}, {"vae": "tiny"}),
    INTEL_TINY: Case("optimum_intel", {"reshape": True, "tiny": True}, model="openvino", same_noise=False),
}


class Target(NamedTuple):
    """``figure`` of ``case`` is to be ``limit`` or less, times that of the case ``of`` where one is named.

    With ``least`` it is to be ``limit`` or more.

    figure  "seconds" of a warm picture; "call", of its UNet; "cold", seconds from the start of the process to its first
            picture, all steps; "peak", GB; "latents", their relative distance to the reference's; "encodes", calls of
            the encoders for another strength of the same picture and prompt; "ssim" to the exact pictures and "drift"
            of layout and style from theirs, each at the worst strength
    result  name of the result file
    why     why it is not reached, where it is not, and what was tried
    """

    what: str
    case: str
    figure: str
    limit: float
    of: str | None = None
    result: str = "peers"
    least: bool = False
    why: str = ""


_KERNELS = (
    "in bfloat16 the UNet's 3x3 convolutions run at 470 GFLOP/s and a lone product of 4096x4096 matrices at 390, so "
    "little is left; the halves of feed-forward layers as products of their own saved 1.5 % and were not kept"
)
_FEW_ROOMS = (
    "of 24 rooms one is 0.042: at strength 0.45 the style that was asked for is read in two rooms fewer by balanced "
    "and in four fewer by fast; layout stays within 0.022"
)

TARGETS: tuple[Target, ...] = (
    Target("exact: time", EXACT, "seconds", 0.85, GENAI, why=_KERNELS),
    Target("exact: time", EXACT, "seconds", 1.02, INTEL),
    Target("exact: latents' distance to fp32", EXACT, "latents", 1.0, GENAI, "others"),
    Target("exact: encoder calls for a second strength", EXACT, "encodes", 0),
    Target("exact: memory", EXACT, "peak", 0.7, GENAI),
    Target("balanced: time", "balanced", "seconds", 0.45, GENAI),
    Target("fast: time", "fast", "seconds", 0.22, GENAI),
    Target("tiny: memory, GB", "tiny", "peak", 1.2, result="small"),
    Target("streamed: memory, GB", "streamed", "peak", 0.7, result="small"),
    Target("onnxruntime: UNet call of int8", INT8, "call", round(1 / 1.5, 3), REFERENCE, result="int8"),
    Target(
        "balanced: SSIM on rooms", "balanced", "ssim", 0.95, result="presets", least=True, why="at strength 0.8 only"
    ),
    Target("balanced: layout and style on rooms", "balanced", "drift", 0.02, result="presets", why=_FEW_ROOMS),
    Target("fast: SSIM on rooms", "fast", "ssim", 0.9, result="presets", least=True),
    Target("fast: layout and style on rooms", "fast", "drift", 0.02, result="presets", why=_FEW_ROOMS),
    Target("rooms: cold start to picture, s", REFERENCE, "cold", 2.0, result="rooms"),
)
