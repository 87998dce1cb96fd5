"""A model folder as one typed record.

The layout is the one that optimum's exports have: ``model_index.json`` beside ``unet/``, ``vae_encoder/``,
``vae_decoder/``, ``text_encoder/``, ``tokenizer/`` and ``scheduler/``, with ``model.onnx`` or ``openvino_model.xml``
inside. SDXL adds ``text_encoder_2/`` and ``tokenizer_2/``; its refiner has only those. This project's own export adds
``partway.json``, which is optional. A package that has files in common with another one beside it may leave them out
and name the other's folder there, as ``shares``.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

from partway.checkpoints.folder import is_folder
from partway.checkpoints.opening import is_file, open_checkpoint
from partway.checkpoints.record import TINY, Checkpoint
from partway.diffusion.levels import Trained
from partway.engines.weights import Networks
from partway.errors import InputError, PackageError, choose
from partway.graphs import BUILT, FILES, MAX_SEGMENTS, NETWORKS, SEGMENT, SHALLOW, SHALLOW_FILES, TOKENIZERS, VAES
from partway.model import scheduler_config, sizes
from partway.settings import Settings

_XL = ("StableDiffusionXLPipeline", "StableDiffusionXLImg2Img", "StableDiffusionXLInpaint")
_FAMILIES = (
    "StableDiffusionPipeline",
    "StableDiffusionImg2Img",
    "StableDiffusionInpaint",
    "StableDiffusionInstructPix2Pix",
    "LatentConsistencyModel",
    *_XL,
)
_PREDICTED = ("epsilon", "v_prediction")  # what a file may have to be told


@dataclass(frozen=True, eq=False)
class Package:
    """Everything a run needs to know about a model.

    root            its folder, or its file
    format          a key of `FORMATS`
    networks        the file or the graph of each network: of those in `NETWORKS` that the model has, and of the shallow
                    UNet, its segments and a tiny VAE where the package has them
    family          diffusers' pipeline class, from ``model_index.json``
    prediction      a key of `partway.diffusion.predictions.PREDICTIONS`
    trained         the noise levels the model was trained on
    sampler, schedule  the defaults that its ``scheduler_config.json`` gives, which make diffusers' picture
    grid            the default schedule for a sampler that the user chose
    inpaints        whether the UNet also takes a mask and the masked picture's latents (9 channels instead of 4)
    guidance        a row of `partway.model.conditions.GUIDED`: "instruction" if the UNet also takes the picture's
                    latents (8 channels instead of 4), "embedded" if it takes the guidance scale, else "pair"
    guidance_width  the width of the input that takes the guidance scale, 0 without one
    size_conditions  the settings that are conditions of the UNet, in its order (`partway.model.sizes`)
    zeros_for_empty  whether zeros stand for the embeddings of an empty negative prompt
    latent_channels, latent_scale, latent_shift  of the VAE: latents are (z - shift) * scale
    vae_scale_factor  pixels of a latent, in each direction
    multiple        runs pad pictures to a multiple of this many pixels
    size            (width, height) in pixels that the model was trained for
    manifest        contents of partway.json, or empty
    defaults        settings by name that suit the model, for those that the user leaves out (`partway.model.catalog`)
    checkpoint      what is known of a model that is not exported
    """

    root: Path
    format: str
    networks: Networks
    family: str
    prediction: str
    trained: Trained
    sampler: str
    schedule: str
    grid: str
    inpaints: bool
    guidance: str
    guidance_width: int
    size_conditions: tuple[str, ...]
    zeros_for_empty: bool
    latent_channels: int
    latent_scale: float
    latent_shift: float
    vae_scale_factor: int
    multiple: int
    size: tuple[int, int]
    manifest: Mapping[str, Any]
    defaults: Mapping[str, Any] = field(default_factory=dict)
    checkpoint: Checkpoint | None = None

    def settings(self, chosen: Mapping[str, object]) -> Settings:
        """The settings of a run: those that the user chose, else those of the model, else those of `Settings`."""
        combined: dict[str, Any] = {**self.defaults, **chosen}
        return Settings(**combined)

    def unprompted(self, settings: Settings) -> bool:
        """Whether zeros replace the embeddings of the negative prompt."""
        return self.zeros_for_empty and not settings.negative_prompt

    def path(self, name: str) -> Path:
        """Where a file of the package lies, by its name in the manifest: in its own folder or in the shared one."""
        return _path(self.root, self.manifest, name)

    def config(self, network: str) -> Mapping[str, Any]:
        """The ``config.json`` of a network, or what it would say; empty if there is none."""
        if self.checkpoint is not None:
            part = self.checkpoint.parts.get("vae" if network.startswith("vae") else network)
            return {} if part is None else part.config
        path = self.root / network / "config.json"
        return _json(path) if path.is_file() else {}

    @property
    def segments(self) -> tuple[str, ...]:
        """The networks that the UNet is cut into, in the order of their calls; empty where it is not cut."""
        return tuple(name for name in self.networks if name.startswith("unet_segment_"))

    @property
    def text_encoders(self) -> tuple[str, ...]:
        """The networks that read the prompt, in the order in which the UNet takes their outputs."""
        return tuple(name for name in TOKENIZERS if name in self.networks)

    def latent_shape(self, width: int, height: int) -> tuple[int, int, int, int]:
        """Shape (1, C, h, w) of the latents of a picture of this size in pixels, padded to `multiple`."""
        h, w = (-(-side // self.multiple) * self.multiple // self.vae_scale_factor for side in (height, width))
        return (1, self.latent_channels, h, w)


def open_package(
    path: str | Path,
    *,
    vae: str | Path | None = None,
    tiny_vae: str | Path | None = None,
    prediction: str | None = None,
) -> Package:
    """Read a model's description; it locates networks and loads none.

    The path is that of an exported folder, of one that diffusers saved, or of a model's .safetensors file. Of the
    latter two ``vae`` is a file whose VAE takes the place of their own, or whose tiny autoencoder runs take by default
    (``tiny_vae`` may also be a folder), and ``prediction`` what a file predicts that does not say so. Raises
    `PackageError` naming the missing or unusable file and what to do.
    """
    path = Path(path)
    if prediction is not None:
        choose("prediction", prediction, _PREDICTED)
    stored = is_file(path) or (is_folder(path) and not _exported(path))
    if not stored and (vae, tiny_vae, prediction) != (None, None, None):
        raise InputError(f"{path} is exported, with a VAE and a prediction of its own; leave vae and prediction out")
    try:
        if stored:
            own, tiny = (None if one is None else Path(one) for one in (vae, tiny_vae))
            return _unexported(open_checkpoint(path, vae=own, tiny_vae=tiny, prediction=prediction))
        return _read(path)
    except (TypeError, ValueError, OverflowError) as error:
        raise PackageError(f"{path} has a setting that cannot be ({error}); export or download it again") from error


class _Configs(NamedTuple):
    """What ``model_index.json`` and the configurations of its parts say."""

    pipeline: Mapping[str, Any]
    unet: Mapping[str, Any]
    vae: Mapping[str, Any]
    scheduler: Mapping[str, Any]


def _unexported(checkpoint: Checkpoint) -> Package:
    """The model of a checkpoint, whose networks are built."""
    from partway.building.networks import networks  # only where there is something to build

    parts = checkpoint.parts
    configs = _Configs(checkpoint.index, parts["unet"].config, parts["vae"].config, checkpoint.scheduler)
    package = _described(checkpoint.path, configs)
    built = networks(checkpoint)
    size = package.vae_scale_factor  # the UNet is built to take latents of any size
    defaults = {"vae": "tiny"} if TINY in parts else {}  # who gives one wants it
    return replace(package, format=BUILT, networks=built, multiple=size, defaults=defaults, checkpoint=checkpoint)


def _exported(root: Path) -> bool:
    return any((root / "unet" / name).exists() for name in FILES.values())


def _read(root: Path) -> Package:
    if not root.is_dir():
        raise PackageError(f"there is no model folder {str(root)!r}; export one with: partway export SOURCE {root}")
    index = _json(root / "model_index.json")
    _check_runs(root, index)
    manifest = _manifest(root / "partway.json")
    xl = _plain(str(index["_class_name"])).startswith(_XL)
    format_, networks = _networks(root, _needed(index, xl=xl), manifest)
    scheduler = _json(root / "scheduler/scheduler_config.json")
    configs = _Configs(index, _json(root / "unet/config.json"), _vae_config(root), scheduler)
    return replace(_described(root, configs), format=format_, networks=networks, manifest=manifest)


def _check_runs(root: Path, index: Mapping[str, Any]) -> None:
    family = str(index.get("_class_name", "unknown"))
    if not runs(family):
        raise PackageError(f"{root} holds a {family}; partway runs Stable Diffusion 1.x, 2.x and XL pipelines")


def _described(root: Path, configs: _Configs) -> Package:
    """What configurations say of a model, whose networks are not known yet."""
    index, unet, vae, scheduler = configs
    _check_runs(root, index)
    family = str(index["_class_name"])
    channels = int(vae.get("latent_channels", 4))
    in_channels = int(unet.get("in_channels", channels))
    instructed, width = in_channels == 2 * channels, int(unet.get("time_cond_proj_dim") or 0)
    if in_channels not in (channels, 2 * channels, 2 * channels + 1):
        raise PackageError(
            f"{root} has a UNet of {in_channels} input channels, a kind of editing model that partway does not run; "
            f"it runs those of {channels}, of {2 * channels} for instructions, and of {2 * channels + 1} for inpainting"
        )
    if vae.get("latents_mean") is not None:
        raise PackageError(f"{root} has latents with a mean and spread of their own, which partway does not run")
    vae_scale_factor = 2 ** (len(vae.get("block_out_channels", [0] * 4)) - 1)
    sample = unet.get("sample_size") or 64  # height and width, where they are two
    height, width_ = (int(side) * vae_scale_factor for side in (sample if isinstance(sample, list) else [sample] * 2))
    return Package(
        root=root,
        format="",
        networks={},
        family=family,
        **_scheduler(root, scheduler, index)._asdict(),
        inpaints=in_channels == 2 * channels + 1,
        guidance="instruction" if instructed else "embedded" if width else "pair",
        guidance_width=width,
        size_conditions=_size_conditions(index, unet),
        zeros_for_empty=bool(index.get("force_zeros_for_empty_prompt", _plain(family).startswith(_XL))),
        latent_channels=channels,
        latent_scale=float(vae.get("scaling_factor") or 0.18215),
        latent_shift=float(vae.get("shift_factor") or 0.0),
        vae_scale_factor=vae_scale_factor,
        multiple=vae_scale_factor * 2 ** (len(unet.get("block_out_channels", [0] * 4)) - 1),
        size=(width_, height),
        manifest={},
    )


def runs(family: str) -> bool:
    """Whether partway runs the models of a pipeline class, be it diffusers', optimum's for ONNX, or for OpenVINO."""
    return _plain(family).startswith(_FAMILIES)


def _plain(family: str) -> str:
    """diffusers' name of a pipeline class."""
    return family.removeprefix("ORT").removeprefix("OV")


