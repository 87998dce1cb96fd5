"""From the command line of ``partway batch``, and each row of a list, to what is wanted of each picture.

A list's columns are flags of the command without dashes, and are read as those are.
"""

import argparse
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from partway.batch.jobs import Job, job
from partway.batch.lists import Row, is_list, rows
from partway.batch.sources import found
from partway.cli.arguments import Parser, add_mask, add_settings
from partway.cli.request import Request, request
from partway.controls import Control, IPAdapter
from partway.errors import InputError, PartwayError
from partway.pictures.metadata import check_suffix

_OWN = ("prompt", "mask", "output")  # columns that are no settings


@dataclass(frozen=True)
class Wished:
    """All that a command line wishes for: what holds for all pictures, and how to find each with its own."""

    options: argparse.Namespace
    wanted: Request

    def jobs(self) -> list[Job]:
        """A job for each picture, those of a folder as it is now; raises `InputError`."""
        place = self.options.pictures
        if is_list(place):
            make = partial(_row_job, self.options, self.wanted, Path(place).parent, _row_parser())
            return [_located(make, row) for row in rows(Path(place))]
        sources = found(place, self.options.output, self.options.masks)
        return [job(one.name, one.path, self.wanted, mask=one.mask) for one in sources]


def wished(options: argparse.Namespace) -> Wished:
    """What a command line wishes for, checked; raises `InputError`."""
    if is_list(options.pictures):
        if options.masks is not None:
            raise InputError("a list has masks in its column mask; leave out --masks")
        if _unprompted(options):  # each row has its own
            return Wished(options, _requested(argparse.Namespace(**{**vars(options), "prompt": ""})))
    return Wished(options, _requested(options))


def _unprompted(options: argparse.Namespace) -> bool:
    return options.prompt is None and options.from_png is None


def _requested(options: argparse.Namespace, *, notes: bool = True) -> Request:
    if getattr(options, "seed", 0) < 0:
        raise InputError("a batch goes by a seed that is not negative, so that it can be repeated")
    made = request(options, "img2img", notes=notes)
    return made._replace(load={"threads": 1, **made.load} if _on_processor(made.load) else made.load)


def _on_processor(load: Mapping[str, Any]) -> bool:
    """Whether pictures share processors: each has one thread then, so that its bytes are the same on all machines."""
    return str(load.get("device", "CPU")).upper() == "CPU"


def _row_parser() -> Parser:
    parser = Parser(prog="partway batch")
    add_settings(parser)
    add_mask(parser)
    return parser


def _located(make: Any, row: Row) -> Job:
    """A row's job; its errors say where the row is."""
    try:
        made: Job = make(row)
    except PartwayError as problem:
        raise type(problem)(f"{row.where}: {problem}") from None
    return made


def _row_job(options: argparse.Namespace, wanted: Request, folder: Path, parser: Parser, row: Row) -> Job:
    """The job of a row, whose pictures are named from the list's ``folder`` on."""
    own = {name: _text(name, row.columns[name]) for name in _OWN if name in row.columns}
    said = {name: value for name, value in row.columns.items() if name not in _OWN}
    if "prompt" not in own and _unprompted(options):
        raise InputError("no prompt; give it in a column of that name, or for all pictures after the list")
    if "output" in own:
        check_suffix(Path(own["output"]))
    seed, wish = None, wanted
    if said or "prompt" in own:
        parsed = {name: value for name, value in vars(parser.parse_args(_flags(said))).items() if value is not None}
        prompt = {"prompt": own["prompt"]} if "prompt" in own else {}
        made = _requested(argparse.Namespace(**{**vars(options), **parsed, **prompt}), notes=False)
        if made.load != wanted.load:
            raise InputError("vae names a file here, which is for a whole list; give it as --vae")
        seed = made.settings["seed"] if "seed" in parsed else None
        wish = made._replace(settings=_beside(made.settings, folder, parsed))
    mask = folder / own["mask"] if "mask" in own else None
    return job(row.picture, folder / row.picture, wish, mask=mask, seed=seed, output=own.get("output"))


def _text(name: str, value: Any) -> str:
    if not isinstance(value, str):
        raise InputError(f"{name} must be text, not {value!r}")
    return value


def _flags(columns: Mapping[str, Any]) -> list[str]:
    """Columns as flags: True is a flag alone, and several values are given one by one."""
    flags = []
    for name, value in columns.items():
        flag = f"--{name.replace('_', '-')}"
        if value is True:
            flags.append(flag)
        elif value is not False:
            flags += [f"{flag}={one}" for one in (value if isinstance(value, list) else [value])]
    return flags


def _beside(settings: Mapping[str, Any], folder: Path, parsed: Mapping[str, Any]) -> dict[str, Any]:
    """The settings, in which pictures that the row itself names to guide it are found from ``folder`` on."""
    found = dict(settings)
    if "controlled" in parsed:
        found["control"] = [_moved(one, folder) for one in settings["control"]]
    if "ip_picture" in parsed:
        found["ip_adapter"] = _moved(settings["ip_adapter"], folder)
    return found


def _moved(guide: Control | IPAdapter, folder: Path) -> Control | IPAdapter:
    picture = guide.picture
    return guide if picture is None else replace(guide, picture=str(folder / str(picture)))
