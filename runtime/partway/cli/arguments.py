"""The parser, arguments that several commands share, and how they become keyword arguments.

None of them has a default of its own: what is not given is not passed on, so that `partway.Settings` and
`partway.load` keep the only copy of every default.
"""

import argparse
import re
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, NoReturn

from partway.cli import embeddings
from partway.cli.controls import add_controls, given_controls
from partway.diffusion.names import SETTING_ALIASES
from partway.engines import ENGINES, EngineOptions
from partway.errors import InputError, meant
from partway.loras import Lora, parsed
from partway.pictures.masks import PADDING
from partway.pictures.metadata import FORMATS
from partway.prompts.syntaxes import SYNTAXES
from partway.settings import Settings

Commands = Any  # argparse's type for what add_subparsers returns is private

SETTINGS = tuple(field.name for field in fields(Settings))
LOAD = (*(field.name for field in fields(EngineOptions)), "preset", "engine", "revision", "prediction")
"""Names of the arguments of `partway.load`, but the model."""


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")


_TEXTS = {"--negative-prompt", "--prompt-2", "--negative-prompt-2", "--then"}  # flags that take any text
_NUMBER = re.compile(r"-\d+|-\d*\.\d+")  # as argparse has it
_FLAGS_ELSEWHERE = {_flag(other): _flag(own) for other, own in SETTING_ALIASES.items()}


class Parser(argparse.ArgumentParser):
    """A parser whose errors are ours: one line, without the usage, and with the flag that was meant.

    A description may be the docstring of the command's file: what it says after the command's name.
    """

    def __init__(self, *, prog: str, description: str = "", **options: Any) -> None:
        text = description.replace("``", "").removeprefix(f"{prog}: ")
        super().__init__(prog=prog, description=text[:1].upper() + text[1:], **options)

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> tuple[Any, list[str]]:
        """As argparse does it, but raise `InputError` for an unknown flag here, where the known ones are known.

        Flags may stand before, between and after the others, and a text may begin with a dash.
        """
        if args is not None and self._subparsers is None:
            args = self._ordered(args)
        found, others = super().parse_known_args(args, namespace)
        others = [other for other in others if other != "--"]
        for flag in (other.partition("=")[0] for other in others if other.startswith("--")):
            near = meant(flag, self._option_string_actions, _FLAGS_ELSEWHERE)
            self.error(f"unknown flag {flag}" + (f", did you mean {near}?" if near else ""))
        return found, others

    def _ordered(self, args: Sequence[str]) -> list[str]:
        """The flags with their values, then what is none: argparse alone takes a first group of these for all."""
        flags: list[str] = []
        others: list[str] = []
        left = deque(args)
        while left:
            one = left.popleft()
            if one == "--":
                others += left
                break
            if one[:1] != "-" or one == "-" or " " in one or _NUMBER.fullmatch(one):
                others.append(one)
                continue
            flags.append(one)
            action = self._action(one)
            if action is not None and action.nargs not in (0, "?"):  # a value that may be missing follows an =
                if not left or not self._suits(action, left[0]):
                    self.error(f"argument {one}: expected one argument")
                value = left.popleft()
                flags[-1:] = [f"{one}={value}"] if one.startswith("--") else [one, value]
        return [*flags, *(["--"] if others else []), *others]

    def _suits(self, action: argparse.Action, value: str) -> bool:
        """Whether what follows a flag can be its value: no other flag, unless it takes any text."""
        if value in self._option_string_actions or value == "--":
            return False
        word = value[:1] == "-" != value and not _NUMBER.fullmatch(value)
        return not word or " " in value or not _TEXTS.isdisjoint(action.option_strings)

    def _action(self, flag: str) -> argparse.Action | None:
        """What a flag without its value does; None where it has that in it, or is unknown.

        Raises `InputError` for a single dash with a word that is no flag: it may be a prompt.
        """
        known = self._option_string_actions
        if flag.startswith("--"):
            names = [flag] if flag in known else [one for one in known if one.startswith(flag)]
            return known[names[0]] if len(names) == 1 else None
        if flag[:2] not in known:
            self.error(f"unknown flag {flag}; text that begins with a dash comes last, after --, as in: -- {flag}")
        if len(flag) > 2:
            return self._action(f"-{flag[2:]}") if known[flag[:2]].nargs == 0 else None
        return known[flag]

    def error(self, message: str) -> NoReturn:
        """Raise `InputError`, which the command line prints."""
        raise InputError(f"{message}{'' if message.endswith('?') else ';'} see: {self.prog} --help")


