"""Broken files through the command line, in one process. Each is made from the seed of the campaign and its number."""

import contextlib
import io
import json
import os
import random
import re
import shutil
import signal
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from PIL import Image

from campaign import corpus, mutations, numpy_engine
from campaign.reports import Report
from partway.cli import main
from partway.engines.table import ENGINES

SECONDS, BYTES = 60, 2 * 10**9  # the most that one file may take
COMMON = ("--engine", numpy_engine.NAME, "-q", "-o")
OUTPUTS = ("out.png", "out.png", "out.jpg", "out.webp")


class Late(BaseException):
    """No decoder catches it."""


class Case(NamedTuple):
    """One broken file and the command that is given it."""

    what: str
    arguments: tuple[str, ...]
    output: str | None


class Desk:
    """The folder that everything happens in, with sound files, and how each kind of broken one is made."""

    def __init__(self, folder: Path):
        self.folder, self.heard = folder, folder / "models/heard.txt"
        self.pictures = corpus.pictures()
        self.names = sorted(self.pictures)
        self.sound = folder / "room.png"
        self.sound.write_bytes(self.pictures["PNG RGB 0 bare"])
        self.mask = folder / "mask.png"
        Image.new("L", corpus.SIDE, 255).save(self.mask)
        self.models = corpus.models(folder / "models")
        self.header = json.loads(corpus.checkpoint(folder / "sound.safetensors"))
        self.records = dict(self._records())
        self.kept = shutil.copytree(self.models["combined"], folder / "kept")

    def _records(self) -> Iterator[tuple[str, dict]]:
        for command, more in TASKS.items():
            made = self.folder / f"{command}.png"
            given = [str(self.folder / name) for name in more[:2] if name.endswith(".png")]
            flags = [one for one in more if not one.endswith(".png")]
            words = ("-m", str(self.models["plain"]), "--steps", "2", *COMMON, str(made))
            assert main([command, *given, "a room", *flags, *words]) == 0
            yield command, corpus.record_of(made)

    def case(self, random_: random.Random) -> Case:
        """A broken file, and what is done with it."""
        return random_.choice(KINDS)(self, random_)

    def run(self, random_: random.Random, command: str, *arguments: str, model: str | None = None) -> tuple:
        """A command, and where its result goes."""
        output = random_.choice(OUTPUTS)
        strength = random_.choice(("0", "0.5", "1"))
        model = str(self.models["plain"]) if model is None else model
        flags = () if command == "txt2img" else ("--strength", strength)
        return (command, *arguments, *flags, "-m", model, "--steps", "1", *COMMON, output), output

    def broken_picture(self, random_: random.Random) -> tuple[str, bytes]:
        name, other = random_.choice(self.names), self.pictures[random_.choice(self.names)]
        data = self.pictures[name]
        return name, data if random_.random() < 0.03 else mutations.broken(random_, data, other)


TASKS = {
    "img2img": ("room.png",),
    "inpaint": ("room.png", "mask.png"),
    "outpaint": ("room.png", "--right", "8"),
    "upscale": ("room.png", "--scale", "1.5"),
    "txt2img": ("--width", "24", "--height", "16"),
}


def picture(desk: Desk, random_: random.Random) -> Case:
    name, data = desk.broken_picture(random_)
    (desk.folder / "broken.bin").write_bytes(data)
    arguments, output = desk.run(random_, "img2img", "broken.bin", "a room")
    return Case(name, arguments, output)


def mask(desk: Desk, random_: random.Random) -> Case:
    name, data = desk.broken_picture(random_)
    (desk.folder / "broken.bin").write_bytes(data)
    arguments, output = desk.run(random_, "inpaint", str(desk.sound), "broken.bin", "a room")
    return Case(f"mask {name}", arguments, output)


def replayed_picture(desk: Desk, random_: random.Random) -> Case:
    name, data = desk.broken_picture(random_)
    (desk.folder / "broken.bin").write_bytes(data)
    arguments, output = desk.run(random_, "img2img", str(desk.sound), "--from-png", "broken.bin")
    return Case(f"replay {name}", arguments, output)