def _needed(index: Mapping[str, Any], *, xl: bool) -> list[str]:
    """The networks that a model has: SDXL has two text encoders, but the index of its refiner lists no first one."""
    absent = [name for name in TOKENIZERS if index.get(name) == [None, None]] if xl else ["text_encoder_2"]
    return [name for name in NETWORKS if name not in absent]


def _size_conditions(index: Mapping[str, Any], unet: Mapping[str, Any]) -> tuple[str, ...]:
    if unet.get("addition_embed_type") != "text_time":
        return ()
    return sizes.REFINER if index.get("requires_aesthetics_score") else sizes.BASE


def _networks(root: Path, needed: Sequence[str], manifest: Mapping[str, Any]) -> tuple[str, dict[str, Path]]:
    """The folder's format and the file of each network."""
    for format_, name in FILES.items():
        files = {network: _path(root, manifest, f"{network}/{name}") for network in needed}
        present = [network for network, file in files.items() if file.is_file()]
        if not present:
            continue
        for file in files.values():
            parts = [file, file.with_suffix(".bin")] if format_ == "openvino" else [file]
            for part in parts:
                if not part.is_file() or part.stat().st_size == 0:
                    raise PackageError(f"{part} is missing or empty; export or download the model again")
        further = {SHALLOW: root / "unet" / SHALLOW_FILES[format_]}
        further |= {f"unet_segment_{index}": root / "unet" / SEGMENT.format(index) for index in range(MAX_SEGMENTS)}
        further |= {network: root / network / name for network in VAES["tiny"]}
        return format_, files | {network: file for network, file in further.items() if file.is_file()}
    raise PackageError(f"{root} holds no exported networks; export it with: partway export {root} OUT")


