"""Models to measure on: Stable Diffusion's shape with random weights, built from configs, nothing downloaded.

    python -m benchmarks.model --work DIR [--size sd15 | --source FOLDER] [--to onnx] [--weights fp32]

writes ``DIR/<size>`` (diffusers' layout, fp16 files) and ``DIR/<size>-<format>-<weights>`` (exported) unless they are
there. ``--source`` takes another diffusers folder instead of building one. Seconds and bytes do not depend on the
weights' values; the pictures are noise, but the same noise everywhere.
"""

import argparse
import gc
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from partway_export.families import W8A8, WEIGHTS

Config = dict[str, Any]

LENGTH = 77
TINY_VAE = "tiny_vae"
SEGMENTS = 8
_CROSS_DOWN, _CROSS_UP = "CrossAttnDownBlock2D", "CrossAttnUpBlock2D"
# What Stable Diffusion 1.5 and its tiny copy share, and where they differ: "tiny" is for tests of the harness.
_SHARED: dict[str, Config] = {
    "unet": {
        "down_block_types": (_CROSS_DOWN, _CROSS_DOWN, _CROSS_DOWN, "DownBlock2D"),
        "up_block_types": ("UpBlock2D", _CROSS_UP, _CROSS_UP, _CROSS_UP),
        "layers_per_block": 2,
        "attention_head_dim": 8,
    },
    "vae": {
        "down_block_types": ("DownEncoderBlock2D",) * 4,
        "up_block_types": ("UpDecoderBlock2D",) * 4,
        "layers_per_block": 2,
        "latent_channels": 4,
    },
    "text_encoder": {"max_position_embeddings": LENGTH, "hidden_act": "quick_gelu"},
}
_SIZES: dict[str, dict[str, Config]] = {
    "sd15": {
        "unet": {"sample_size": 64, "block_out_channels": (320, 640, 1280, 1280), "cross_attention_dim": 768},
        "vae": {"sample_size": 512, "block_out_channels": (128, 256, 512, 512)},
        "text_encoder": {
            "hidden_size": 768,
            "intermediate_size": 3072,
            "num_hidden_layers": 12,
            "num_attention_heads": 12,
            "vocab_size": 49408,
        },
    },
    "tiny": {
        "unet": {
            "sample_size": 8,
            "block_out_channels": (16, 16, 16, 16),
            "cross_attention_dim": 16,
            "layers_per_block": 1,
            "attention_head_dim": 2,
            "norm_num_groups": 8,
        },
        "vae": {"sample_size": 64, "block_out_channels": (8,) * 4, "layers_per_block": 1, "norm_num_groups": 4},
        "text_encoder": {
            "hidden_size": 16,
            "intermediate_size": 32,
            "num_hidden_layers": 1,
            "num_attention_heads": 2,
            "vocab_size": 600,
        },
    },
}
SIZES = tuple(_SIZES)
SCHEDULER = {
    "_class_name": "PNDMScheduler",
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "num_train_timesteps": 1000,
    "prediction_type": "epsilon",
    "set_alpha_to_one": False,
    "skip_prk_steps": True,
    "steps_offset": 1,
    "timestep_spacing": "leading",
}
INDEX = {
    "_class_name": "StableDiffusionPipeline",
    "_diffusers_version": "0.39.0",
    "text_encoder": ["transformers", "CLIPTextModel"],
    "tokenizer": ["transformers", "CLIPTokenizer"],
    "unet": ["diffusers", "UNet2DConditionModel"],
    "vae": ["diffusers", "AutoencoderKL"],
    "scheduler": ["diffusers", "PNDMScheduler"],
    "safety_checker": [None, None],
    "feature_extractor": [None, None],
    "image_encoder": [None, None],
    "requires_safety_checker": False,
}


def configs(size: str) -> dict[str, Config]:
    """The arguments of diffusers' UNet2DConditionModel and AutoencoderKL and of transformers' CLIPTextConfig."""
    made = {name: {**_SHARED[name], **config} for name, config in _SIZES[size].items()}
    text = made["text_encoder"]
    last = text["vocab_size"] - 1
    text |= {"bos_token_id": last - 1, "eos_token_id": last, "pad_token_id": last}
    text["projection_dim"] = text["hidden_size"]
    return made


def build(folder: Path, size: str, seed: int = 0) -> None:
    """Write the StableDiffusionPipeline; one network at a time is in memory, and fp16 halves the disk it takes."""
    import torch

    chosen = configs(size)
    makers: dict[str, Callable[[Config], Any]] = {"unet": _unet, "vae": _vae, "text_encoder": _text_encoder}
    for index, (name, make) in enumerate(makers.items()):
        torch.manual_seed(seed + index)
        with torch.no_grad():
            network = make(chosen[name])
            count = sum(parameter.numel() for parameter in network.parameters())
            print(f"{size} {name}: {count / 1e6:.1f} M parameters", file=sys.stderr, flush=True)
            network.half().save_pretrained(folder / name)
        del network
        gc.collect()
    _tiny_vae().half().save_pretrained(folder / TINY_VAE)
    _tokenizer(folder / "tokenizer", chosen["text_encoder"]["vocab_size"])
    _json(folder / "scheduler/scheduler_config.json", SCHEDULER)
    _json(folder / "model_index.json", INDEX)  # last: its presence says that the folder is complete