def record(desk: Desk, random_: random.Random) -> Case:
    command = random_.choice(sorted(TASKS))
    suffix = random_.choice((".png", ".png", ".jpg", ".webp"))
    text = mutations.altered(random_, desk.records[command])
    if re.search(rb'"(width|height|left|right|top|bottom|scale)": \d{4}', text):  # sound, and large
        text = mutations.altered(random_, {"settings": {}})
    with Image.open(desk.sound) as sound:
        data = corpus.recorded(text, suffix, sound)
    if random_.random() < 0.1:
        data = mutations.broken(random_, data, data)
    (desk.folder / "broken.bin").write_bytes(data)
    sources = {"txt2img": (), "inpaint": (str(desk.sound), str(desk.mask))}.get(command, (str(desk.sound),))
    output = random_.choice(OUTPUTS)
    own = () if random_.random() < 0.3 else ("-m", str(desk.models["plain"]))
    arguments = (command, *sources, "--from-png", "broken.bin", *own, "--steps", "1", *COMMON, output)
    return Case(f"record {command}{suffix} {text[:2000]!r}", arguments, output)


def tokenizer(desk: Desk, random_: random.Random) -> Case:
    folder = desk.kept / "tokenizer"
    file = random_.choice(sorted(folder.iterdir()))
    data = file.read_bytes()
    if file.suffix == ".json" and random_.random() < 0.7:
        data = mutations.altered(random_, json.loads(data))
    else:
        data = mutations.broken(random_, data, b"a b\n")
    file.write_bytes(data)
    if file.name != "tokenizer.json" and random_.random() < 0.8:
        (folder / "tokenizer.json").unlink()
    arguments, output = desk.run(random_, "img2img", str(desk.sound), "a room, é 7!", model=str(desk.kept))
    return Case(f"tokenizer {file.name} {data[:300]!r}", arguments, output)


def config(desk: Desk, random_: random.Random) -> Case:
    file = random_.choice(list(corpus.configs(desk.kept)))
    content = json.loads(file.read_text())
    data = mutations.altered(random_, content | (SCHEDULER if file.parent.name == "scheduler" else {}))
    file.write_bytes(data)
    if random_.random() < 0.3:
        return Case(f"{file.name} {data[:400]!r}", ("info", str(desk.kept)), None)
    arguments, output = desk.run(random_, "img2img", str(desk.sound), "a room", model=str(desk.kept))
    return Case(f"{file.name} {data[:400]!r}", arguments, output)


SCHEDULER = {
    "timestep_spacing": "leading", "use_karras_sigmas": False, "rescale_betas_zero_snr": False, "trained_betas": None,
    "solver_order": 2, "clip_sample": False, "set_alpha_to_one": False, "final_sigmas_type": "zero",
}  # fmt: skip


