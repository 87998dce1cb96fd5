"""Small random-weight Stable Diffusion folders built from configs: real classes, real layout, no download.

``build(folder, kind)`` writes what the ``save_pretrained`` of diffusers' pipelines writes. Kinds:

- ``sd1``: SD 1.5 in small (8 heads everywhere, convolution projections, quick_gelu, epsilon, PNDM)
- ``sd1-inpaint``: the same with a UNet of nine channels
- ``sd1-instruct``: the same with a UNet of eight, InstructPix2Pix
- ``lcm``: the same distilled with guidance: its UNet takes the guidance scale, its scheduler is LCM's
- ``sd2``: SD 2.x in small (heads per level, linear projections, gelu, pad token "!", epsilon)
- ``sd2-v``: the same with v-prediction
- ``sdxl``: SDXL's base in small (two text encoders, sizes told to the UNet, no attention at the first level)
- ``sdxl-inpaint``: the same with a UNet of nine channels
- ``sdxl-turbo``: the same as it is distilled to few steps (trailing timesteps, Euler with fresh noise)
- ``sdxl-refiner``: the second text encoder alone, and an aesthetic score for the target size
- ``ssd-1b``: SDXL with layers cut out (nested lists of transformer layers, no attention in the middle)
- ``vega``: SDXL with more cut out (no middle at all)

Weights are scaled so that nothing is degenerate: the UNet's output has a standard deviation of about 1 and
follows prompt and timestep, latents have a standard deviation of about 1 (SDXL's 0.7), decoded pictures have contrast.
"""

import json
import math
from pathlib import Path
from typing import Any

PHRASES = (
    "a photo of the cozy scandinavian living room interior with warm light",
    "watercolour pencil bright dark wooden sofa chair table lamp window plant",
    "cat and dog sitting on sand at sea in sunset",
)
DIM = 32  # width of the text embeddings
DIM_2 = 40  # of SDXL's second encoder
LENGTH = 77
WIDTH = 16  # of the embedding of the guidance scale
LATENT_SIZE = 32  # pictures are 256 x 256 by default


def byte_alphabet() -> list[str]:
    """Return the 256 characters that stand for the bytes in CLIP's vocabulary, in CLIP's order."""
    visible = [*range(33, 127), *range(161, 173), *range(174, 256)]
    hidden = [byte for byte in range(256) if byte not in visible]
    return [chr(byte) for byte in visible] + [chr(256 + index) for index in range(len(hidden))]


