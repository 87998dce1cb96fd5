"""What a file is that is no Stable Diffusion model, so that the message can say so."""

import re
from collections.abc import Iterable

_MODELS = "partway runs Stable Diffusion 1.x, 2.x and XL models"
_BESIDE = "it goes with a model, and is none"

_MARKS = (
    (r"(^|\.)lora_(down|up|A|B)\b|\.(hada_w1_a|lokr_w[12](_a)?|dora_scale)$|\.lora\.(down|up)\.", "a LoRA", _BESIDE),
    (r"^(emb_params|string_to_param\..*|<.*>)$|^clip_[lg]$", "an embedding (textual inversion)", _BESIDE),
    (r"^control_model\.|^controlnet_|^input_hint_block\.|^control_add_embedding\.", "a ControlNet", _BESIDE),
    (r"^(ip_adapter|image_proj|image_proj_model)\.", "an IP-Adapter", _BESIDE),
    (r"^(adapter\.)?body\.\d+\.(block1|in_conv|resnets)\.", "a T2I-Adapter", _BESIDE),
    (r"(^|\.)motion_modules\.", "an AnimateDiff motion module", _BESIDE),
    (r"(^|\.)double_blocks\.\d|(^|\.)single_transformer_blocks\.\d", "a FLUX model", _MODELS),
    (r"(^|\.)joint_blocks\.\d|(^|\.)transformer_blocks\.\d+\.norm1_context\.", "a Stable Diffusion 3 model", _MODELS),
    (r"(^|\.)time_mixer\.|temporal_transformer_blocks\.", "a Stable Video Diffusion model", _MODELS),
    (r"(^|\.)roberta\.", "an AltDiffusion model", _MODELS),
    (r"(^|\.)(adaln_single|t_block)\.", "a PixArt model", _MODELS),
    (
        r"(^|\.)(down_blocks|effnet_mapper|clip_txt_mapper)\.\d+\.\d+\.(depthwise|channelwise)",
        "a Cascade model",
        _MODELS,
    ),
    (r"^(body\.\d+\.rdb1|model\.1\.sub\.\d+|RRDB_trunk)\.", "an upscaler (ESRGAN)", _BESIDE),
    (r"^(edm_mean|edm_std|edm_vpred\.sigma_max)$", "a model of EDM's noise levels (Playground 2.5, CosXL)", _MODELS),
)
"""Patterns of names, what has such tensors, and why it does not run in a model's place; the first that fits counts."""


def stranger(names: Iterable[str], *, models: bool = False) -> str | None:
    """What the file is with tensors of these names, and why it does not run, as the end of a sentence; None if unknown.

    models: look for other models only, for what goes with a model may have been stored with one.
    """
    names = list(names)
    for pattern, what, why in _MARKS:
        if not (models and why == _BESIDE) and any(map(re.compile(pattern).search, names)):
            return f"is {what}; {why}"
    return None