def _path(root: Path, manifest: Mapping[str, Any], name: str) -> Path:
    own, other = root / name, manifest.get("shares")
    return own if other is None or own.exists() else root.resolve().parent / other / name


def _vae_config(root: Path) -> Mapping[str, Any]:
    for folder in ("vae_decoder", "vae", "vae_encoder"):
        if (root / folder / "config.json").is_file():
            return _json(root / folder / "config.json")
    raise PackageError(f"{root}/vae_decoder/config.json is missing; export or download the model again")


def _manifest(path: Path) -> dict[str, Any]:
    content = _json(path) if path.exists() else {}
    parts = [content.get(name, {}) for name in ("files", "goldens", "verification")]
    if not all(isinstance(part, dict) for part in parts) or not all(
        isinstance(entry, dict) and isinstance(entry.get("bytes"), int) and "sha256" in entry
        for entry in parts[0].values()
    ):
        raise PackageError(f"{path} is damaged; export or download the model again")
    other = content.get("shares", "shared")
    if not isinstance(other, str) or other in ("", "..") or Path(other).name != other:
        raise PackageError(f"{path} shares files with {other!r}, which is not the name of a folder beside it")
    return content


def _scheduler(root: Path, config: Mapping[str, Any], index: Mapping[str, Any]) -> scheduler_config.Scheduler:
    """What the scheduler's config says; where it names no class, the index does."""
    listed = index.get("scheduler")
    named = listed[-1] if isinstance(listed, list) and listed else None
    try:
        corrected = scheduler_config.corrected(config, _plain(str(index.get("_class_name"))))
        return scheduler_config.read(corrected, str(config.get("_class_name", named)))
    except PackageError as error:
        raise PackageError(f"{root / 'scheduler/scheduler_config.json'} {error}") from None


def _json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise PackageError(f"{path} is missing; export or download the model again") from None
    except (OSError, ValueError) as error:
        raise PackageError(f"{path} cannot be read ({error}); export or download the model again") from error
    if not isinstance(content, dict):
        raise PackageError(f"{path} does not hold a JSON object; export or download the model again")
    return content