def write_tokenizer(folder: Path, pad_token: str) -> int:
    """Write a CLIP tokenizer (vocab.json, merges.txt, two configs); return the size of its vocabulary."""
    folder.mkdir(parents=True)
    merges: list[tuple[str, str]] = []
    for word in " ".join(PHRASES).split():
        left, *rest = [*word[:-1], word[-1] + "</w>"]
        for right in rest:
            if (left, right) not in merges:
                merges.append((left, right))
            left += right
    alphabet = byte_alphabet()
    pieces = [*alphabet, *(char + "</w>" for char in alphabet), *(left + right for left, right in merges)]
    pieces = [*dict.fromkeys(pieces), "<|startoftext|>", "<|endoftext|>"]
    special = {
        "bos_token": "<|startoftext|>",
        "eos_token": "<|endoftext|>",
        "unk_token": "<|endoftext|>",
        "pad_token": pad_token,
    }
    vocab = {piece: index for index, piece in enumerate(pieces)}
    (folder / "vocab.json").write_text(json.dumps(vocab, ensure_ascii=False), encoding="utf-8")
    lines = ["#version: 0.2", *(f"{left} {right}" for left, right in merges)]
    (folder / "merges.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (folder / "special_tokens_map.json").write_text(json.dumps(special))
    config = {**special, "model_max_length": LENGTH, "tokenizer_class": "CLIPTokenizer"}
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    return len(vocab)


def _scale(layer: Any, rows: slice, factor: float) -> None:
    layer.weight.data[rows] *= factor
    layer.bias.data[rows] *= factor


def _channels(kind: str) -> int:
    return 9 if kind.endswith("inpaint") else 8 if kind.endswith("instruct") else 4


_SD1 = {
    "block_out_channels": (32, 64),
    "down_block_types": ("CrossAttnDownBlock2D", "DownBlock2D"),
    "up_block_types": ("UpBlock2D", "CrossAttnUpBlock2D"),
    "layers_per_block": 1,
    "cross_attention_dim": DIM,
    "attention_head_dim": 8,  # a number of heads, in spite of the name
}
_SD2 = {**_SD1, "attention_head_dim": [4, 8], "use_linear_projection": True}
_SDXL = {
    "block_out_channels": (16, 32, 32),
    "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
    "up_block_types": ("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
    "layers_per_block": 1,
    "transformer_layers_per_block": (1, 1, 2),
    "cross_attention_dim": DIM + DIM_2,  # both encoders side by side
    "attention_head_dim": [2, 4, 4],
    "use_linear_projection": True,
    "addition_embed_type": "text_time",
    "addition_time_embed_dim": 8,
    "projection_class_embeddings_input_dim": 6 * 8 + DIM_2,
}
_UNETS: dict[str, dict[str, Any]] = {
    "sd1": _SD1,
    "sd1-inpaint": _SD1,
    "sd1-instruct": _SD1,
    "lcm": {**_SD1, "time_cond_proj_dim": WIDTH},
    "sd2": _SD2,
    "sd2-v": _SD2,
    "sdxl": _SDXL,
    "sdxl-inpaint": _SDXL,
    "sdxl-turbo": _SDXL,
    "sdxl-refiner": {
        **_SDXL,
        "block_out_channels": (16, 32, 32, 32),
        "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"),
        "up_block_types": ("UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        "transformer_layers_per_block": 2,
        "cross_attention_dim": DIM_2,
        "attention_head_dim": [2, 4, 4, 4],
        "projection_class_embeddings_input_dim": 5 * 8 + DIM_2,
    },
    "ssd-1b": {
        **_SDXL,
        "layers_per_block": 2,
        "transformer_layers_per_block": [0, [1, 2], [2, 1]],
        "reverse_transformer_layers_per_block": [[2, 1, 3], [2, 1, 1], 1],
        "mid_block_type": "UNetMidBlock2D",
    },
    "vega": {
        **_SDXL,
        "transformer_layers_per_block": [1, 1, [2]],
        "reverse_transformer_layers_per_block": [[1, 2], [1, 1], 1],
        "mid_block_type": None,
    },
}
KINDS = tuple(_UNETS)
SEED = 0  # of each network, so that kinds which have the same share it
LOUDER = ("attn2.to_out.0.weight", "time_emb_proj.weight", "cond_proj.weight", "add_embedding.linear_2.weight")


def _unet(torch: Any, kind: str) -> Any:
    from diffusers import UNet2DConditionModel

    config = {"sample_size": LATENT_SIZE, "in_channels": _channels(kind), "norm_num_groups": 8, **_UNETS[kind]}
    torch.manual_seed(SEED)
    unet = UNet2DConditionModel(**config).eval()
    # Untrained attention averages over the tokens, and untrained time embeddings are faint: louder, so that
    # prompt, timestep and sizes matter as they do in a trained network.
    for name, parameter in unet.named_parameters():
        if name.endswith(LOUDER):
            parameter.data *= 4
        elif name.endswith(("attn2.to_q.weight", "attn2.to_k.weight")):
            parameter.data *= 3
    told = {"timestep_cond": torch.randn(2, WIDTH) if "time_cond_proj_dim" in config else None}
    if "addition_embed_type" in config:
        ids = (config["projection_class_embeddings_input_dim"] - DIM_2) // config["addition_time_embed_dim"]
        sizes = torch.tensor([[256.0, 256, 0, 0, 256, 256][:ids]] * 2)
        told |= {"added_cond_kwargs": {"text_embeds": torch.randn(2, DIM_2), "time_ids": sizes}}
    text = torch.randn(2, LENGTH, config["cross_attention_dim"])
    out = unet(torch.randn(2, _channels(kind), 16, 16), torch.tensor([200.0, 700.0]), text, **told).sample
    _scale(unet.conv_out, slice(None), 1 / float(out.std()))
    return unet


def _vae(torch: Any, kind: str) -> Any:
    from diffusers import AutoencoderKL

    torch.manual_seed(SEED)
    vae = AutoencoderKL(
        sample_size=8 * LATENT_SIZE,
        block_out_channels=(8, 16, 16, 16),
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        layers_per_block=1,
        norm_num_groups=4,
        latent_channels=4,
        scaling_factor=0.18215 if kind.startswith(("sd1", "sd2")) else 0.13025,
    ).eval()
    gain = 1 / 0.18215  # for all kinds, so that they share the graphs
    moments = vae.encode(torch.rand(2, 3, 64, 64) * 2 - 1).latent_dist.parameters
    _scale(vae.quant_conv, slice(0, 4), gain / float(moments[:, :4].std()))
    _scale(vae.quant_conv, slice(4, 8), 0.2 / float(moments[:, 4:].std()))
    vae.quant_conv.bias.data[4:] += math.log(0.05 * gain**2)  # posterior variance 0.05 in scaled latents
    out = vae.decode(torch.randn(2, 4, 8, 8) * gain).sample
    _scale(vae.decoder.conv_out, slice(None), 0.4 / float(out.std()))
    return vae


def _text_encoder(torch: Any, cls: str, act: str, width: int, vocabulary: int, pad: int) -> Any:
    import transformers

    config = transformers.CLIPTextConfig(
        vocab_size=vocabulary,
        hidden_size=width,
        intermediate_size=2 * width,
        num_hidden_layers=2 if cls == "CLIPTextModel" else 3,
        num_attention_heads=4,
        max_position_embeddings=LENGTH,
        projection_dim=width,
        hidden_act=act,
        bos_token_id=vocabulary - 2,
        eos_token_id=vocabulary - 1,
        pad_token_id=pad,
    )
    torch.manual_seed(SEED)
    encoder = getattr(transformers, cls)(config).eval()
    # Words, not positions, decide the embedding.
    encoder.text_model.embeddings.token_embedding.weight.data *= 10
    return encoder


_SCHEDULER = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear", "steps_offset": 1}


def build(folder: str | Path, kind: str = "sd1") -> Path:
    """Write a pipeline of ``kind`` with random weights into ``folder``; return the folder.

    The same ``kind`` gives the same weights. Raises ValueError for an unknown kind.
    """
    if kind not in KINDS:
        raise ValueError(f"unknown kind {kind!r}; choose one of: {', '.join(KINDS)}")
    import torch

    folder = Path(folder)
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        pipe = (_first_or_second if kind.startswith(("sd1", "sd2", "lcm")) else _xl)(torch, folder, kind)
    pipe.save_pretrained(folder)
    return folder


_CLASSES = {
    "sd1-inpaint": "StableDiffusionInpaintPipeline",
    "sd1-instruct": "StableDiffusionInstructPix2PixPipeline",
    "lcm": "LatentConsistencyModelPipeline",
}


def _first_or_second(torch: Any, folder: Path, kind: str) -> Any:
    import diffusers

    second = kind.startswith("sd2")
    tokenizer = _tokenizer(folder / "tokenizer", "!" if second else "<|endoftext|>")
    betas = {key: value for key, value in _SCHEDULER.items() if key != "steps_offset"}
    scheduler = (
        diffusers.LCMScheduler(**betas, set_alpha_to_one=True)
        if kind == "lcm"
        else diffusers.PNDMScheduler(
            **_SCHEDULER,
            skip_prk_steps=True,
            set_alpha_to_one=False,
            prediction_type="v_prediction" if kind == "sd2-v" else "epsilon",
        )
    )
    return getattr(diffusers, _CLASSES.get(kind, "StableDiffusionPipeline"))(
        unet=_unet(torch, kind),
        vae=_vae(torch, kind),
        text_encoder=_text_encoder(
            torch, "CLIPTextModel", "gelu" if second else "quick_gelu", DIM, len(tokenizer), tokenizer.pad_token_id
        ),
        tokenizer=tokenizer,
        scheduler=scheduler,
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )


def _xl(torch: Any, folder: Path, kind: str) -> Any:
    import diffusers

    refiner, turbo = kind == "sdxl-refiner", kind == "sdxl-turbo"
    tokenizer = None if refiner else _tokenizer(folder / "tokenizer", "<|endoftext|>")
    second = _tokenizer(folder / "tokenizer_2", "!")
    words, pad = len(second), second.pad_token_id
    task = "Img2Img" if refiner else "Inpaint" if kind.endswith("inpaint") else ""
    more = {"requires_aesthetics_score": refiner} if task else {}
    scheduler = (
        diffusers.EulerAncestralDiscreteScheduler(**_SCHEDULER, timestep_spacing="trailing")
        if turbo
        else diffusers.EulerDiscreteScheduler(**_SCHEDULER, timestep_spacing="leading")
    )
    return getattr(diffusers, f"StableDiffusionXL{task}Pipeline")(
        unet=_unet(torch, kind),
        vae=_vae(torch, kind),
        text_encoder=None if refiner else _text_encoder(torch, "CLIPTextModel", "quick_gelu", DIM, words, words - 1),
        text_encoder_2=_text_encoder(torch, "CLIPTextModelWithProjection", "gelu", DIM_2, words, pad),
        tokenizer=tokenizer,
        tokenizer_2=second,
        scheduler=scheduler,
        force_zeros_for_empty_prompt=not refiner,
        add_watermarker=False,
        **more,
    )


def _tokenizer(folder: Path, pad_token: str) -> Any:
    from transformers import CLIPTokenizer

    write_tokenizer(folder, pad_token)
    return CLIPTokenizer.from_pretrained(folder)