def _unet(config: Config) -> Any:
    import torch
    from diffusers import UNet2DConditionModel

    unet = UNet2DConditionModel(**config).eval()
    text = torch.randn(2, LENGTH, config["cross_attention_dim"])
    out = unet(torch.randn(2, 4, 16, 16), torch.tensor([200.0, 700.0]), text).sample
    _scale(unet.conv_out, slice(None), 1 / float(out.std()))  # noise of standard deviation 1, as a trained one predicts
    return unet


def _vae(config: Config) -> Any:
    import torch
    from diffusers import AutoencoderKL

    vae = AutoencoderKL(**config).eval()
    gain = 1 / float(vae.config.scaling_factor)
    moments = vae.encode(torch.rand(1, 3, 64, 64) * 2 - 1).latent_dist.parameters
    _scale(vae.quant_conv, slice(0, 4), gain / float(moments[:, :4].std()))  # latents of standard deviation 1
    out = vae.decode(torch.randn(1, 4, 8, 8) * gain).sample
    _scale(vae.decoder.conv_out, slice(None), 0.4 / float(out.std()))
    return vae


def _tiny_vae() -> Any:
    """TAESD's shape, which is the default."""
    from diffusers import AutoencoderTiny

    return AutoencoderTiny().eval()


def _text_encoder(config: Config) -> Any:
    from transformers import CLIPTextConfig, CLIPTextModel

    return CLIPTextModel(CLIPTextConfig(**config)).eval()


def _scale(layer: Any, rows: slice, factor: float) -> None:
    layer.weight[rows] *= factor
    layer.bias[rows] *= factor


def _tokenizer(folder: Path, size: int) -> None:
    """A CLIP tokenizer that knows single characters; the rest of its vocabulary is filled up."""
    visible = [*range(33, 127), *range(161, 173), *range(174, 256)]
    alphabet = [chr(byte) for byte in (*visible, *range(256, 256 + 256 - len(visible)))]
    pieces = [*alphabet, *(char + "</w>" for char in alphabet)]
    pieces += [f"<|unused{index}|>" for index in range(size - 2 - len(pieces))]
    pieces += ["<|startoftext|>", "<|endoftext|>"]
    special = dict.fromkeys(("unk_token", "pad_token", "eos_token"), "<|endoftext|>")
    special["bos_token"] = "<|startoftext|>"
    _json(folder / "vocab.json", {piece: index for index, piece in enumerate(pieces)})
    (folder / "merges.txt").write_text("#version: 0.2\n")
    _json(folder / "special_tokens_map.json", special)
    settings = {"model_max_length": LENGTH, "tokenizer_class": "CLIPTokenizer", "do_lower_case": True}
    _json(folder / "tokenizer_config.json", {**special, **settings})


def _json(path: Path, content: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=1, ensure_ascii=False), encoding="utf-8")


def _picture(work: Path) -> Path:
    """A folder with one picture to calibrate random weights on: ranges do not change the time, and many take hours."""
    from partway_rooms import room

    folder = work / "calibration"
    folder.mkdir(exist_ok=True)
    room(1000).picture.save(folder / "room.png")
    return folder


def source_path(work: Path, size: str, source: Path | None = None) -> Path:
    """The diffusers folder to measure."""
    return work / size if source is None else source


def package_path(work: Path, size: str, to: str, weights: str, source: Path | None = None) -> Path:
    """Where the exported package of that size (or source), format and kind of weights lies."""
    return work / f"{source_path(work, size, source).name}-{to}-{weights}"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.model", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--work", type=Path, required=True, help="folder for models, several GB at full size")
    parser.add_argument("--size", choices=SIZES, default="sd15")
    parser.add_argument("--source", type=Path, help="a diffusers folder to measure instead")
    parser.add_argument("--to", choices=("onnx", "openvino"), help="also export to it")
    parser.add_argument("--weights", choices=WEIGHTS, default="fp32")
    args = parser.parse_args()
    source = source_path(args.work, args.size, args.source)
    if args.source is None and not (source / "model_index.json").exists():
        build(source, args.size)
    package = args.to and package_path(args.work, args.size, args.to, args.weights, args.source)
    if package and not (package / "partway.json").exists():
        from partway_export import export

        tiny_vae = source / TINY_VAE
        export(
            source,
            package,
            split=True,
            tiny_vae=tiny_vae if tiny_vae.exists() else None,
            segments=SEGMENTS if args.to == "onnx" and args.weights != W8A8 else None,  # what cannot be cut
            to=args.to,
            weights=args.weights,
            calibration=_picture(args.work) if args.weights == W8A8 and args.source is None else None,
            goldens=False,
            say=lambda text: print(text, file=sys.stderr, flush=True),
        )


if __name__ == "__main__":
    main()