def supplied(options: argparse.Namespace, names: Iterable[str]) -> dict[str, Any]:
    """Return those of ``names`` that the user gave, with their values."""
    return {name: getattr(options, name) for name in names if hasattr(options, name)}


def add_input(parser: argparse.ArgumentParser) -> None:
    """Add the picture to start from."""
    parser.add_argument("input", metavar="INPUT", type=Path, help="the picture: PNG, JPEG, WebP, TIFF, ...")


def add_task(parser: argparse.ArgumentParser, *, strength: bool = True, instruction: bool = False) -> None:
    """Add what makes pictures of a prompt: the prompt, outputs, replay, settings and model."""
    text = 'what to change, as in "make it snowy"' if instruction else "what the picture should show, in quotes"
    parser.add_argument("prompt", metavar="INSTRUCTION" if instruction else "PROMPT", nargs="?", help=text)
    text = f"a file: {', '.join(FORMATS)} (default: a new .png in the current folder)"
    parser.add_argument("-o", "--output", metavar="OUT", help=text)
    parser.add_argument("--count", type=int, default=1, metavar="N", help="N pictures, with seed, seed + 1, ...")
    text = "repeat the settings inside a picture partway made; flags given here win"
    parser.add_argument("--from-png", metavar="FILE", help=text)
    add_quiet(parser)
    add_settings(parser, strength=strength, instruction=instruction)
    add_model(parser)


def add_pixels(group: Any, name: str, what: str) -> None:
    """Add a number of pixels to a parser or group; it has no default here."""
    group.add_argument(_flag(name), type=int, metavar="N", default=argparse.SUPPRESS, help=f"pixels {what}")


def add_mask(parser: argparse.ArgumentParser) -> None:
    """Add how a mask is used."""
    group = parser.add_argument_group("the mask")
    text = "work on the mask's surroundings alone, enlarged to the model's size"
    group.add_argument("--only-masked", action="store_true", default=argparse.SUPPRESS, help=text)
    add_pixels(group, "padding", f"of surroundings on each side (default {PADDING})")
    add_pixels(group, "mask_blur", "of fading inside it")


