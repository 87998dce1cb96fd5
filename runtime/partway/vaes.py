"""The networks that lead from pictures to latents and back: the model's own VAE, or a tiny autoencoder in its place.

The tiny one (TAESD's kind) is many times faster and a little less exact; its latents are scaled ones.
"""

TINY_ENCODER, TINY_DECODER = "tiny_encoder", "tiny_decoder"

VAES = {"own": ("vae_encoder", "vae_decoder"), "tiny": (TINY_ENCODER, TINY_DECODER)}
"""Encoder and decoder of each."""
