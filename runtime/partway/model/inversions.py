"""Embeddings (textual inversions) for a model: their vectors for its text encoders, and engines that take them."""

from collections.abc import Callable, Iterable, Mapping
from hashlib import sha256
from threading import Lock
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from partway.adapters.embeddings import FIRST, SECOND, Embedding, open_embedding
from partway.engines import Engine, Signature
from partway.engines.weights import Networks, Openable, Worded
from partway.errors import PackageError
from partway.model.package import Package

Array = NDArray[np.float32]
Open = Callable[[Mapping[str, Openable]], Engine]

_ROLES = {"text_encoder": (FIRST, ""), "text_encoder_2": (SECOND, "")}


class Inversion(NamedTuple):
    """The vectors (N, D) of an embedding for each text encoder, in order, and a hash of them."""

    vectors: tuple[Array, ...]
    digest: str

    @property
    def size(self) -> int:
        """How many vectors it has."""
        return len(self.vectors[0])


def inversions(package: Package, embeddings: Iterable[tuple[str, str]]) -> dict[str, Inversion]:
    """The embeddings of files, by name; raises `PackageError` for one that is not for this kind of model."""
    return {name: _fitting(package, open_embedding(file, name)) for name, file in embeddings}


def text_encoders(package: Package, changed: Mapping[str, Networks]) -> Networks:
    """A model's text encoders, as adapters have ``changed`` them, by the part of the model."""
    return {name: changed.get(name, package.networks)[name] for name in package.text_encoders}


def _fitting(package: Package, embedding: Embedding) -> Inversion:
    encoders, widths = package.text_encoders, package.text_widths
    alone = len(encoders) == 1 and len(embedding.vectors) == 1
    known = embedding.vectors if len(encoders) > 1 or alone or encoders == ("text_encoder_2",) else {}
    found = [next((known[role] for role in _ROLES[name] if role in known), None) for name in encoders]
    have = " and ".join(str(array.shape[1]) for array in embedding.vectors.values())
    arrays = [array for array in found if array is not None]
    if len(arrays) < len(encoders) or any(
        array.shape[1] != width for array, width in zip(arrays, widths, strict=True) if width
    ):
        wanted = " and ".join(str(width or "?") for width in widths)
        raise PackageError(
            f"{embedding.path} has vectors of {have} numbers where this model's take {wanted}; it is for another kind "
            "of model"
        )
    return Inversion(tuple(arrays), sha256(b"".join(array.tobytes() for array in arrays)).hexdigest())


class Inverted:
    """The text encoders that take embeddings, of the last run that had some."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._kept: tuple[str, Engine] | None = None

    def over(self, base: Engine, networks: Networks, key: str, opening: Open) -> Engine:
        """An engine for one run whose text encoders, those in ``networks``, take embeddings.

        ``key`` is text that is equal where the networks are. Without networks those of earlier runs are given up.
        """
        with self._lock:
            if not networks:
                self._kept = None
                return base
            if self._kept is None or self._kept[0] != key:
                self._kept = (key, opening({name: Worded(one) for name, one in networks.items()}))
            for name in networks:
                base.release(name)
            return _Either(base, frozenset(networks), self._kept[1])


class _Either:
    """Runs some networks on an engine of their own, and all others on the model's."""

    def __init__(self, base: Engine, names: frozenset[str], engine: Engine) -> None:
        self._base, self._names, self._engine = base, names, engine
        self.batch = base.batch

    def signature(self, network: str) -> Signature:
        """What the network takes and gives."""
        return self._of(network).signature(network)

    def run(self, network: str, inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Run the network once."""
        return self._of(network).run(network, inputs)

    def release(self, network: str) -> None:
        """Forget a network to free its memory."""
        self._of(network).release(network)

    def _of(self, network: str) -> Engine:
        return self._engine if network in self._names else self._base
