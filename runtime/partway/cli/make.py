"""``partway img2img``, ``instruct``, ``inpaint``, ``outpaint``, ``upscale`` and ``txt2img``."""

import argparse
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import partway
from partway.cli.arguments import Commands, add_model, add_quiet, add_settings
from partway.cli.outputs import Outputs
from partway.cli.progress import did, finish, timing
from partway.cli.records import source_hashes
from partway.cli.request import Request, load, record_of, request, warn_if_other_source
from partway.errors import InputError
from partway.pictures import images, masks
from partway.pictures.masks import PADDING
from partway.pictures.metadata import NO_STRENGTH
from partway.pictures.outpaint import FEATHER, Margins
from partway.pictures.outpaint import edit as canvas


def add(commands: Commands) -> None:
    """Add the commands."""
    parser = commands.add_parser("img2img", help="restyle a picture", description="Restyle a picture by a prompt.")
    _add_input(parser)
    _add_common(parser)
    text = "go on from the result with this prompt, without a way through pixels; can be repeated"
    parser.add_argument("--then", action="append", metavar="PROMPT", default=argparse.SUPPRESS, help=text)
    parser.set_defaults(command=img2img)

    text = "change a picture as told, with an InstructPix2Pix model"
    parser = commands.add_parser("instruct", help=text, description=f"{text.capitalize()}.")
    _add_input(parser)
    _add_common(parser, strength=False, instruction=True)
    parser.set_defaults(command=instruct)

    text = "change a picture where a mask is white, and no byte where it is black"
    parser = commands.add_parser(
        "inpaint", help=text, description=f"{text.capitalize()}; grey is part of the strength."
    )
    _add_input(parser)
    parser.add_argument("mask", metavar="MASK", type=Path, help="a grey picture of the same size")
    _add_common(parser)
    group = parser.add_argument_group("the mask")
    text = "work on the mask's surroundings alone, enlarged to the model's size"
    group.add_argument("--only-masked", action="store_true", default=argparse.SUPPRESS, help=text)
    _add_pixels(group, "padding", f"of surroundings on each side (default {PADDING})")
    _add_pixels(group, "mask_blur", "of fading inside it")
    parser.set_defaults(command=inpaint)

    parser = commands.add_parser("outpaint", help="continue a picture beyond its edges")
    _add_input(parser)
    _add_common(parser)
    group = parser.add_argument_group("how far")
    for name in ("left", "top", "right", "bottom"):
        _add_pixels(group, name, f"to add at the {name}")
    _add_pixels(group, "feather", f"of the picture that the seam may change (default {FEATHER})")
    parser.set_defaults(command=outpaint)

    parser = commands.add_parser("upscale", help="enlarge a picture and refine it, tile by tile")
    _add_input(parser)
    _add_common(parser)
    parser.add_argument("--scale", type=float, metavar="F", default=argparse.SUPPRESS, help="times (default 2)")
    parser.set_defaults(command=upscale)

    parser = commands.add_parser("txt2img", help="make a picture from a prompt alone")
    _add_common(parser, strength=False)
    text = "pixels (default: what the model was trained for)"
    parser.add_argument("--width", type=int, metavar="N", help=text)
    parser.add_argument("--height", type=int, metavar="N", help=text)
    parser.set_defaults(command=txt2img)


def img2img(options: argparse.Namespace) -> int:
    """Restyle a picture, and the result once more for each --then; all of it once for each of --count seeds."""

    def begin(pipe: partway.Pipeline, picture: images.Picture, edit: dict[str, Any]) -> Begin:
        def start(prompt: str, **settings: Any) -> partway.Run:
            at: images.Source | partway.Result = picture.original
            for number, following in enumerate(edit.get("then", []), 1):
                run = pipe.stream(prompt, at, decode=False, **settings)
                at, prompt = finish(run, label=f"prompt {number}", quiet=options.quiet), following
            return pipe.stream(prompt, at, **settings)

        return start

    return _from_picture(options, "img2img", begin)


def instruct(options: argparse.Namespace) -> int:
    """Change a picture as told, once for each of --count seeds."""
    return _from_picture(
        options, "instruct", lambda pipe, picture, edit: partial(pipe.stream, image=picture.original, instruct=True)
    )


def inpaint(options: argparse.Namespace) -> int:
    """Change the masked part of a picture, once for each of --count seeds."""

    def begin(pipe: partway.Pipeline, picture: images.Picture, edit: dict[str, Any]) -> Begin:
        padding = edit.get("padding", PADDING) if edit.get("only_masked") else None
        blur = edit.get("mask_blur", 0)
        edited = masks.edit(picture, options.mask, blur=blur, padding=padding, size=pipe.package.size)
        return partial(pipe.stream, image=edited)

    return _from_picture(options, "inpaint", begin)


