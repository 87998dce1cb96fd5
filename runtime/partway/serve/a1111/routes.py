"""The routes under /sdapi/v1."""

from collections.abc import Callable
from typing import Any

from partway.serve.a1111 import extras, lists, replies, translate
from partway.serve.app import Handler, Wing
from partway.serve.http import Call, Reply, answer
from partway.serve.jobs import Job, Owner
from partway.serve.service import Service
from partway.serve.waiting import answered, told

_API = "a1111"
_NOTHING = ("refresh-checkpoints", "refresh-vae", "refresh-loras", "refresh-embeddings")
_EMPTY_OBJECTS = ("unload-checkpoint", "reload-checkpoint")


def wing(service: Service) -> Wing:
    """A1111's API on a service."""

    def txt2img(call: Call) -> Reply:
        return _run(service, call, picture=False)

    def img2img(call: Call) -> Reply:
        return _run(service, call, picture=True)

    def progress(call: Call) -> Reply:
        mine = _mine(service, call)
        running = next((job for job in mine if job.state == "running"), None)
        skipped = str(call.fields.get("skip_current_image", call.fields.get("skipCurrentImage"))).lower() == "true"
        return answer(replies.progress(running, len(mine), picture=not skipped))

    def interrupt(call: Call) -> Reply:
        for job in _mine(service, call):
            job.stop()
        return answer({})

    def skip(call: Call) -> Reply:
        for job in _mine(service, call)[:1]:
            job.stop()
        return answer(None)

    def choose(call: Call) -> Reply:
        translate.choose(call.fields, service)
        return answer(None)

    posts: dict[str, Handler] = {
        "txt2img": txt2img,
        "img2img": img2img,
        "interrupt": interrupt,
        "skip": skip,
        "options": choose,
        "png-info": _content(lambda call: extras.told(call.fields)),
        "extra-single-image": _content(lambda call: extras.enlarged(call.fields)),
        "extra-batch-images": _content(lambda call: extras.several(call.fields)),
        **{name: _content(lambda call: {}) for name in _EMPTY_OBJECTS},
        **{name: _content(lambda call: None) for name in _NOTHING},
    }
    routes = {
        ("GET", "/sdapi/v1/progress"): progress,
        **{("GET", f"/sdapi/v1/{name}"): _list(content) for name, content in lists.answers(service).items()},
        **{("POST", f"/sdapi/v1/{name}"): handler for name, handler in posts.items()},
    }
    return Wing("/sdapi/", routes, replies.error, replies.status)


def _run(service: Service, call: Call, *, picture: bool) -> Reply:
    wish = translate.wish(call.fields, service, picture=picture)
    job = service.enter(call, _API, wish)
    return answered(call, job, lambda job: replies.pictures(job, call.fields), replies.error, told(job))


def _mine(service: Service, call: Call) -> list[Job]:
    """The requests of this API from the same address: nobody sees or stops another's."""
    return [job for job in service.line.jobs if job.owner == Owner(_API, call.address)]


def _list(content: Callable[[], Any]) -> Handler:
    return lambda call: answer(content())


def _content(content: Callable[[Call], Any]) -> Handler:
    return lambda call: answer(content(call))
