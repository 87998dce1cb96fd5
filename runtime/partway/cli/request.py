"""From the command line, and the record in an earlier picture if asked for, to one complete request."""

import argparse
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import partway
from partway.adapters.folders import gathered
from partway.checkpoints.forms import is_file
from partway.cli.arguments import LOAD, SETTINGS, settings_of, supplied
from partway.cli.messages import libraries_unheard, say
from partway.errors import MAX_SIDE, ImageError, InputError, is_integer
from partway.loras import chosen, in_prompt, named
from partway.model import hub
from partway.model.hashes import path_sha256
from partway.pictures import metadata
from partway.prompts.syntaxes import PLAIN, SYNTAXES, marked
from partway.records import MACHINE
from partway.support.lines import shortened

# How a task treats the picture it starts from.
_EDIT = ("only_masked", "padding", "mask_blur", "left", "top", "right", "bottom", "feather", "scale", "then")
_SAID = ("negative_prompt", "prompt_2", "negative_prompt_2")
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
    "loras": list,
    "control": list,
    "ip_adapter": dict | None,
    "embeddings": list,
    "prompt_2": str | None,
    "negative_prompt_2": str | None,
    "prompt_syntax": str,
}


_RECORDS = ("loras", "embeddings", "control")  # lists of records of their own, which these check


class Request(NamedTuple):
    """What to run: a model, how to load it, a prompt, settings, an edit; what a replayed record says of the rest.

    model   None is the one that comes with partway
    size    of the replayed picture
    source  and ``made_with``: hashes of the picture and the model that it was made from, if one is replayed
    """

    model: str | None
    load: dict[str, Any]
    prompt: str
    settings: dict[str, Any]
    edit: dict[str, Any]
    size: tuple[int, int] | None = None
    source: Mapping[str, Any] = {}
    made_with: Mapping[str, Any] = {}


def request(options: argparse.Namespace, task: str, *, notes: bool = True) -> Request:
    """Return what the command line asks for; with --from-png the record fills in what it leaves out.

    With ``notes`` it says on stderr how a prompt is read. Raises InputError or ImageError; all settings have been
    checked, and a seed of -1 is the one that was drawn.
    """
    made = {} if options.from_png is None else _made(options.from_png, task)
    prompt = options.prompt if options.prompt is not None else made.get("prompt")
    if not isinstance(prompt, str):
        raise InputError('which prompt? give it in quotes; "" for none')
    settings = _alone(_known(made, "settings", SETTINGS)) | settings_of(options)
    load = _known(made, "load", (*LOAD, "vae")) | supplied(options, LOAD)
    if is_file(Path(str(settings.get("vae", "")))):  # one flag for both: which of the model's, or another's
        load["vae"] = settings.pop("vae")
    if options.lora_dir is not None:
        prompt, settings["loras"] = _with_loras(prompt, settings.get("loras"), options.lora_dir)
    texts = [prompt, *(str(settings.get(name) or "") for name in _SAID)]
    if embeddings := gathered(settings.get("embeddings", ()), options.embedding_dir, texts):
        settings["embeddings"] = embeddings
    checked = partway.Settings(**settings)  # before anything slow
    if notes and (not made or options.prompt is not None):  # of a record it was said when that was made
        _say_syntax(checked.prompt_syntax, texts)
    loras = [(one.name, one.file) for one in checked.adapters]
    networks = [(Path(one.network).name, one.network) for one in checked.controls]
    _warn_if_others(made.get("loras"), loras, "LoRA that this was made with")
    _warn_if_others(made.get("controls"), networks, "network that this was guided by")
    _warn_if_others(made.get("embeddings"), checked.inversions, "embedding that this was made with")
    settings |= {name: getattr(checked, name) for name in ("seed", "variation_seed") if name in settings}
    return Request(
        model=options.model or (_model(made, load.get("revision")) if made else None),
        load=load,
        prompt=prompt,
        settings=settings,
        edit=_known(made, "edit", _EDIT) | supplied(options, _EDIT),
        size=_size(made),
        source=_part(made, "source"),
        made_with=_part(made, "model"),
    )


def _with_loras(prompt: str, given: Any, folder: str) -> tuple[str, tuple[partway.Lora, ...]]:
    """The prompt without what it says of adapters, and these beside those that were given, by name or as files."""
    known = [
        one if Path(one.file).is_file() else replace(one, file=str(named(one.file, folder))) for one in chosen(given)
    ]
    prompt, more = in_prompt(prompt, folder)
    return prompt, (*known, *more)