def outpaint(options: argparse.Namespace) -> int:
    """Continue a picture, once for each of --count seeds."""

    def begin(pipe: partway.Pipeline, picture: images.Picture, edit: dict[str, Any]) -> Begin:
        feather = edit.pop("feather", FEATHER)
        return partial(pipe.stream, image=canvas(picture, Margins(**edit), feather))

    return _from_picture(options, "outpaint", begin)


def upscale(options: argparse.Namespace) -> int:
    """Enlarge a picture and refine it, once for each of --count seeds."""
    options.prompt = "" if options.prompt is None and options.from_png is None else options.prompt
    return _from_picture(
        options, "upscale", lambda pipe, picture, edit: partial(pipe.stream_upscale, image=picture.original, **edit)
    )


Begin = Callable[..., partway.Run]  # (prompt, **settings)


def _from_picture(
    options: argparse.Namespace, task: str, begin: Callable[[partway.Pipeline, images.Picture, dict[str, Any]], Begin]
) -> int:
    """Run a task that starts from INPUT; ``begin`` makes of pipeline, picture and edit what starts a run."""
    wanted = request(options, task)
    outputs = Outputs(options.output, stem=options.input.stem, count=options.count, source=options.input)
    picture = images.read(options.input)
    source = source_hashes(options.input, picture)
    warn_if_other_source(wanted.source, source)
    pipe = load(wanted)
    start = begin(pipe, picture, dict(wanted.edit))
    for label, settings in _each(wanted, options.count):
        run = start(wanted.prompt, **settings)
        _make(pipe, run, task, label, wanted, outputs, options.quiet, source)
    return 0


def txt2img(options: argparse.Namespace) -> int:
    """Make a picture from a prompt alone, once for each of --count seeds."""
    wanted = request(options, "txt2img")
    width, height = wanted.size or (None, None)
    width = width if options.width is None else options.width
    height = height if options.height is None else options.height
    outputs = Outputs(options.output, stem="", count=options.count)
    pipe = load(wanted)
    for label, settings in _each(wanted, options.count):
        run = pipe.stream(wanted.prompt, width=width, height=height, **settings)
        _make(pipe, run, "txt2img", label, wanted, outputs, options.quiet, None)
    return 0


def _add_input(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("input", metavar="INPUT", type=Path, help="the picture: PNG, JPEG, WebP, TIFF, ...")


def _add_pixels(group: Any, name: str, what: str) -> None:
    flag = "--" + name.replace("_", "-")
    group.add_argument(flag, type=int, metavar="N", default=argparse.SUPPRESS, help=f"pixels {what}")


def _add_common(parser: argparse.ArgumentParser, *, strength: bool = True, instruction: bool = False) -> None:
    text = 'what to change, as in "make it snowy"' if instruction else "what the picture should show, in quotes"
    metavar = "INSTRUCTION" if instruction else "PROMPT"
    parser.add_argument("prompt", metavar=metavar, nargs="?", help=text)
    parser.add_argument(
        "-o",
        "--output",
        metavar="OUT",
        help=".png, .jpg or .webp (default: a new .png in the current folder)",
    )
    parser.add_argument("--count", type=int, default=1, metavar="N", help="N pictures, with seed, seed + 1, ...")
    parser.add_argument(
        "--from-png",
        metavar="FILE",
        help="repeat the settings inside a picture partway made; flags given here win",
    )
    add_quiet(parser)
    add_settings(parser, strength=strength, instruction=instruction)
    add_model(parser)


def _each(wanted: Request, count: int) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield a label and settings for each picture: one at a time, so that each is saved before the next."""
    if count < 1:
        raise InputError(f"count must be at least 1, not {count}")
    seed = wanted.settings.get("seed", partway.Settings.seed)
    for number in range(count):
        label = f"{number + 1}/{count}" if count > 1 else ""
        yield label, wanted.settings | {"seed": seed + number}


def _make(
    pipe: partway.Pipeline,
    run: partway.Run,
    task: str,
    label: str,
    wanted: Request,
    outputs: Outputs,
    quiet: bool,
    source: dict[str, str] | None,
) -> None:
    result = finish(run, label=label, quiet=quiet)
    made = record_of(wanted, pipe, result, task, source)
    path = outputs.save(result.image, made)
    print(f"{path}  {result.image.width}x{result.image.height}, seed {result.seeds[0]}")
    if not quiet:
        print(f"{did(result.plan, strength=task not in NO_STRENGTH)}; {timing(result.seconds)}")
        for drift in result.drift:
            matched = f", {drift.before:.1f} before --colour-match" if drift.after != drift.before else ""
            print(f"mean colour {drift.after:.1f} of 255 from the source's{matched}")
