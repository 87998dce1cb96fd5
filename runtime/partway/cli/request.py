"""From the command line, and the record in an earlier picture if asked for, to one complete request."""

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import partway
from partway.checkpoints.opening import is_file
from partway.cli.arguments import LOAD, SETTINGS, supplied
from partway.errors import ImageError, InputError
from partway.model.hub import DEFAULT
from partway.pictures import metadata
from partway.records import record

# Arguments of `partway.load` that belong to the machine, not to the picture.
_MACHINE = ("threads", "cache_dir", "cache_limit", "memory_limit", "release", "stream")
# How a task treats the picture it starts from.
_EDIT = ("only_masked", "padding", "mask_blur", "left", "top", "right", "bottom", "feather", "scale", "then")
# What `partway.Settings` and `partway.load` take on trust; they check the rest of a record themselves.
_TYPES: dict[str, Any] = {
    "original_size": list | None,
    "crop": list | None,
    "target_size": list | None,
    "negative_prompt": str,
    "seed": int,
    "engine": str,
    "device": str,
    "precision": str,
    "revision": str,
    "prediction": str,
    "vae": str,
    "then": list,
}


class Request(NamedTuple):
    """What to run: a model, how to load it, a prompt, settings, an edit; a replayed record adds size and source."""

    model: str
    load: dict[str, Any]
    prompt: str
    settings: dict[str, Any]
    edit: dict[str, Any]
    size: tuple[int, int] | None
    source: Mapping[str, Any]


def request(options: argparse.Namespace, task: str) -> Request:
    """Return what the command line asks for; with --from-png the record fills in what it leaves out.

    Raises InputError or ImageError; all settings have been checked.
    """
    made: dict[str, Any] = {}
    if options.from_png is not None:
        made = metadata.read_parameters(options.from_png)
        if made.get("task") != task:
            raise ImageError(f"{options.from_png} was made by partway {made.get('task')}; replay it with that")
    model = options.model or (_part(made, "model").get("name") if made else DEFAULT)
    if not model:
        raise ImageError("the replayed picture does not say which model made it; give --model")
    prompt = options.prompt if options.prompt is not None else made.get("prompt")
    if not isinstance(prompt, str):
        raise InputError('which prompt? give it in quotes; "" for none')
    settings = _known(made, "settings", SETTINGS) | supplied(options, SETTINGS)
    load = _known(made, "load", (*LOAD, "vae")) | supplied(options, LOAD)
    if is_file(Path(str(settings.get("vae", "")))):  # one flag for both: which of the model's, or another's
        load["vae"] = settings.pop("vae")
    partway.Settings(**settings)  # before anything slow
    return Request(
        model=str(model),
        load=load,
        prompt=prompt,
        settings=settings,
        edit=_known(made, "edit", _EDIT) | supplied(options, _EDIT),
        size=(made["width"], made["height"]) if "width" in made and "height" in made else None,
        source=_part(made, "source"),
    )


def load(wanted: Request) -> partway.Pipeline:
    """Load the model; say on stderr which end of a prompt it does not read."""
    pipe = partway.load(wanted.model, **wanted.load)
    settings = pipe.package.settings(wanted.settings)
    texts = {"prompt": wanted.prompt} | {f"prompt {text[:20]!r}": text for text in wanted.edit.get("then", [])}
    texts |= {"negative prompt": settings.negative_prompt} if settings.guided else {}
    for name, text in texts.items():
        unread = pipe.tokenizers[0].truncated(text)  # all split text alike
        if unread:
            _warn(f"the {name} is too long for this model, which does not read {unread!r}")
    return pipe


def record_of(
    wanted: Request,
    pipe: partway.Pipeline,
    result: partway.Result,
    task: str,
    source: Mapping[str, str] | None,
) -> dict[str, Any]:
    """Return the record of the first picture of ``result``, from which `request` can repeat it."""
    return record(
        result,
        0,
        task=task,
        prompt=wanted.prompt,
        model=wanted.model,
        package=pipe.package,
        load={name: value for name, value in wanted.load.items() if name not in _MACHINE},
        source=source,
        edit=wanted.edit,
    )


def warn_if_other_source(recorded: Mapping[str, Any], now: Mapping[str, str]) -> None:
    """Say on stderr that a replay starts from another picture than the one in the record."""
    if recorded and recorded.get("pixels_sha256") != now["pixels_sha256"]:
        _warn("the input is not the picture that this was made from")


def _warn(text: str) -> None:
    print(f"partway: warning: {text}", file=sys.stderr)


def _part(record: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    part = record.get(name, {})
    return part if isinstance(part, dict) else {}


def _known(record: Mapping[str, Any], name: str, keys: tuple[str, ...]) -> dict[str, Any]:
    """Return one part of a record, which can hold anything: ImageError unless names and types are ours."""
    part = dict(_part(record, name))
    for key, value in part.items():
        if key not in keys:
            raise ImageError(f"the replayed picture sets {key}, unknown to this version; update partway")
        texts = not isinstance(value, list) or all(isinstance(one, str) for one in value)
        if not (isinstance(value, _TYPES.get(key, str | int | float | None)) and texts):
            raise ImageError(f"the replayed picture sets {key} to {value!r}, which it cannot be")
    return part
