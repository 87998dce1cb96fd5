"""What the configurations of a model's parts say; what its graphs say, where an exporter wrote no configurations.

Graphs tell channels and widths. The rest follows from the family: what all models of a kind have alike.
"""

from collections.abc import Mapping
from math import isfinite
from pathlib import Path
from typing import Any, NamedTuple

from partway.errors import PackageError, is_integer
from partway.model.files import read_json
from partway.model.ports import inputs

Config = Mapping[str, Any]

XL_SCALE, SCALE = 0.13025, 0.18215  # what SDXL's latents are multiplied by, and all others'
_LEVELS, _XL_LEVELS, _REFINER_LEVELS = [320, 640, 1280, 1280], [320, 640, 1280], [384, 768, 1536, 1536]
_VAE_LEVELS = [128, 256, 512, 512]
_MOST = 100_000  # channels and the like; of a sane model a few thousand


class Configs(NamedTuple):
    """What ``model_index.json`` and the configurations of its parts say."""

    pipeline: Config
    unet: Config
    vae: Config
    scheduler: Config


def read(root: Path, index: Config, networks: Mapping[str, Path]) -> Configs:
    """Those of an exported folder; raises `PackageError` for one that cannot be read."""
    scheduler = read_json(root / "scheduler/scheduler_config.json")
    unet = _stored(root, "unet") or _unet(networks["unet"], scheduler)
    vae = next(filter(None, (_stored(root, name) for name in ("vae_decoder", "vae", "vae_encoder"))), None)
    if "addition_embed_type" not in unet and "time_ids" in inputs(networks["unet"]):
        unet = {**unet, "addition_embed_type": "text_time"}
    return Configs(index, unet, vae or _vae(networks["vae_decoder"], unet), scheduler)


def _stored(root: Path, name: str) -> Config | None:
    path = root / name / "config.json"
    return read_json(path) if path.is_file() else None


def _unet(graph: Path, scheduler: Config) -> Config:
    """What the UNet's ``config.json`` would say."""
    ports = inputs(graph)
    _, channels, height, width = _shape(graph, "sample", 4)
    context = _shape(graph, "encoder_hidden_states", 3)[2]
    told = ports.get("time_ids", (None, None))[-1]
    levels = _LEVELS if "time_ids" not in ports else _REFINER_LEVELS if told == 5 else _XL_LEVELS
    large = 96 if scheduler.get("prediction_type") == "v_prediction" else 64  # Stable Diffusion 2, of 768 and 512
    side = 128 if "time_ids" in ports else large
    config: dict[str, Any] = {
        "in_channels": channels or 4,
        "sample_size": [height, width] if height and width else side,
        "block_out_channels": levels,
        "cross_attention_dim": context,
        "time_cond_proj_dim": ports["timestep_cond"][-1] if "timestep_cond" in ports else None,
    }
    return config | ({"addition_embed_type": "text_time"} if "time_ids" in ports else {})


def _vae(graph: Path, unet: Config) -> Config:
    """What the VAE's ``config.json`` would say."""
    port = next((shape for shape in inputs(graph).values() if len(shape) == 4), (None, None))
    scale = XL_SCALE if unet.get("addition_embed_type") == "text_time" else SCALE
    return {"latent_channels": port[1] or 4, "scaling_factor": scale, "block_out_channels": _VAE_LEVELS}


def _shape(graph: Path, name: str, axes: int) -> tuple[int | None, ...]:
    shape = inputs(graph).get(name, ())
    if len(shape) != axes:
        raise PackageError(f"{graph.parent}/config.json is missing, and {graph.name} has no input {name!r} to go by")
    return shape


def check(configs: Configs) -> None:
    """Raise ValueError for numbers that no model has."""
    for name, config in (("UNet", configs.unet), ("VAE", configs.vae)):
        levels = config.get("block_out_channels", [1])
        if not isinstance(levels, list | tuple) or not 1 <= len(levels) <= 8 or not all(_counts(one) for one in levels):
            raise ValueError(f"block_out_channels of its {name}: {levels}")
        for key in ("in_channels", "latent_channels", "time_cond_proj_dim"):
            if config.get(key) is not None and not _counts(config[key]):
                raise ValueError(f"{key} of its {name}: {config[key]}")
        for key in ("scaling_factor", "shift_factor"):
            if not isfinite(float(config.get(key) or 0)):
                raise ValueError(f"{key} of its {name}: {config[key]}")
    _check_heads(configs.unet)
    sample = configs.unet.get("sample_size") or 64
    sides = sample if isinstance(sample, list | tuple) else [sample] * 2
    if len(sides) != 2 or not all(is_integer(side, 1, 4096) for side in sides):
        raise ValueError(f"sample_size of its UNet: {sample}")


def _check_heads(unet: Config) -> None:
    levels = unet.get("block_out_channels", _LEVELS)
    for key in ("attention_head_dim", "num_attention_heads"):
        heads = unet.get(key)
        each = heads if isinstance(heads, list | tuple) else [heads] * len(levels)
        if len(each) != len(levels) or not all(one is None or _counts(one) for one in each):
            raise ValueError(f"{key} of its UNet: {heads}")
    kinds = unet.get("down_block_types", [])
    if not isinstance(kinds, list | tuple) or not all(isinstance(kind, str) for kind in kinds):
        raise ValueError(f"down_block_types of its UNet: {kinds}")


def _counts(value: object) -> bool:
    return is_integer(value, 1, _MOST)
