"""A whole model in one file, .safetensors or GGUF."""

from pathlib import Path

from partway.checkpoints import configs, kinds, noise
from partway.checkpoints.configs import Config
from partway.checkpoints.headers import read_header
from partway.checkpoints.parts import Parts, Weights, apart
from partway.checkpoints.record import Checkpoint, Part
from partway.checkpoints.strangers import stranger
from partway.checkpoints.text_names import PROJECTION
from partway.errors import PackageError

_NAMES = {"vae": "VAE", "text_encoder": "text encoder", "text_encoder_2": "second text encoder", "unet": "UNet"}


def open_file(path: Path, *, vae: Path | None = None, prediction: str | None = None) -> Checkpoint:
    """Read what a file of a whole model says of itself; its weights stay where they are.

    vae: a file with a VAE in place of its own, whose text encoders a UNet alone takes too; prediction: "epsilon" or
    "v_prediction" where the file does not say. Raises `PackageError` naming what the file is instead, or what it lacks.
    """
    header = read_header(path)
    if other := stranger(header.weights, models=True):
        raise PackageError(f"{path} {other}")
    found = apart(header.weights)
    if vae:
        found = _with_others(found, vae)
    if "unet" not in found.networks:
        raise PackageError(f"{path} {_instead(header.weights, found)}")
    try:
        unet = configs.unet(found.networks["unet"])
        found = _placed(found, unet)
        kind = kinds.kind_of(found.networks["unet"], unet, configs.projected(found.networks.get("text_encoder_2", {})))
    except PackageError as error:
        raise PackageError(f"{path} {stranger(header.weights) or f'does not run: {error}'}") from error
    _check_whole(path, found, kind)
    told = noise.predicted(kind, found.networks["unet"], header)
    told = noise.Told(prediction, "as given") if prediction else told
    side = kinds.resolution(header.metadata) or (768 if kind.second and told.prediction != "epsilon" else kind.side)
    few = kinds.turbo(header.metadata, path.name) if kind.xl or kind.second else None
    parts, idle = _parts(found, {**unet, "sample_size": side // 8}, kind)
    return Checkpoint(
        path=path,
        title=f"{kind.title}{' Turbo' if few else ''}",
        reasons=(*kind.reasons, *([few] if few else []), f"predicts {told.prediction}: {told.why}"),
        index=kinds.index(kind),
        scheduler=noise.scheduler(kind, told, header, few=few is not None),
        parts=parts,
        idle=(*found.idle, *found.others, *idle),
    )


def open_vae(path: Path) -> Weights:
    """The weights of a VAE that is alone in its file, or part of a model; raises `PackageError` if there is none."""
    header = read_header(path)
    networks = apart(header.weights).networks
    if "vae" not in networks:
        raise PackageError(f"{path} {stranger(header.weights) or 'holds no VAE'}")
    return networks["vae"]


def _with_others(found: Parts, source: Path) -> Parts:
    """The networks with the VAE of another file, and its text encoders where there are none."""
    others = apart(read_header(source).weights)
    found = found.having("vae", open_vae(source))
    if any(name.startswith("text") for name in found.networks):
        return found
    text = {name: weights for name, weights in others.networks.items() if name.startswith("text")}
    return found._replace(networks={**text, **found.networks}, openclip=found.openclip | others.openclip)


def _placed(found: Parts, unet: Config) -> Parts:
    """The networks, with the only text encoder of SDXL's refiner as what it is, the second."""
    networks = found.networks
    if "addition_embed_type" not in unet or "text_encoder_2" in networks or "text_encoder" not in found.openclip:
        return found
    rest = {name: weights for name, weights in networks.items() if name != "text_encoder"}
    return found._replace(networks={**rest, "text_encoder_2": networks["text_encoder"]})


def _instead(weights: Weights, found: Parts) -> str:
    """What a file holds that has no UNet."""
    held = " and ".join(f"a {_NAMES[name]}" for name in found.networks)
    return stranger(weights) or (f"holds {held}, and no UNet" if held else "holds no network that partway knows")


def _check_whole(path: Path, found: Parts, kind: kinds.Kind) -> None:
    """Raise `PackageError` where a network is missing."""
    missing = [name for name in kind.text_encoders if name not in found.networks]
    if missing:
        names = " and ".join(_NAMES[name] for name in missing)
        whole = "take the whole model, or give one of its kind with: --vae FILE"
        raise PackageError(f"{path} is {kind.title} without its {names}; {whole}")
    if "vae" not in found.networks:
        raise PackageError(f"{path} is {kind.title} without a VAE; give one with: --vae FILE")


def _parts(found: Parts, unet: Config, kind: kinds.Kind) -> tuple[dict[str, Part], list[str]]:
    """The networks with their configurations, and names of tensors that they have no use for."""
    networks, idle = found.networks, []
    vae = {**configs.vae(networks["vae"]), "scaling_factor": kind.vae_scale}
    parts = {"unet": Part(networks["unet"], unet), "vae": Part(networks["vae"], vae)}
    for name in kind.text_encoders:
        projects = name == "text_encoder_2"
        gelu = projects or (not kind.xl and bool(unet["use_linear_projection"]))
        early = not kind.xl and name in found.openclip
        used = _read_until(networks[name], layers=configs.layers(networks[name]) - early, projects=projects)
        idle += [f"{name}.{tensor}" for tensor in networks[name].keys() - used.keys()]
        parts[name] = Part(used, configs.text_encoder(used, gelu=gelu))
    return parts, idle


def _read_until(weights: Weights, *, layers: int, projects: bool) -> Weights:
    """The weights of a text encoder's first layers: Stable Diffusion 2 reads OpenCLIP's last but one."""
    beyond = f"text_model.encoder.layers.{layers}."
    return {
        name: weight
        for name, weight in weights.items()
        if not name.startswith(beyond) and (projects or PROJECTION not in name)
    }
