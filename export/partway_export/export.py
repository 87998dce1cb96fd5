"""From a diffusers model to a partway package, in one straight line."""

import errno
import gc
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from partway.errors import EngineError, InputError, PackageError, choose

from partway_export.compress import compress_onnx, compress_openvino
from partway_export.families import FORMATS, WEIGHTS
from partway_export.fetch import fetch
from partway_export.load import family_of, load
from partway_export.manifest import write_manifest
from partway_export.onnx_file import read, write
from partway_export.optimise import optimise
from partway_export.package import copy_settings, write_goldens
from partway_export.quiet import quiet
from partway_export.reference import references
from partway_export.trace import trace
from partway_export.verify import GATES, verify


def export(
    source: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    to: str = "onnx",
    weights: str = "fp16",
    revision: str | None = None,
    goldens: bool = True,
    say: Callable[[str], None] = lambda text: None,
) -> dict[str, Any]:
    """Export the diffusers model ``source`` (a folder or a Hub id) to the new folder ``out``; return its partway.json.

    to: "onnx" or "openvino"; weights: "fp32", "fp16" or "int8"; revision: of a Hub id; goldens: keep torch's outputs
    in the package (some MB at most); say: is told of each stage. Every network is compared with torch; when one fails
    its gate, or anything else goes wrong, nothing is left at ``out``.

    Raises InputError for arguments that cannot be used, PackageError for a model that cannot be exported, EngineError
    when a library is missing, NetworkError when a network differs too much from torch.
    """
    choose("format", to, FORMATS)
    choose("weights", weights, WEIGHTS)
    gate = GATES[weights]
    with _new_folder(Path(out)) as folder, _one_line_errors():
        say(f"fetch {source}")
        found = fetch(os.fspath(source), revision)
        family = family_of(found.folder)
        copy_settings(found.folder, folder, family)
        say("load")
        with quiet():
            networks = load(found.folder, to)
            truth = references(networks, family.networks)
        paths = {}
        for name in family.networks:
            say(f"trace {name}")
            with quiet():
                paths[name] = trace(name, networks.pop(name), folder, to)
            gc.collect()
        verification = {}
        for name, path in paths.items():
            say(f"optimise and compress {name}")
            with quiet():
                finish(path, to, weights)
                figure = verify(name, path, truth[name], to, gate)
            verification[name] = {"psnr": round(figure, 2), "gate": gate}
            say(f"verify {name}: {figure:.1f} dB")
        kept = write_goldens(folder, truth) if goldens else {}
        return write_manifest(folder, found, to=to, weights=weights, verification=verification, goldens=kept)


def finish(path: Path, to: str, weights: str) -> None:
    """Optimise the traced graph at ``path`` and store its weights as ``weights``."""
    if to == "openvino":  # its converter has optimised the graph
        compress_openvino(path, weights)
        return
    model = optimise(read(path))
    compress_onnx(model, weights)
    write(model, path)


@contextmanager
def _new_folder(out: Path) -> Iterator[Path]:
    """Yield a folder beside ``out`` that takes its place when the block ends well, and vanishes when it does not."""
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise InputError(f"{out} exists and is not an empty folder; choose another name or remove it")
    partial = out.absolute().parent / f".{out.name}.partial-{os.getpid()}"
    try:
        partial.mkdir(parents=True)
        yield partial
        if out.exists():
            out.rmdir()
        partial.rename(out)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


@contextmanager
def _one_line_errors() -> Iterator[None]:
    try:
        yield
    except ImportError as error:
        missing = error.name or str(error)
        raise EngineError(f"export needs {missing}; run: pip install 'partway[export]'") from error
    except MemoryError as error:
        raise PackageError("not enough memory for this model; close other programs or use a larger machine") from error
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise PackageError("the disk is full; an export needs twice the model's size while it runs") from error
        raise
