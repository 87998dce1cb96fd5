"""``partway sweep``: one picture at several strengths, side by side on a labelled sheet."""

import argparse
from pathlib import Path

import partway
from partway.cli.arguments import Commands, add_input, add_model, add_quiet, add_settings
from partway.cli.messages import libraries_unheard
from partway.cli.outputs import Outputs, check, inputs_of
from partway.cli.progress import did, finish
from partway.cli.request import Request, load, request
from partway.errors import InputError
from partway.pictures import images
from partway.pictures.holding import check_holds
from partway.pictures.metadata import save
from partway.pictures.sheet import contact_sheet
from partway.records import record, source_hashes


def add(commands: Commands) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "sweep", help="one picture at several strengths, on a contact sheet", description=__doc__
    )
    add_input(parser)
    parser.add_argument("prompt", metavar="PROMPT", help="what the pictures should show, in quotes")
    add_sweep(parser, strengths="0,0.2,0.4,0.6,0.8,1")
    parser.set_defaults(command=run)


def add_sweep(parser: argparse.ArgumentParser, *, strengths: str) -> None:
    """Add what `sweep` reads beside the input and the prompt, with the strengths to run by default."""
    parser.add_argument("--strengths", metavar="S,S,...", default=strengths, help="default: %(default)s")
    parser.add_argument("-o", "--output", metavar="SHEET", help="default: a new .png in the current folder")
    parser.add_argument("--save-each", action="store_true", help="write every picture beside the sheet too")
    add_quiet(parser)
    add_settings(parser)
    add_model(parser)
    parser.set_defaults(from_png=None)


def run(options: argparse.Namespace) -> int:
    """Run every strength on one loaded model and lay the pictures out."""
    strengths = strengths_of(options.strengths)
    wanted = request(options, "img2img")
    for strength in strengths:
        partway.Settings(**(wanted.settings | {"strength": strength}))
    outputs = Outputs(options.output, stem=f"{options.input.stem}-sweep", inputs=inputs_of(options))
    if options.save_each and options.output is not None:
        for strength in strengths:
            check(_beside(Path(options.output), strength), inputs_of(options))
    with libraries_unheard():
        picture = images.read(options.input)
    source = source_hashes(options.input, picture)
    pipe = load(wanted)
    results = []
    for strength in strengths:
        run = pipe.stream(wanted.prompt, picture.original, **(wanted.settings | {"strength": strength}))
        if options.save_each:
            untouched = not run.plan.levels
            check_holds(outputs.suffix, run.size, picture=picture, untouched=untouched, texts=[wanted.prompt])
        results.append(finish(run, label=f"strength {strength:g}", quiet=options.quiet))
        if not options.quiet:
            print(f"{did(results[-1].plan)}; {results[-1].seconds['total']:.1f} s")

    made = [result.image for result in results]
    labels = ["original", *(f"strength {strength:g}" for strength in strengths)]
    sheet = contact_sheet([picture.original, *made], labels, title=wanted.prompt, details=_details(results[-1]))
    if picture.icc_profile is not None:
        sheet.info["icc_profile"] = picture.icc_profile
    path = outputs.save(sheet, {"task": "sweep", "prompt": wanted.prompt, "strengths": strengths, "source": source})
    print(f"{path}  {sheet.width}x{sheet.height}, {len(made)} strengths")
    if options.save_each:
        _save_each(path, strengths, results, wanted, pipe, source)
    return 0


def strengths_of(text: str) -> list[float]:
    """The strengths of a text with commas between them, each once; raises `InputError`."""
    try:
        strengths = [float(part) for part in text.split(",")]
    except ValueError:
        raise InputError(f"strengths are numbers with commas between, like 0,0.5,1, not {text!r}") from None
    return list(dict.fromkeys(strengths))


def _beside(sheet: Path, strength: float) -> Path:
    """Return the name of one strength's picture."""
    return sheet.parent / f"{sheet.stem}-{strength:.10g}{sheet.suffix}"


def _details(result: partway.Result) -> str:
    plan, settings = result.plan, result.settings
    return (
        f"{plan.sampler}, {plan.schedule}, {plan.steps} steps, guidance {settings.guidance_scale:g}, "
        f"{plan.dial} dial, seed {result.seeds[0]}"
    )


def _save_each(
    sheet: Path,
    strengths: list[float],
    results: list[partway.Result],
    wanted: Request,
    pipe: partway.Pipeline,
    source: dict[str, str],
) -> None:
    for strength, result in zip(strengths, results, strict=True):
        path = _beside(sheet, strength)
        save(result.image, path, record(result, wanted, pipe.package, task="img2img", source=source))
        print(path)
