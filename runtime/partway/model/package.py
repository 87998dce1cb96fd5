"""A model folder as one typed record.

The layout is the one that optimum's exports have: ``model_index.json`` beside ``unet/``, ``vae_encoder/``,
``vae_decoder/``, ``text_encoder/``, ``tokenizer/`` and ``scheduler/``, with ``model.onnx`` or ``openvino_model.xml``
inside. SDXL adds ``text_encoder_2/`` and ``tokenizer_2/``; its refiner has only those. This project's own export adds
``partway.json``, which is optional. A package that has files in common with another one beside it may leave them out
and name the other's folder there, as ``shares``.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from partway.checkpoints.forms import is_file, is_folder
from partway.diffusion.levels import Trained
from partway.engines.weights import Networks
from partway.errors import InputError, PackageError, choose
from partway.graphs import BUILT, FILES, IMAGE_ADAPTER, IMAGE_ENCODER, TOKENIZERS
from partway.loras import Lora
from partway.loras import chosen as chosen_loras
from partway.model import configs, families, files, scheduler_config, sizes
from partway.model.configs import Configs
from partway.model.control_units import ControlUnit, ImagePrompt
from partway.settings import Settings

if TYPE_CHECKING:
    from partway.checkpoints.record import Checkpoint

_POOLED = 1280  # of SDXL, whose folder may leave it unsaid
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
    guidance        a row of `partway.model.conditions.GUIDANCE_MODES`: "instruction" if the UNet also takes the
                    picture's latents (8 channels instead of 4), "embedded" if it takes the guidance scale, else "pair"
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
    control_units, image_prompt  its ControlNets and adapters (`partway.model.control_units`)
    inferred        what the ``config.json`` of networks says or, where there is none, would say
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
    checkpoint: "Checkpoint | None" = None
    inferred: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    control_units: tuple[ControlUnit, ...] = ()
    image_prompt: ImagePrompt | None = None

    def settings(self, chosen: Mapping[str, object]) -> Settings:
        """The settings of a run: those that the user chose, else of adapters, else of the model, else of `Settings`."""
        settings: dict[str, Any] = {**self.defaults, **chosen}
        loras = [one for one in chosen_loras(settings.get("loras")) if one.unet]
        return Settings(**{**settings, **(_suggested(loras) if loras else {}), **chosen})

    def unprompted(self, settings: Settings) -> bool:
        """Whether zeros replace the embeddings of the negative prompt."""
        return self.zeros_for_empty and not (settings.negative_prompt or settings.negative_prompt_2)

    def path(self, name: str) -> Path:
        """Where a file of the package lies, by its name in the manifest: in its own folder or in the shared one."""
        return files.place(self.root, self.manifest, name)

    def config(self, network: str) -> Mapping[str, Any]:
        """The ``config.json`` of a network, or what it would say; empty if there is none."""
        if self.checkpoint is not None:
            part = self.checkpoint.parts.get("vae" if network.startswith("vae") else network)
            return {} if part is None else part.config
        path = self.root / network / "config.json"
        return files.read_json(path) if path.is_file() else self.inferred.get(network, {})

    @property
    def segments(self) -> tuple[str, ...]:
        """The networks that the UNet is cut into, in the order of their calls; empty where it is not cut."""
        return tuple(name for name in self.networks if name.startswith("unet_segment_"))

    @property
    def guide_networks(self) -> tuple[str, ...]:
        """The networks that guide the UNet by pictures."""
        of_picture = (IMAGE_ENCODER, IMAGE_ADAPTER) if self.image_prompt is not None else ()
        return (*dict.fromkeys(unit.network for unit in self.control_units), *of_picture)

    @property
    def text_encoders(self) -> tuple[str, ...]:
        """The networks that read the prompt, in the order in which the UNet takes their outputs."""
        return tuple(name for name in TOKENIZERS if name in self.networks)

    @property
    def text_widths(self) -> tuple[int | None, ...]:
        """How many numbers each of them has for a token; None where nothing says so."""
        told = [self.config(name).get("hidden_size") for name in self.text_encoders]
        if len(told) == 1 and told[0] is None:
            told = [self.config("unet").get("cross_attention_dim")]
        return tuple(width if isinstance(width, int) else None for width in told)

    @property
    def embeds_widths(self) -> tuple[int | None, int | None]:
        """How many numbers the UNet takes for a token, and for a whole text; None for any, and where it takes none."""
        whole = self.config(self.text_encoders[-1]).get("projection_dim") if self.size_conditions else None
        return self.config("unet").get("cross_attention_dim"), whole or (_POOLED if self.size_conditions else None)

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
    if files.is_part(path):
        raise PackageError(f"{path} {files.whereabouts(path)}")
    stored = is_file(path) or (is_folder(path) and not _exported(path))
    if not stored and (vae, tiny_vae, prediction) != (None, None, None):
        raise InputError(f"{path} is exported, with a VAE and a prediction of its own; leave vae and prediction out")
    try:
        if stored:
            from partway.checkpoints.opening import open_checkpoint

            own, tiny = (None if one is None else Path(one) for one in (vae, tiny_vae))
            return _unexported(open_checkpoint(path, vae=own, tiny_vae=tiny, prediction=prediction))
        return _read(path)
    except (TypeError, ValueError, OverflowError, LookupError, AttributeError, RecursionError) as error:
        raise PackageError(f"{path} has a setting that cannot be ({error}); export or download it again") from error


def _suggested(loras: Sequence[Lora]) -> Mapping[str, Any]:
    """What adapters suggest."""
    from partway.adapters.reading import open_adapter  # only where there are some, for it takes its time
    from partway.adapters.suggestions import combined

    return combined(open_adapter(one.file) for one in loras)


def _unexported(checkpoint: "Checkpoint") -> Package:
    """The model of a checkpoint, whose networks are built."""
    from partway.building.networks import networks  # only where there is something to build
    from partway.checkpoints.record import TINY

    parts = checkpoint.parts
    read = Configs(checkpoint.index, parts["unet"].config, parts["vae"].config, checkpoint.scheduler)
    package = _described(checkpoint.path, read)
    built = networks(checkpoint)
    size = package.vae_scale_factor  # the UNet is built to take latents of any size
    defaults = {"vae": "tiny"} if TINY in parts else {}  # who gives one wants it
    return replace(package, format=BUILT, networks=built, multiple=size, defaults=defaults, checkpoint=checkpoint)


def _exported(root: Path) -> bool:
    return any((root / "unet" / name).exists() for name in FILES.values())


def _read(root: Path) -> Package:
    if not root.is_dir():
        raise PackageError(f"there is no model folder {str(root)!r}; export one with: partway export SOURCE {root}")
    if not (root / "model_index.json").is_file():
        raise PackageError(f"{root} {files.whereabouts(root)}")
    index = files.read_json(root / "model_index.json")
    families.check(root, index)
    manifest = files.manifest(root / "partway.json")
    format_, networks = files.networks(root, families.needed(index), manifest)
    read = configs.read(root, index, networks)
    return replace(_described(root, read), format=format_, networks=networks, manifest=manifest)


def _described(root: Path, read: Configs) -> Package:
    """What configurations say of a model, whose networks are not known yet."""
    index, unet, vae, scheduler = read
    families.check(root, index)
    configs.check(read)
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
        inferred={"unet": unet, "vae_decoder": vae},
        inpaints=in_channels == 2 * channels + 1,
        guidance="instruction" if instructed else "embedded" if width else "pair",
        guidance_width=width,
        size_conditions=_size_conditions(index, unet),
        zeros_for_empty=bool(index.get("force_zeros_for_empty_prompt", families.is_xl(index))),
        latent_channels=channels,
        latent_scale=float(vae.get("scaling_factor") or 0.18215),
        latent_shift=float(vae.get("shift_factor") or 0.0),
        vae_scale_factor=vae_scale_factor,
        multiple=vae_scale_factor * 2 ** (len(unet.get("block_out_channels", [0] * 4)) - 1),
        size=(width_, height),
        manifest={},
    )


def _size_conditions(index: Mapping[str, Any], unet: Mapping[str, Any]) -> tuple[str, ...]:
    if unet.get("addition_embed_type") != "text_time":
        return ()
    return sizes.REFINER if index.get("requires_aesthetics_score") else sizes.BASE


def _scheduler(root: Path, config: Mapping[str, Any], index: Mapping[str, Any]) -> scheduler_config.Scheduler:
    """What the scheduler's config says; where it names no class, the index does."""
    listed = index.get("scheduler")
    named = listed[-1] if isinstance(listed, list) and listed else None
    try:
        corrected = scheduler_config.corrected(config, families.plain(str(index.get("_class_name"))))
        return scheduler_config.read(corrected, str(config.get("_class_name", named)))
    except PackageError as error:
        raise PackageError(f"{root / 'scheduler/scheduler_config.json'} {error}") from None