def load(wanted: Request) -> partway.Pipeline:
    """Load the model."""
    return partway.load(wanted.model, **wanted.load)


def _warn_if_others(recorded: Any, files: Iterable[tuple[str, str]], what: str) -> None:
    """Say on stderr which of these files, or folders, by name are others than those of that name in the record."""
    known = recorded if isinstance(recorded, list) else []
    hashes = {one.get("name"): one.get("sha256") for one in known if isinstance(one, dict)}
    for name, file in files:
        path = Path(file)
        if name in hashes and path.exists() and path_sha256(path) != hashes[name]:
            say("warning", f"{file} is not the {what}")


def _say_syntax(syntax: str, texts: Iterable[str]) -> None:
    """Say on stderr how brackets and ``BREAK`` are read, where a text has some."""
    if any(map(marked, texts)):
        others = ", ".join(name for name in SYNTAXES if name != syntax)
        how = "as plain text" if syntax == PLAIN else f"in {syntax}'s syntax"
        say("note", f"brackets and BREAK are read {how}; --prompt-syntax has others: {others}")


def warn_if_other_source(recorded: Mapping[str, Any], now: Mapping[str, str]) -> None:
    """Say on stderr that a replay starts from another picture than the one in the record."""
    if recorded and recorded.get("pixels_sha256") != now["pixels_sha256"]:
        say("warning", "the input is not the picture that this was made from")


def warn_if_other_model(recorded: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Say on stderr that a replay runs on another model than the one in the record, or on that as it is by now."""
    if any(recorded.get(name) not in (None, now[name]) for name in ("sha256", "unet_sha256")):
        say("warning", "the model is not the one that this was made with, or has changed since")


def _made(file: str, task: str) -> dict[str, Any]:
    """The record in a picture, which has to be of this task."""
    with libraries_unheard():
        made = metadata.read_parameters(file)
    if made.get("task") != task:
        raise ImageError(f"{file} was made by partway {made.get('task')}; replay it with that")
    return made


def _model(made: Mapping[str, Any], revision: str | None) -> str | None:
    """The model of a record; ImageError where it names none, or one that would have to be fetched first."""
    name = _part(made, "model").get("name")
    if not isinstance(name, str) or not name:
        raise ImageError("the replayed picture does not say which model made it; give --model")
    if not hub.fetched(name, revision):
        raise ImageError(f"the replayed picture was made with {name}, which is not here; to fetch it: --model {name}")
    return name


def _size(made: Mapping[str, Any]) -> tuple[int, int] | None:
    size = (made.get("width"), made.get("height"))
    if size == (None, None):
        return None
    if not all(is_integer(side, 1, MAX_SIDE) for side in size):
        raise ImageError(f"the replayed picture says that it has {size[0]!r} x {size[1]!r} pixels, which cannot be")
    return made["width"], made["height"]


def _part(record: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    part = record.get(name, {})
    return part if isinstance(part, dict) else {}


def _alone(settings: dict[str, Any]) -> dict[str, Any]:
    """Return a record's settings; ImageError where those of pictures that guide name more than files beside us."""
    guides = settings.get("control") or []
    for one in [*(guides if isinstance(guides, list) else []), settings.get("ip_adapter")]:
        for name in ("network", "picture", "encoder"):
            place = one.get(name) if isinstance(one, dict) else None
            if place is not None and Path(str(place)).name != place:
                raise ImageError(
                    f"the replayed picture names {shortened(str(place))}, which is not a file's name alone; partway "
                    "wrote no such"
                )
    return settings


def _known(record: Mapping[str, Any], name: str, keys: tuple[str, ...]) -> dict[str, Any]:
    """Return one part of a record, which can hold anything: ImageError unless names and types are ours."""
    part = dict(_part(record, name))
    for key, value in part.items():
        if key in MACHINE:
            raise ImageError(
                f"the replayed picture sets {key}, which is not for a picture to say; partway wrote no such"
            )
        if key not in keys:
            raise ImageError(f"the replayed picture sets {shortened(key)}, unknown to this version; update partway")
        texts = key in _RECORDS or not isinstance(value, list) or all(isinstance(one, str) for one in value)
        if not (isinstance(value, _TYPES.get(key, str | int | float | None)) and texts):
            raise ImageError(f"the replayed picture sets {key} to {shortened(str(value))}, which it cannot be")
    return part
