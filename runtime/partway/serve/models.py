"""The models that are served, by name: opened on use, and let go where memory is limited."""

import threading
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import partway
from partway.errors import InputError
from partway.model.hub import DEFAULT


class Models:
    """Pipelines by name. Whoever starts the server names the models; over HTTP nobody can name another.

    models   folders, files, Hub ids or names of the catalogue; a name over HTTP is the last part of a path
    options  the arguments of `partway.load`

    With a ``memory_limit``, only the networks of the model in use stay loaded.
    """

    def __init__(self, models: Iterable[str], options: Mapping[str, Any]) -> None:
        self.options = dict(options)
        self.sources: dict[str, str] = {}
        for model in list(models) or [DEFAULT]:
            if self.sources.setdefault(name_of(model), model) != model:
                raise InputError(f"two models would have the name {name_of(model)}; rename a folder")
        self._pipelines: dict[str, partway.Pipeline] = {}
        self._lock = threading.Lock()
        self._in_use: str | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """Every name, the default's first."""
        return tuple(self.sources)

    def known(self, name: object) -> str:
        """The name itself where there is such a model, else the default's, for clients send names of their own."""
        return name if isinstance(name, str) and name in self.sources else self.names[0]

    def pipeline(self, name: str) -> partway.Pipeline:
        """The model, opened: its networks load with the first run. Raises as `partway.load` does."""
        with self._lock:
            if name not in self._pipelines:
                self._pipelines[name] = partway.load(self.sources[name], **self.options)
            return self._pipelines[name]

    def use(self, name: str) -> partway.Pipeline:
        """The model for a run. Only one run at a time may call it."""
        pipe = self.pipeline(name)
        if self._in_use not in (None, name) and self.options.get("memory_limit") is not None:
            self.let_go()
        self._in_use = name
        return pipe

    def let_go(self) -> None:
        """Forget the networks of the model in use; its next run loads them again."""
        if self._in_use is not None:
            pipe = self.pipeline(self._in_use)
            for network in pipe.package.networks:
                pipe.engine.release(network)
        self._in_use = None


def name_of(model: str) -> str:
    """The name of a model over HTTP: a Hub id or a catalogue's name as it is, of a path the last part."""
    path = Path(model)
    if path.expanduser().exists() or model.count("/") != 1 or model.startswith((".", "/", "~")):
        return path.stem if path.suffix == ".safetensors" else path.expanduser().resolve().name
    return model
