"""One picture of a batch from its file to its output, which is left as it is where it is done and unchanged."""

import json
import time
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from threading import Event
from typing import Any, NamedTuple

from PIL import Image

import partway
from partway.batch.jobs import Job
from partway.errors import ImageError, NetworkError
from partway.pictures import images
from partway.pictures.holding import check_holds
from partway.pictures.metadata import file_hash, pixel_hash, read_parameters, save
from partway.records import described, files_of, load_of, record
from partway.run.entries import FAULTS, Ready, Stream, read

MADE, KEPT, FAILED, NO_PICTURE = "made", "kept", "failed", "no picture"

_KEY = "batch"  # of the digest in a record


class Fate(NamedTuple):
    """What became of a file: `MADE`, `KEPT` as it was, `FAILED`, or `NO_PICTURE` by name and contents, and why."""

    picture: str
    output: str
    state: str
    seed: int
    strength: float
    seconds: float
    problem: str = ""


class Looked(NamedTuple):
    """A picture that is to be made: read, with the hash of its file, and the digest of all that it depends on."""

    job: Job
    ready: Ready
    source: str
    digest: str


@dataclass(frozen=True, eq=False)
class Maker:
    """Makes pictures with a pipeline, or several of one model, below a folder.

    stop  ends runs before their next step
    """

    pipe: partway.Pipeline
    out: Path
    stop: Event

    def look(self, job: Job) -> Looked | Fate:
        """Read a picture, unless its output is there and nothing that it depends on has changed."""
        begun = time.perf_counter()
        try:
            source, digest = self.digest(job)
            if _digest_in(self.out / job.output) == digest:
                return self._fate(job, KEPT, begun)
            return Looked(job, read(job.entry, self.pipe.package.size), source, digest)
        except FAULTS as problem:
            state = NO_PICTURE if isinstance(problem, ImageError) and _is_other(job.path) else FAILED
            return self._fate(job, state, begun, problem)

    def make(self, stream: Stream, looked: Looked | Fate) -> Fate:
        """Run a picture that was read, and write its output; what cannot be written at all is raised."""
        if isinstance(looked, Fate):
            return looked
        job, begun = looked.job, time.perf_counter()
        try:
            result = self._run(stream, looked)
        except FAULTS as problem:
            return self._fate(job, FAILED, begun, problem)
        source = {"file_sha256": looked.source, "pixels_sha256": pixel_hash(looked.ready.picture.original)}
        task = "img2img" if looked.ready.edit is None else "inpaint"
        made = record(result, job.wish, self.pipe.package, task=task, source=source)
        path = self.out / job.output
        path.parent.mkdir(parents=True, exist_ok=True)
        save(result.image, path, {**made, _KEY: looked.digest})
        return self._fate(job, MADE, begun)

    def digest(self, job: Job) -> tuple[str, str]:
        """The hash of a picture's file, and that of all that its output depends on: files, settings, the model.

        Neither threads nor the version of a library counts.
        """
        if not job.path.is_file():
            raise images.missing(str(job.path))
        source, settings = file_hash(job.path), self.pipe.package.settings(job.entry.settings)
        mask = job.entry.mask
        told = [
            {"source": source, "mask": file_hash(mask) if isinstance(mask, Path) else None},
            {"prompt": job.wish.prompt, "settings": _plain(settings), "edit": dict(job.entry.edit)},
            {**files_of(settings), "load": load_of(job.wish), "model": described(self.pipe.package)["sha256"]},
        ]
        return source, sha256(json.dumps(told, sort_keys=True, default=str).encode()).hexdigest()

    def done(self, job: Job) -> bool:
        """Whether a picture is done and unchanged."""
        try:
            return _digest_in(self.out / job.output) == self.digest(job)[1]
        except FAULTS:
            return False

    def _run(self, stream: Stream, looked: Looked) -> partway.Result:
        run = looked.ready.begin(stream)
        untouched, texts = not run.plan.levels, (looked.job.wish.prompt, run.settings.negative_prompt)
        suffix = looked.job.output.suffix
        check_holds(suffix, run.size, picture=looked.ready.picture, untouched=untouched, texts=texts)
        for _ in run:
            if self.stop.is_set():
                raise NetworkError("left before it was finished")
        return run.result()

    def _fate(self, job: Job, state: str, begun: float, problem: Exception | None = None) -> Fate:
        settings, seconds = self.pipe.package.settings(job.entry.settings), time.perf_counter() - begun
        why = "" if problem is None else str(problem) or type(problem).__name__
        return Fate(job.entry.name, str(job.output), state, settings.seeds[0], settings.strength, seconds, why)


def _is_other(path: Path) -> bool:
    """Whether a file that is there has no name that pictures have."""
    Image.init()
    return path.is_file() and path.suffix.lower() not in Image.EXTENSION


def _digest_in(output: Path) -> str | None:
    """The digest in an output that is there and whole."""
    if not output.is_file():
        return None
    try:
        found = read_parameters(output).get(_KEY)
    except ImageError:
        return None
    return found if isinstance(found, str) else None


def _plain(settings: partway.Settings) -> dict[str, Any]:
    """Settings as values of JSON; of files the names alone, for `files_of` has their hashes."""
    named: dict[str, Any] = {"embeddings": [name for name, _ in settings.inversions]}
    named |= {"loras": [{**one.as_dict(), "file": Path(one.file).name} for one in settings.adapters]}
    named |= {"control": [one.as_dict() for one in settings.controls]}
    prompt = settings.ip_adapter
    named |= {"ip_adapter": [] if prompt is None else [prompt.as_dict()]}
    return asdict(settings) | named
