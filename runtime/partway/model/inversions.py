"""Embeddings (textual inversions) for a model: their vectors for its text encoders, and networks that take them."""

from collections.abc import Iterable
from hashlib import sha256
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from partway.engines.weights import with_token_vectors
from partway.errors import PackageError
from partway.model.adapted import Adaptation
from partway.model.package import Package

if TYPE_CHECKING:
    from partway.adapters.embeddings import Embedding

Array = NDArray[np.float32]


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
    wanted = list(embeddings)
    if not wanted:
        return {}
    from partway.adapters.embeddings import open_embedding  # only where there are some, for it takes its time

    return {name: _fitting(package, open_embedding(file, name)) for name, file in wanted}


def taking_vectors(package: Package, adaptation: Adaptation) -> Adaptation:
    """What adapters make of a model, with text encoders that take embeddings."""
    own = {
        name: {name: with_token_vectors(adaptation.networks.get(name, package.networks)[name])}
        for name in package.text_encoders
    }
    keys = {name: f"{adaptation.keys.get(name, '')}, and vectors" for name in own}
    return Adaptation({**adaptation.networks, **own}, {**adaptation.keys, **keys})


def _fitting(package: Package, embedding: "Embedding") -> Inversion:
    from partway.adapters.embeddings import FIRST, SECOND

    roles = {"text_encoder": (FIRST, ""), "text_encoder_2": (SECOND, "")}
    encoders, widths = package.text_encoders, package.text_widths
    alone = len(encoders) == 1 and len(embedding.vectors) == 1
    known = embedding.vectors if len(encoders) > 1 or alone or encoders == ("text_encoder_2",) else {}
    found = [next((known[role] for role in roles[name] if role in known), None) for name in encoders]
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
