"""Small random-weight models as people hold them: one file in the original code's names, and diffusers' folder.

``build(root, kind)`` writes ``root/folder`` (save_pretrained) and ``root/model.safetensors``. Sizes that a file alone
does not tell are those of the published models: 8 heads or heads of 64 channels, groups of 32, CLIP's vocabulary.
Kinds are those of `tiny`, but for ``sd1-lcm``.
"""

import json
import re
from typing import Any

from partway.model.vocabulary import pairs

TEXT, TEXT_2 = 64, 128  # widths of the text encoders
_SIDE = 16  # of latents; pictures are 128 x 128 by default

_SD1 = {
    "block_out_channels": (32, 64),
    "down_block_types": ("CrossAttnDownBlock2D", "DownBlock2D"),
    "up_block_types": ("UpBlock2D", "CrossAttnUpBlock2D"),
    "layers_per_block": 1,
    "cross_attention_dim": TEXT,
    "attention_head_dim": 8,
}
_SD2 = {**_SD1, "block_out_channels": (64, 128), "attention_head_dim": (1, 2), "use_linear_projection": True}
_SDXL = {
    "block_out_channels": (64, 64, 128),
    "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
    "up_block_types": ("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
    "layers_per_block": 1,
    "transformer_layers_per_block": (1, 1, 2),
    "cross_attention_dim": TEXT + TEXT_2,
    "attention_head_dim": (1, 1, 2),
    "use_linear_projection": True,
    "addition_embed_type": "text_time",
    "addition_time_embed_dim": 256,
    "projection_class_embeddings_input_dim": 6 * 256 + TEXT_2,
}
_REFINER = {
    **_SDXL,
    "block_out_channels": (64, 64, 128, 128),
    "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"),
    "up_block_types": ("UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
    "transformer_layers_per_block": 2,
    "cross_attention_dim": TEXT_2,
    "attention_head_dim": (1, 1, 2, 2),
    "projection_class_embeddings_input_dim": 5 * 256 + TEXT_2,
}
_CUT = {**_SDXL, "layers_per_block": 2}
UNETS: dict[str, dict[str, Any]] = {
    "sd1": _SD1,
    "sd1-inpaint": {**_SD1, "in_channels": 9},
    "sd1-instruct": {**_SD1, "in_channels": 8},
    "sd1-lcm": {**_SD1, "time_cond_proj_dim": 16},
    "sd2": _SD2,
    "sd2-v": _SD2,
    "sd2-inpaint": {**_SD2, "in_channels": 9},
    "sdxl": _SDXL,
    "sdxl-inpaint": {**_SDXL, "in_channels": 9},
    "sdxl-turbo": _SDXL,
    "sdxl-refiner": _REFINER,
    "ssd-1b": {
        **_CUT,
        "transformer_layers_per_block": [0, [1, 2], [2, 1]],
        "reverse_transformer_layers_per_block": [[2, 3, 1], [2, 1, 1], 1],
        "mid_block_type": "UNetMidBlock2D",
    },
    "vega": {
        **_CUT,
        "transformer_layers_per_block": [0, [1, 1], [2, 2]],
        "reverse_transformer_layers_per_block": [[2, 1, 2], [1, 1, 1], 1],
        "mid_block_type": "UNetMidBlock2D",
    },
}
_CLASSES = {
    "sd1-inpaint": "StableDiffusionInpaintPipeline",
    "sd2-inpaint": "StableDiffusionInpaintPipeline",
    "sd1-instruct": "StableDiffusionInstructPix2PixPipeline",
    "sd1-lcm": "LatentConsistencyModelPipeline",
    "sdxl-inpaint": "StableDiffusionXLInpaintPipeline",
    "sdxl-refiner": "StableDiffusionXLImg2ImgPipeline",
}
_NOISE = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear", "steps_offset": 1}


def build(root, kind, dtype="float32", seed=0):
    """Write both forms of a model of ``kind``, in a type of torch's, and return the root."""
    import torch

    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(seed)
        pipe = pipeline(root / "folder", kind)
        pipe.to(getattr(torch, dtype))
        pipe.save_pretrained(root / "folder")
        save_original(pipe, root / "model.safetensors", kind)
    return root


def pipeline(folder, kind):
    """A pipeline of diffusers with random weights."""
    import diffusers

    xl, second = kind.startswith(("sdxl", "ssd", "vega")), kind.startswith("sd2")
    parts = {"unet": _unet(kind), "vae": _vae(xl), "scheduler": _scheduler(kind)}
    if kind != "sdxl-refiner":
        parts["text_encoder"] = _text(TEXT, second, projected=False)
        parts["tokenizer"] = _tokenizer(folder / "tokenizer", "!" if second else "<|endoftext|>")
    if xl:
        parts["text_encoder_2"] = _text(TEXT_2, True, projected=True)
        parts["tokenizer_2"] = _tokenizer(folder / "tokenizer_2", "!")
        if kind == "sdxl-refiner":
            parts |= {"text_encoder": None, "tokenizer": None}
        task = kind in ("sdxl-refiner", "sdxl-inpaint")
        more = {"requires_aesthetics_score": kind == "sdxl-refiner"} if task else {}
        more |= {"force_zeros_for_empty_prompt": kind != "sdxl-refiner", "add_watermarker": False}
        return getattr(diffusers, _CLASSES.get(kind, "StableDiffusionXLPipeline"))(**parts, **more)
    more = {"safety_checker": None, "feature_extractor": None, "requires_safety_checker": False}
    return getattr(diffusers, _CLASSES.get(kind, "StableDiffusionPipeline"))(**parts, **more)


def _unet(kind):
    from diffusers import UNet2DConditionModel

    unet = UNet2DConditionModel(sample_size=_SIDE, **UNETS[kind]).eval()
    for name, parameter in unet.named_parameters():
        # Louder, so that text, noise level and sizes matter as they do in a trained network.
        if name.endswith(("attn2.to_out.0.weight", "time_emb_proj.weight", "cond_proj.weight", "linear_2.weight")):
            parameter *= 3
    return _uneven(unet)


def _vae(xl):
    from diffusers import AutoencoderKL

    vae = AutoencoderKL(
        sample_size=8 * _SIDE,
        block_out_channels=(32, 32, 64, 64),
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        layers_per_block=1,
        latent_channels=4,
        scaling_factor=0.13025 if xl else 0.18215,
    ).eval()
    for part in (vae.quant_conv.weight[:4], vae.decoder.conv_out.weight):
        part *= 8  # pictures with contrast, latents of about the spread that they should have
    vae.quant_conv.bias[4:] -= 4
    return _uneven(vae)


def _text(width, gelu, *, projected):
    import transformers

    words = len(pairs()[0])
    config = transformers.CLIPTextConfig(
        vocab_size=words,
        hidden_size=width,
        intermediate_size=2 * width,
        num_hidden_layers=2,
        num_attention_heads=width // 64,
        projection_dim=width,
        hidden_act="gelu" if gelu else "quick_gelu",
        bos_token_id=words - 2,
        eos_token_id=words - 1,
        pad_token_id=0 if gelu else words - 1,
    )
    cls = transformers.CLIPTextModelWithProjection if projected else transformers.CLIPTextModel
    encoder = cls(config).eval()
    encoder.text_model.embeddings.token_embedding.weight *= 10
    return _uneven(encoder)


def _uneven(module):
    """Norms of 1 and biases of 0 would hide mistakes."""
    import torch

    for name, parameter in module.named_parameters():
        if parameter.ndim == 1 and "quant_conv" not in name:
            parameter += 0.1 * torch.randn_like(parameter)
    return module


def _scheduler(kind):
    import diffusers

    if kind == "sd1-lcm":
        return diffusers.LCMScheduler(**{**_NOISE, "steps_offset": 0})
    if kind == "sdxl-turbo":
        return diffusers.EulerAncestralDiscreteScheduler(**_NOISE, timestep_spacing="trailing")
    prediction = "v_prediction" if kind == "sd2-v" else "epsilon"
    return diffusers.EulerDiscreteScheduler(**_NOISE, timestep_spacing="leading", prediction_type=prediction)


def _tokenizer(folder, padding):
    from transformers import CLIPTokenizer

    words, merges = pairs()
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.json").write_text(json.dumps(words), encoding="utf-8")
    (folder / "merges.txt").write_text("#version\n" + "\n".join(map(" ".join, merges)) + "\n", encoding="utf-8")
    return CLIPTokenizer(folder / "vocab.json", folder / "merges.txt", pad_token=padding, model_max_length=77)


# The original code's names, written from diffusers', as `partway.checkpoints` does not.

_RESNET = {
    "norm1": "in_layers.0", "conv1": "in_layers.2", "time_emb_proj": "emb_layers.1", "norm2": "out_layers.0",
    "conv2": "out_layers.3", "conv_shortcut": "skip_connection",
}  # fmt: skip
_ENDS = {
    "conv_in": "input_blocks.0.0", "conv_norm_out": "out.0", "conv_out": "out.2",
    "time_embedding.linear_1": "time_embed.0", "time_embedding.linear_2": "time_embed.2",
    "time_embedding.cond_proj": "time_embed.cond_proj",
    "add_embedding.linear_1": "label_emb.0.0", "add_embedding.linear_2": "label_emb.0.2",
}  # fmt: skip


def unet_name(name, config):
    """The original code's name of one of the UNet's tensors, after ``model.diffusion_model.``."""
    layer, _, kind = name.rpartition(".")
    step = config["layers_per_block"] + 1
    if layer in _ENDS:
        return f"{_ENDS[layer]}.{kind}"
    if found := re.match(r"(down|up)_blocks\.(\d+)\.(resnets|attentions)\.(\d+)\.(.*)", layer):
        side, block, part, index, rest = found[1], int(found[2]), found[3], int(found[4]), found[5]
        place = (
            f"input_blocks.{1 + block * step + index}" if side == "down" else f"output_blocks.{block * step + index}"
        )
        return f"{place}.{int(part == 'attentions')}.{_RESNET[rest] if part == 'resnets' else rest}.{kind}"
    if found := re.match(r"mid_block\.(resnets|attentions)\.(\d+)\.(.*)", layer):
        rest = _RESNET[found[3]] if found[1] == "resnets" else found[3]
        return f"middle_block.{1 if found[1] == 'attentions' else 2 * int(found[2])}.{rest}.{kind}"
    if found := re.match(r"down_blocks\.(\d+)\.downsamplers\.0\.conv", layer):
        return f"input_blocks.{(int(found[1]) + 1) * step}.0.op.{kind}"
    block = int(re.match(r"up_blocks\.(\d+)\.upsamplers\.0\.conv", layer)[1])
    attends = config["up_block_types"][block].startswith("CrossAttn")
    return f"output_blocks.{block * step + step - 1}.{1 + attends}.conv.{kind}"


def vae_name(name, levels):
    """The original code's name of one of the VAE's tensors, after ``first_stage_model.``."""
    name = re.sub(r"down_blocks\.(\d+)\.resnets\.", r"down.\1.block.", name)
    name = re.sub(r"down_blocks\.(\d+)\.downsamplers\.0", r"down.\1.downsample", name)
    name = re.sub(r"up_blocks\.(\d+)\.resnets\.", lambda m: f"up.{levels - 1 - int(m[1])}.block.", name)
    name = re.sub(r"up_blocks\.(\d+)\.upsamplers\.0", lambda m: f"up.{levels - 1 - int(m[1])}.upsample", name)
    name = re.sub(r"mid_block\.resnets\.(\d)", lambda m: f"mid.block_{int(m[1]) + 1}", name)
    for ours, theirs in (
        ("mid_block.attentions.0", "mid.attn_1"), ("group_norm", "norm"), ("to_q", "q"), ("to_k", "k"), ("to_v", "v"),
        ("to_out.0", "proj_out"), ("conv_shortcut", "nin_shortcut"), ("conv_norm_out", "norm_out"),
    ):  # fmt: skip
        name = name.replace(ours, theirs)
    return name


def openclip(state, torch):
    """A text encoder's tensors in OpenCLIP's names: three matrices in one, and the projection the other way round."""
    names = {
        "embeddings.token_embedding.weight": "token_embedding.weight",
        "embeddings.position_embedding.weight": "positional_embedding",
        "final_layer_norm": "ln_final", "encoder.layers": "transformer.resblocks", "layer_norm1": "ln_1",
        "layer_norm2": "ln_2", "self_attn.out_proj": "attn.out_proj", "mlp.fc1": "mlp.c_fc", "mlp.fc2": "mlp.c_proj",
    }  # fmt: skip
    found = {}
    for name, tensor in state.items():
        if name == "text_projection.weight":
            found["text_projection"] = tensor.T.contiguous()
        elif part := re.fullmatch(r"text_model\.encoder\.layers\.(\d+)\.self_attn\.q_proj\.(weight|bias)", name):
            three = [state[name.replace("q_proj", f"{one}_proj")] for one in "qkv"]
            found[f"transformer.resblocks.{part[1]}.attn.in_proj_{part[2]}"] = torch.cat(three)
        elif not re.search(r"self_attn\.[kv]_proj", name):
            own = name.removeprefix("text_model.")
            for theirs, ours in names.items():
                own = own.replace(theirs, ours)
            found[own] = tensor
    return found


def original(pipe, kind):
    """All tensors of a pipeline under the names of the original code."""
    import torch

    xl = "text_encoder_2" in pipe.components
    config = pipe.unet.config
    found = {f"model.diffusion_model.{unet_name(n, config)}": t for n, t in pipe.unet.state_dict().items()}
    levels = len(pipe.vae.config.block_out_channels)
    for name, tensor in pipe.vae.state_dict().items():
        square = ".attentions." in name and name.endswith("weight") and tensor.ndim == 2
        found[f"first_stage_model.{vae_name(name, levels)}"] = tensor[:, :, None, None] if square else tensor
    if xl:
        second = openclip(pipe.text_encoder_2.state_dict(), torch)
        root = "conditioner.embedders.0.model" if kind == "sdxl-refiner" else "conditioner.embedders.1.model"
        found |= {f"{root}.{name}": tensor for name, tensor in second.items()}
        found[f"{root}.logit_scale"] = torch.tensor(4.6)
    if pipe.text_encoder is not None:
        state = pipe.text_encoder.state_dict()
        if kind.startswith("sd2"):  # which read it a layer before its end
            last = {
                name.replace("layers.1.", "layers.2."): torch.randn_like(tensor)
                for name, tensor in state.items()
                if "layers.1." in name
            }
            width = pipe.text_encoder.config.hidden_size
            whole = {**openclip({**state, **last}, torch), "text_projection": torch.randn(width, width)}
            found |= {f"cond_stage_model.model.{name}": tensor for name, tensor in whole.items()}
        else:
            root = "conditioner.embedders.0.transformer" if xl else "cond_stage_model.transformer"
            found |= {f"{root}.{name}": tensor for name, tensor in state.items()}
            found[f"{root}.text_model.embeddings.position_ids"] = torch.arange(77)[None]
    return found


def save_original(pipe, path, kind):
    """Write a pipeline as one file."""
    from safetensors.torch import save_file

    metadata = {"format": "pt"}
    metadata |= {"modelspec.prediction_type": "v"} if kind == "sd2-v" else {}
    metadata |= {"modelspec.architecture": "stable-diffusion-xl-turbo-v1"} if kind == "sdxl-turbo" else {}
    tensors = original(pipe, kind)
    save_file({name: tensor.detach().contiguous().clone() for name, tensor in tensors.items()}, path, metadata)
