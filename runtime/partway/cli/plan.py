"""``partway plan``: what a run would do, without running anything."""

import argparse
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import partway
from partway.budget import presets
from partway.checkpoints.opening import is_file
from partway.cli.arguments import LOAD, Commands, add_options, add_prediction, add_settings, settings_of, supplied
from partway.errors import InputError


def add(commands: Commands) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "plan", help="what a run would do: steps, noise levels, network calls", description=__doc__
    )
    parser.add_argument("--model", "-m", metavar="MODEL", help="its noise levels (default: those of SD 1.x and 2.x)")
    shape = parser.add_mutually_exclusive_group()
    shape.add_argument("--json", action="store_true", help="print JSON")
    shape.add_argument("--compare", action="store_true", help="the same steps and strength on every dial")
    text = "the strength here that starts where STRENGTH on another DIAL does, as in comfyui:0.5"
    shape.add_argument("--match", metavar="DIAL:STRENGTH", help=text)
    parser.add_argument("--txt2img", action="store_true", help="plan a run without a source picture")
    for name in ("width", "height"):
        text = "pixels, to tell memory and time for (default: what the model was trained for)"
        parser.add_argument(f"--{name}", type=int, metavar="N", help=text)
    add_settings(parser)
    group = parser.add_argument_group("what to tell memory and time for, with a model")
    add_prediction(group)
    add_options(group)
    parser.set_defaults(command=run)


def run(options: argparse.Namespace) -> int:
    """Print the plan as a table, as JSON, or one row for each dial."""
    settings = settings_of(options)
    partway.Settings(**{name: value for name, value in settings.items() if not _a_file(name, value)})  # before a model
    loaded = supplied(options, LOAD)
    preset, told = loaded.pop("preset", None), {"prediction": loaded.pop("prediction", None)}
    on = presets.options(preset, loaded)[1]  # checked before a model is opened
    if on.limit is not None and options.model is None:
        raise InputError("memory is told for a model; give --model")
    where = {"width": options.width, "height": options.height, "preset": preset, "options": loaded, **told}
    make = partial(partway.plan, options.model, image=not options.txt2img, **where)
    if options.match is not None:
        print(_match(options.match, options.model, settings | told))
    elif options.compare:
        print(_comparison(lambda dial: make(**(settings | {"dial": dial}))))
    elif options.json:
        print(json.dumps(make(**settings).as_dict(), indent=2))
    else:
        made = make(**settings)
        print(made)
        if options.model is not None and made.levels and made.seconds is None and not on.frugal:
            print(f"time: partway tune {options.model} tells the seconds")
    return 0


def _a_file(name: str, value: Any) -> bool:
    return name == "vae" and is_file(Path(value))


def _match(wanted: str, model: str | None, settings: dict[str, Any]) -> str:
    dial, _, number = wanted.partition(":")
    try:
        strength = float(number)
    except ValueError:
        raise InputError(f"--match takes a dial and a strength, like comfyui:0.5, not {wanted!r}") from None
    found = partway.match(dial, strength, model, **settings)
    here = partway.plan(model, **(settings | {"strength": found, "dial": "continuous"}))
    start = f"sigma {here.start_sigma:.4f}, {here.steps_run} steps run"
    return f"strength {found:.4f} starts where {dial}'s {strength:g} does: {start}"


def _comparison(make: Callable[[str], partway.Plan]) -> str:
    """A row for each dial, or why it has none; raises what they all raise."""
    plans: dict[str, partway.Plan] = {}
    refused: dict[str, InputError] = {}
    for dial in partway.DIALS:
        try:
            plans[dial] = make(dial)
        except InputError as error:  # as a dial for which a list of levels has too few steps
            refused[dial] = error
    if not plans:
        raise next(iter(refused.values()))
    first = next(iter(plans.values()))
    rows = [f"{'dial':<12} {'steps run':>9} {'UNet calls':>10} {'start sigma':>11} {'timestep':>8} {'noise':>7}"]
    rows += [_row(plans[dial]) if dial in plans else f"{dial:<12} {refused[dial]}" for dial in partway.DIALS]
    head = f"{first.sampler}, {first.schedule} schedule, {first.steps} steps, strength {first.strength:g}"
    return "\n".join([head, *rows])


def _row(one: partway.Plan) -> str:
    start = f"{'-':>11} {'-':>8} {'-':>7}"
    if one.levels:
        start = f"{one.start_sigma:>11.4f} {one.start_timestep:>8.1f} {100 * one.noise_share:>5.1f} %"
    return f"{one.dial:<12} {one.steps_run:>9} {one.network_calls:>10} {start}"
