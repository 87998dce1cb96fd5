"""The model to export, as the runtime opens it: a file, a folder that diffusers saved, or one that is fetched."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from partway.errors import PackageError
from partway.model.package import Package, open_package
from partway_export.families import FAMILIES
from partway_export.fetch import COMPONENTS, Source, fetch
from partway_export.guard import one_line
from partway_export.quiet import quiet


@contextmanager
def opened(source: Source, *, tiny_vae: str | None = None, **told: Any) -> Iterator[Package]:
    """The model at ``source``, whose files have to stay while the block runs.

    tiny_vae: a file, folder or Hub id of a tiny autoencoder to go beside the VAE; told: as `open_package` takes them.
    Raises PackageError for what cannot be exported.
    """
    if source.path.is_dir():
        check_family(source.path)
    tiny = None if tiny_vae is None else fetch(tiny_vae).path
    with _without_pickles(source.path) as path:
        package = open_package(path, tiny_vae=tiny, **told)
        if package.checkpoint is None:
            raise PackageError(f"{path} is exported already; take the folder or file that it was made of")
        yield package


def check_family(folder: Path) -> None:
    """Raise PackageError for a folder that is not diffusers', or whose pipeline cannot be exported."""
    try:
        index = json.loads((folder / "model_index.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise PackageError(
            f"{folder} is not a diffusers folder: it has no model_index.json; give that, or a .safetensors file"
        ) from None
    except (OSError, ValueError) as error:
        raise PackageError(f"{folder}/model_index.json cannot be read ({error}); fetch the model again") from None
    if not isinstance(index, dict):
        raise PackageError(f"{folder}/model_index.json is not a JSON object; fetch the model again")
    name = str(index.get("_class_name"))
    if name not in FAMILIES:
        raise PackageError(f"{folder} holds a {name}, which cannot be exported; known: {', '.join(FAMILIES)}")


@contextmanager
def _without_pickles(path: Path) -> Iterator[Path]:
    """The path; of a folder whose weights are pickles (.bin), a copy that diffusers saves without them."""
    folders = [path / component for component in COMPONENTS]
    if not any(any(one.glob("*.bin")) and not any(one.glob("*.safetensors")) for one in folders):
        yield path
        return
    names = [file.name for file in (path / "unet").glob("diffusion_pytorch_model*")]
    variant = "fp16" if names and all(".fp16" in name for name in names) else None
    from diffusers import DiffusionPipeline

    with TemporaryDirectory() as copy:
        try:
            with quiet():
                pipe = DiffusionPipeline.from_pretrained(
                    path, variant=variant, local_files_only=True, safety_checker=None
                )
                pipe.save_pretrained(copy)
        except (ImportError, MemoryError, OSError):
            raise
        except Exception as error:
            raise PackageError(f"{path} cannot be loaded: {one_line(error)}") from error
        yield Path(copy)
