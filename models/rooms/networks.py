"""The networks, in diffusers' and transformers' own classes and Stable Diffusion's shape."""

from typing import Any

import torch
from diffusers import AutoencoderKL, AutoencoderTiny, UNet2DConditionModel
from transformers import CLIPTextConfig, CLIPTextModel

SIZE = 256
LATENT = SIZE // 8
TEXT_WIDTH = 192
TOKENS = 48  # captions take 35 at most


def make_vae() -> Any:
    """Autoencoder: 8x down, 4 latent channels, 4.2 M parameters."""
    channels = (16, 32, 96, 160)
    return AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 4, up_block_types=("UpDecoderBlock2D",) * 4,
        block_out_channels=channels, layers_per_block=1, latent_channels=4, norm_num_groups=8, sample_size=SIZE,
        mid_block_add_attention=False,  # it is trained on crops, where attention would see another number of places
    ).to(memory_format=torch.channels_last)  # fmt: skip


def make_tiny_vae() -> Any:
    """Autoencoder without posterior, for scaled latents: 0.4 M parameters, a fifth of the other's multiplications.

    Its class has one width for all levels, so depth goes where pictures are small: the level of whole pictures has no
    block at all.
    """
    return AutoencoderTiny(
        encoder_block_out_channels=(32,) * 4, num_encoder_blocks=(0, 0, 2, 3),
        decoder_block_out_channels=(32,) * 4, num_decoder_blocks=(3, 2, 1, 0),
    ).to(memory_format=torch.channels_last)  # fmt: skip


def make_text_encoder(vocabulary: int) -> Any:
    """CLIP's text model with three layers of width 192; the last two tokens of the vocabulary begin and end a text."""
    return CLIPTextModel(
        CLIPTextConfig(
            vocab_size=vocabulary, hidden_size=TEXT_WIDTH, intermediate_size=4 * TEXT_WIDTH, num_hidden_layers=3,
            num_attention_heads=4, max_position_embeddings=TOKENS, projection_dim=TEXT_WIDTH, hidden_act="quick_gelu",
            bos_token_id=vocabulary - 2, eos_token_id=vocabulary - 1, pad_token_id=vocabulary - 1,
        )
    )  # fmt: skip


def make_unet() -> Any:
    """UNet of 64, 128 and 192 channels, 11 M parameters, one layer a block, cross-attention on the two lower levels."""
    return UNet2DConditionModel(
        sample_size=LATENT, in_channels=4, out_channels=4, block_out_channels=(64, 128, 192), layers_per_block=1,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        cross_attention_dim=TEXT_WIDTH, attention_head_dim=4, norm_num_groups=16,
    ).to(memory_format=torch.channels_last)  # fmt: skip
