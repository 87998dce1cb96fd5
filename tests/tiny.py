"""Small random-weight Stable Diffusion folders built from configs: real classes, real layout, no download.

``build(folder, kind)`` writes what ``StableDiffusionPipeline.save_pretrained`` writes. Kinds:

- ``sd1``: SD 1.5 in small (8 heads everywhere, convolution projections, quick_gelu, epsilon, PNDM)
- ``sd2``: SD 2.x in small (heads per level, linear projections, gelu, pad token "!", epsilon)
- ``sd2-v``: the same with v-prediction
- ``sd1-inpaint``: sd1 with a UNet of nine channels
- ``sd1-instruct``: sd1 with a UNet of eight, InstructPix2Pix
- ``lcm``: sd1 distilled with guidance: its UNet takes the guidance scale, its scheduler is LCM's

Weights are scaled so that nothing is degenerate: the UNet's output has a standard deviation of about 1 and
follows prompt and timestep, latents have a standard deviation of about 1, decoded pictures have contrast.
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
    return {"sd1-inpaint": 9, "sd1-instruct": 8}.get(kind, 4)


def _unet(torch: Any, kind: str) -> Any:
    from diffusers import UNet2DConditionModel

    second = kind.startswith("sd2")
    unet = UNet2DConditionModel(
        sample_size=LATENT_SIZE,
        in_channels=_channels(kind),
        block_out_channels=(32, 64),
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
        layers_per_block=1,
        norm_num_groups=8,
        cross_attention_dim=DIM,
        attention_head_dim=[4, 8] if second else 8,  # a number of heads, in spite of the name
        use_linear_projection=second,
        time_cond_proj_dim=WIDTH if kind == "lcm" else None,
    ).eval()
    # Untrained attention averages over the tokens, and untrained time embeddings are faint: louder, so that
    # prompt and timestep matter as they do in a trained network.
    for name, parameter in unet.named_parameters():
        if name.endswith(("attn2.to_out.0.weight", "time_emb_proj.weight", "cond_proj.weight")):
            parameter.data *= 4
        elif name.endswith(("attn2.to_q.weight", "attn2.to_k.weight")):
            parameter.data *= 3
    out = unet(
        torch.randn(2, _channels(kind), 16, 16),
        torch.tensor([200.0, 700.0]),
        torch.randn(2, LENGTH, DIM),
        timestep_cond=torch.randn(2, WIDTH) if kind == "lcm" else None,
    ).sample
    _scale(unet.conv_out, slice(None), 1 / float(out.std()))
    return unet


def _vae(torch: Any) -> Any:
    from diffusers import AutoencoderKL

    vae = AutoencoderKL(
        sample_size=8 * LATENT_SIZE,
        block_out_channels=(8, 16, 16, 16),
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        layers_per_block=1,
        norm_num_groups=4,
        latent_channels=4,
    ).eval()
    gain = 1 / vae.config.scaling_factor
    moments = vae.encode(torch.rand(2, 3, 64, 64) * 2 - 1).latent_dist.parameters
    _scale(vae.quant_conv, slice(0, 4), gain / float(moments[:, :4].std()))
    _scale(vae.quant_conv, slice(4, 8), 0.2 / float(moments[:, 4:].std()))
    vae.quant_conv.bias.data[4:] += math.log(0.05 * gain**2)  # posterior variance 0.05 in scaled latents
    out = vae.decode(torch.randn(2, 4, 8, 8) * gain).sample
    _scale(vae.decoder.conv_out, slice(None), 0.4 / float(out.std()))
    return vae


def _text_encoder(torch: Any, kind: str, vocabulary: int, pad: int) -> Any:
    from transformers import CLIPTextConfig, CLIPTextModel

    config = CLIPTextConfig(
        vocab_size=vocabulary,
        hidden_size=DIM,
        intermediate_size=2 * DIM,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=LENGTH,
        projection_dim=DIM,
        hidden_act="gelu" if kind.startswith("sd2") else "quick_gelu",
        bos_token_id=vocabulary - 2,
        eos_token_id=vocabulary - 1,
        pad_token_id=pad,
    )
    encoder = CLIPTextModel(config).eval()
    # Words, not positions, decide the embedding.
    encoder.text_model.embeddings.token_embedding.weight.data *= 10
    return encoder


def _scheduler(diffusers: Any, kind: str) -> Any:
    betas = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}
    if kind == "lcm":
        return diffusers.LCMScheduler(**betas, set_alpha_to_one=True)
    return diffusers.PNDMScheduler(
        **betas,
        skip_prk_steps=True,
        set_alpha_to_one=False,
        steps_offset=1,
        prediction_type="v_prediction" if kind == "sd2-v" else "epsilon",
    )


CLASSES = {
    "sd1": "StableDiffusionPipeline",
    "sd1-inpaint": "StableDiffusionInpaintPipeline",
    "sd1-instruct": "StableDiffusionInstructPix2PixPipeline",
    "sd2": "StableDiffusionPipeline",
    "sd2-v": "StableDiffusionPipeline",
    "lcm": "LatentConsistencyModelPipeline",
}


def build(folder: str | Path, kind: str = "sd1", seed: int = 0) -> Path:
    """Write the diffusers pipeline of ``kind`` with random weights into ``folder``; return the folder.

    The same ``kind`` and ``seed`` give the same weights. Raises ValueError for an unknown kind.
    """
    if kind not in CLASSES:
        raise ValueError(f"unknown kind {kind!r}; choose one of: {', '.join(CLASSES)}")
    import diffusers
    import torch
    from transformers import CLIPTokenizer

    folder = Path(folder)
    pad_token = "!" if kind.startswith("sd2") else "<|endoftext|>"
    vocabulary = write_tokenizer(folder / "tokenizer", pad_token)
    tokenizer = CLIPTokenizer.from_pretrained(folder / "tokenizer")
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(seed)
        pipe = getattr(diffusers, CLASSES[kind])(
            unet=_unet(torch, kind),
            vae=_vae(torch),
            text_encoder=_text_encoder(torch, kind, vocabulary, tokenizer.pad_token_id),
            tokenizer=tokenizer,
            scheduler=_scheduler(diffusers, kind),
            safety_checker=None,
            feature_extractor=None,
            requires_safety_checker=False,
        )
    pipe.save_pretrained(folder)
    return folder