def add_settings(parser: argparse.ArgumentParser, *, strength: bool = True, instruction: bool = False) -> None:
    """Add one argument for each field of `Settings`: ``strength`` and ``instruction`` say whether theirs are there."""
    group = parser.add_argument_group("what to make")
    default = Settings()

    def add(name: str, type_: Any, metavar: str, text: str) -> None:
        value = getattr(default, name)
        shown = "" if value in (None, "") else f" (default {value})"
        group.add_argument(_flag(name), type=type_, metavar=metavar, default=argparse.SUPPRESS, help=text + shown)

    if strength:
        add("strength", float, "S", "0 keeps the picture, 1 ignores it")
    add("steps", int, "N", "steps of the whole schedule; strength says how many of them run")
    add("guidance_scale", float, "G", "how much the prompt counts; 1 needs half the work")
    if instruction:
        add("image_guidance_scale", float, "G", "how much the picture counts")
    add("negative_prompt", str, "TEXT", "what the picture should not show")
    add("prompt_2", str, "TEXT", "what SDXL's second text encoder reads; the prompt if not given")
    add("negative_prompt_2", str, "TEXT", "and what it should not show")
    add("prompt_syntax", str, "NAME", f"how weights and long texts are read: {', '.join(SYNTAXES)}")
    add("clip_skip", str, "N", "text encoder layers to leave out, as diffusers counts; a1111:2 counts as A1111 does")
    text = "a textual inversion, for the prompt to name: FILE.safetensors, or FILE:NAME; can be repeated"
    group.add_argument(
        "--embedding",
        type=embeddings.parsed,
        action="append",
        dest="embeddings",
        metavar="FILE",
        default=argparse.SUPPRESS,
        help=text,
    )
    text = "a folder of such files, for the prompt to name"
    group.add_argument("--embedding-dir", metavar="FOLDER", default=None, help=text)
    add("seed", int, "N", "the same seed gives the same picture; -1 draws one")
    add("variation_seed", int, "N", "another seed, to turn the start noise towards")
    add("variation_strength", float, "V", "0 to 1, how far")
    add("sampler", str, "NAME", "see: partway samplers; the model's own if not given")
    add("schedule", str, "NAME", "see: partway schedules; or 'sigmas 14.6,3,0.5'; the model's own if not given")
    if strength:
        add("dial", str, "NAME", "what strength means, see: partway dials")
    add("guidance_rescale", float, "R", "0 to 1, against washed-out colours at high guidance")
    text = "scale the unconditional prediction to fit the other first (CFG-Zero*)"
    group.add_argument("--guidance-zero-star", action="store_true", default=argparse.SUPPRESS, help=text)
    add("guidance_mimic", float, "G", "keep to the range of values of this lower scale, against burnt colours")
    add("guidance_min_sigma", float, "S", "no guidance at noise levels up to this one, which halves their cost")
    add("guidance_max_sigma", float, "S", "no guidance at noise levels above this one")
    add("eta", float, "E", "0 to 1, share of fresh noise in samplers that take it")
    if strength:
        add("colour_match", float, "C", "0 to 1, pulls mean colour and contrast back to the source's")
    add("tile", int, "N", "pixels: work in blended tiles, so that memory does not grow with the picture; 0 chooses")
    add("tile_overlap", int, "N", "pixels that tiles overlap; a quarter of a tile if not given")
    add("reuse", float, "R", "0 to 1: keep the UNet's deep features for this share of the way so far, for speed")
    add("deadline", _seconds, "T", "seconds, as in 8s: drop steps where they are too slow, and end with what there is")
    add("vae_tile", int, "N", "pixels: the same for the VAE alone; as --tile if not given")
    add(
        "vae",
        str,
        "NAME",
        "own; tiny, an autoencoder that the model has beside it; tiny-decoder, its decoder alone; or a file of either",
    )
    text = "a LoRA or relative (.safetensors) with its weight, as film.safetensors:0.8; can be repeated"
    group.add_argument(
        "--lora", type=lora, action="append", dest="loras", metavar="FILE:W", default=argparse.SUPPRESS, help=text
    )
    text = "the folder of what the prompt names as <lora:film:0.8>, and of what a replayed picture names"
    group.add_argument("--lora-dir", metavar="DIR", default=None, help=text)
    add_controls(group)
    add("rng", str, "NAME", "torch-cpu or torch-cuda: whose random numbers a seed stands for")
    add("original_size", _pair, "WxH", "told to SDXL: the size that the picture had")
    add("crop", _pair, "LEFT,TOP", "told to SDXL: how far the picture was cut")
    add("target_size", _pair, "WxH", "told to SDXL: the size that the picture should have")
    add("aesthetic_score", float, "A", "told to SDXL's refiner: how good the picture should be, 0 to 10")
    add("negative_aesthetic_score", float, "A", "and how good what it should not be is")


def settings_of(options: argparse.Namespace) -> dict[str, Any]:
    """The settings that the user gave; raises `InputError` for controls that lack a part."""
    return supplied(options, SETTINGS) | given_controls(options)


