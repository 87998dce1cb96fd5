"""The page's routes: its files, what there is, plans, runs as events, stopping, and records of dropped pictures."""

import io
from pathlib import Path
from typing import Any

import partway
from partway.diffusion.names import A1111_SAMPLERS, A1111_SCHEDULES
from partway.errors import PartwayError
from partway.pictures import metadata
from partway.serve import photos, values
from partway.serve.app import Wing
from partway.serve.http import STREAM, Call, Reply, answer
from partway.serve.openai.replies import error
from partway.serve.page import replies, translate
from partway.serve.refusals import Refusal, invalid, refusal
from partway.serve.service import Service
from partway.serve.waiting import begun, told

_TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
_FILES = {path.name: path for path in (Path(__file__).parent / "static").iterdir() if path.suffix in _TYPES}


def files() -> Wing:
    """The page itself, which holds no secret and needs no token."""

    def part(call: Call) -> Reply:
        return _file(call.path.removeprefix("/page/"))

    return Wing("/page/", {("GET", "/page/"): part}, error, open=True)


def index(call: Call) -> Reply:
    """The page."""
    return _file("index.html")


def wing(service: Service) -> Wing:
    """What the page asks for."""

    def about(call: Call) -> Reply:
        return answer(_about(service))

    def plan(call: Call) -> Reply:
        return answer(_plan(service, call))

    def runs(call: Call) -> Reply:
        job = service.enter(call, "page", translate.wish(call, service))
        return Reply(200, begun(job, replies.events(service, call, job), replies.failed), STREAM, told(job))

    def stop(call: Call) -> Reply:
        job = service.line.found(str(call.fields.get("id")))
        if job is None:
            raise Refusal(404, "that run is over")
        job.stop()
        return answer({})

    def record(call: Call) -> Reply:
        data = call.files.get("image", [b""])[0]
        photos.decoded(data, "image", pixels=1024)
        try:
            return answer(metadata.read_parameters(io.BytesIO(data)))
        except PartwayError:
            return answer({})

    routes = {
        ("GET", "/partway/about"): about,
        ("POST", "/partway/plan"): plan,
        ("POST", "/partway/runs"): runs,
        ("POST", "/partway/stop"): stop,
        ("POST", "/partway/record"): record,
    }
    return Wing("/partway/", routes, error)


def _file(name: str) -> Reply:
    path = _FILES.get(name)
    if path is None:
        raise Refusal(404, "there is nothing at this path", code="not_found")
    return Reply(200, path.read_bytes(), f"{_TYPES[path.suffix]}; charset=utf-8", {"Cache-Control": "no-cache"})


def _about(service: Service) -> dict[str, Any]:
    """What there is to choose from, and what is chosen where nobody chooses."""
    models = []
    for name in service.models.names:
        package = service.models.pipeline(name).package
        chosen = package.settings({})
        own = {"sampler": package.sampler, "schedule": package.schedule}
        defaults = {"steps": chosen.steps, "guidance_scale": chosen.guidance_scale, "strength": chosen.strength}
        if service.strength is not None:
            defaults["strength"] = service.strength
        models.append({"name": name, "size": package.size, **own, "defaults": defaults})
    return {
        "models": models,
        "samplers": {name: A1111_SAMPLERS.get(name, name) for name in partway.SAMPLERS},
        "schedules": {name: A1111_SCHEDULES.get(name, name) for name in partway.SCHEDULES},
        "dials": list(partway.DIALS),
        "loras": list(service.shelf.loras),
        "embeddings": list(service.shelf.embeddings),
        "max_pixels": service.limits.pixels,
        "max_steps": service.limits.steps,
    }


def _plan(service: Service, call: Call) -> dict[str, Any]:
    """What a run with these settings does; nothing runs."""
    settings, _ = values.settings(call.fields)
    pipe = service.models.pipeline(service.models.known(call.fields.get("model")))
    size = translate.size(call.fields) or pipe.package.size
    if size[0] * size[1] > service.limits.pixels:
        raise invalid("size is more than this server works on", "size")
    chosen = {name: value for name, value in settings.items() if name != "seed"}
    chosen = service.defaults(chosen, from_picture=True)
    try:
        made = pipe.plan(image=values.true(call.fields.get("image", True)), width=size[0], height=size[1], **chosen)
    except PartwayError as problem:
        raise refusal(problem) from problem
    return {
        "steps": made.steps,
        "steps_run": made.steps_run,
        "network_calls": made.network_calls,
        "noise_share": made.noise_share,
        "seconds": made.seconds,
        "sampler": made.sampler,
        "schedule": made.schedule,
    }