def graph(desk: Desk, random_: random.Random) -> Case:
    """By an engine in earnest, and so only what its parser refuses: cut, empty, or no graph at all."""
    file = random_.choice(sorted(desk.kept.rglob("*.onnx")))
    data = file.read_bytes()
    file.write_bytes(random_.choice((*mutations.TEXTS, data[: random_.randrange(len(data) // 2)])))
    source, output = str(desk.sound), "out.png"
    flags = ("-m", str(desk.kept), "--steps", "1", "--engine", "onnxruntime", "-q", "-o", output)
    return Case(f"graph {file.parent.name}/{file.name}", ("img2img", source, "a room", *flags), output)


def checkpoint(desk: Desk, random_: random.Random) -> Case:
    path, text = desk.folder / "broken.safetensors", mutations.altered(random_, desk.header)
    if random_.random() < 0.7:  # a tensor or two, of hundreds
        header = dict(desk.header)
        for name in random_.sample(sorted(header), random_.choice((1, 2, 30))):
            entry = mutations.altered(random_, header[name])
            with contextlib.suppress(ValueError, RecursionError):
                header[name] = json.loads(entry)
        text = json.dumps(header).encode()
    length = len(text) if random_.random() < 0.9 else random_.choice((0, 2**63, len(text) + 1, 10**8))
    path.write_bytes(length.to_bytes(8, "little") + text)
    size = (desk.folder / "sound.safetensors").stat().st_size - len(json.dumps(desk.header)) + len(text)
    os.truncate(path, max(0, size - random_.choice((0, 0, 0, 1, 1000))))
    command = random_.choice((("info", str(path)), ("plan", "-m", str(path))))
    return Case(f"checkpoint {text[:100]!r}", command, None)


KINDS: tuple[Callable[[Desk, random.Random], Case], ...] = (
    *(picture,) * 10, mask, mask, replayed_picture, *(record,) * 4, tokenizer, tokenizer, *(config,) * 3, graph,
    checkpoint,
)  # fmt: skip


def attempt(desk: Desk, case: Case) -> str:
    """Run one command and check all that is promised: an outcome in a word. Raises `AssertionError`."""
    before = {name: name.stat().st_mtime_ns for name in desk.folder.iterdir()}
    unheard = desk.heard.stat().st_size
    out, err = io.StringIO(), io.StringIO()
    with (
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
        warnings.catch_warnings(record=True) as heard,
    ):
        warnings.simplefilter("always")
        try:
            code = main(list(case.arguments))
        except SystemExit as left:
            code = left.code
    assert desk.heard.stat().st_size == unheard, f"a library said {desk.heard.read_bytes()[unheard:][:200]}"
    assert not heard, f"a warning: {heard[0].category.__name__}: {str(heard[0].message)[:200]}"
    lines = err.getvalue().splitlines()
    kinds = [line.split(": ")[1] if line.startswith("partway: ") else line for line in lines]
    assert code in (0, 1, 2), f"code {code}"
    assert kinds == ["warning"] * (len(kinds) - (code > 0)) + ["error"] * (code > 0), f"code {code}, said {lines[:3]}"
    assert all(len(line) < 1300 and line.isprintable() for line in lines), f"a line of {max(map(len, lines))}"
    after = {name: name.stat().st_mtime_ns for name in desk.folder.iterdir()}
    made = {name for name in after if before.get(name) != after[name]}
    wanted = {desk.folder / case.output} if code == 0 and case.output else set()
    assert made == wanted and set(before) <= set(after), f"code {code}, wrote {made}"
    for path in made:
        with Image.open(path) as image:
            image.load()
        path.unlink()
    return "made" if wanted else "told" if code == 0 else f"refused {code}"


@contextlib.contextmanager
def libraries_heard(file: Path) -> Iterator[None]:
    """Have what libraries write to the process's standard error in a file."""
    own = os.dup(2)
    with file.open("wb") as opened:
        os.dup2(opened.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(own, 2)
        os.close(own)


def peak() -> int:
    """The most memory of this process since `forget_peak`, in bytes; 0 where the system does not tell."""
    with contextlib.suppress(OSError):
        found = re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())
        return 1024 * int(found[1]) if found else 0
    return 0


def forget_peak() -> None:
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


@contextlib.contextmanager
def limited() -> Iterator[None]:
    """Raise `Late` in what takes longer than it may, where the system can."""

    def ring(*_):
        raise Late(f"more than {SECONDS} s")

    if not hasattr(signal, "setitimer"):
        yield
        return
    others = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, others)


def campaign(folder: Path, seed: int, first: int, count: int) -> Report:
    """Break so many files, from the one of this number on; the current folder has to be ``folder``."""
    ENGINES[numpy_engine.NAME] = numpy_engine.ROW
    try:
        (folder / "models").mkdir()
        with libraries_heard(folder / "models/heard.txt"):
            with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of formats that Pillow will not write for ever
                desk = Desk(folder)
            report = Report("files")
            for number in range(first, first + count):
                one(desk, report, random.Random(f"{seed}:{number} file"), f"{seed}:{number}")
        return report
    finally:
        del ENGINES[numpy_engine.NAME]


def one(desk: Desk, report: Report, random_: random.Random, name: str) -> None:
    begun, case = time.perf_counter(), None
    forget_peak()
    held = peak()
    try:
        case = desk.case(random_)
        with limited():
            outcome = attempt(desk, case)
        seconds = time.perf_counter() - begun
        assert peak() - held < BYTES, f"{(peak() - held) / 1e9:.1f} GB"
        report.outcome(outcome, f"{name} {case.what[:80]}", seconds)
    except AssertionError as error:
        kind = case.what.split(" ")[0] if case else "?"
        report.fault(f"{kind}: {str(error)[:60]}", f"{name} {case}"[:3000], str(error)[:600])
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            raise
        report.raised(error, f"{name} {case}"[:3000])
    finally:
        for path in desk.folder.glob("out.*"):
            path.unlink()
        if case and str(desk.kept) in case.arguments:
            shutil.rmtree(desk.kept)
            shutil.copytree(desk.models["combined"], desk.kept)