def lora(text: str) -> Lora:
    """An adapter, as `partway.loras.parsed` reads it."""
    try:
        return parsed(text)
    except InputError as error:  # a ValueError, whose words argparse would leave out
        raise argparse.ArgumentTypeError(str(error)) from None


def _seconds(text: str) -> float:
    """A number of seconds, with or without an s."""
    try:
        return float(text.lower().removesuffix("s"))
    except ValueError:
        raise argparse.ArgumentTypeError(f"seconds are needed, like 8 or 8s, not {text!r}") from None


def _pair(text: str) -> list[int]:
    """Two whole numbers with an x or a comma between them; `Settings` says what else they must be."""
    try:
        return [int(part) for part in text.lower().replace("x", ",").split(",")]
    except ValueError:
        raise argparse.ArgumentTypeError(f"two whole numbers are needed, like 1024x768, not {text!r}") from None


def add_model(parser: argparse.ArgumentParser) -> None:
    """Add the model and the arguments of `partway.load`."""
    group = parser.add_argument_group("what to run it on")
    text = "a folder, a .safetensors or .gguf file, a Hub id, or one of: partway models (default: rooms)"
    group.add_argument("--model", "-m", metavar="MODEL", help=text)
    add_prediction(group)
    group.add_argument("--revision", default=argparse.SUPPRESS, help="branch, tag or commit of a Hub id")
    add_options(group)


def add_prediction(group: Any) -> None:
    """Add --prediction to a parser or group."""
    text = "epsilon or v_prediction: what a model's file predicts, where it does not say so"
    group.add_argument("--prediction", metavar="NAME", default=argparse.SUPPRESS, help=text)


def add_options(group: Any) -> None:
    """Add the fields of `partway.EngineOptions` and --engine to a parser or group."""
    add_engine(group)
    for flag, type_, metavar, text in (
        ("--preset", str, "NAME", "exact, balanced, fast or tiny, see: partway presets"),
        ("--threads", int, "N", "processor threads (default: the engine's choice)"),
        ("--precision", str, "NAME", "arithmetic: fp32, bf16, fp16, or fastest"),
        ("--cache-dir", str, "FOLDER", "keep compiled networks there, for a quick second start"),
        ("--cache-limit", str, "SIZE", f"the most they take, as 500MB or 2GiB (default {EngineOptions.cache_limit})"),
        ("--batch", int, "N", "largest batch a network is given at once; 1 makes guidance two calls"),
        ("--memory-limit", str, "SIZE", "as 1500MB or 2GiB: run so that less than that is needed, or say why not"),
    ):
        group.add_argument(flag, type=type_, metavar=metavar, default=argparse.SUPPRESS, help=text)
    text = "compile for the exact size of the picture (OpenVINO): faster steps, slower start"
    group.add_argument("--static", action="store_true", default=argparse.SUPPRESS, help=text)
    text = "run the UNet in segments (partway export --segments): the least memory, much slower"
    group.add_argument("--stream", action="store_true", default=argparse.SUPPRESS, help=text)
    text = "release networks between stages: less memory, slower runs"
    group.add_argument("--release", action="store_true", default=argparse.SUPPRESS, help=text)


def add_engine(group: Any) -> None:
    """Add --engine and --device to a parser or group."""
    text = f"auto, {' or '.join(ENGINES)} (default auto)"
    group.add_argument("--engine", metavar="NAME", default=argparse.SUPPRESS, help=text)
    text = "CPU, GPU, NPU, see: partway devices (default CPU)"
    group.add_argument("--device", metavar="NAME", default=argparse.SUPPRESS, help=text)


def add_quiet(parser: argparse.ArgumentParser) -> None:
    """Add --quiet."""
    parser.add_argument("--quiet", "-q", action="store_true", help="no progress bar, print only what was written")
