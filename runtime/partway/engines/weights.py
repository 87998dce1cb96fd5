"""Weights that stay in the file that they came in: where their bytes lie, and whether that file is still the same."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from partway.errors import PackageError

BITS = {
    "BOOL": 8, "U8": 8, "I8": 8, "F8_E4M3": 8, "F8_E5M2": 8, "F8_E8M0": 8,
    "I16": 16, "U16": 16, "F16": 16, "BF16": 16,
    "I32": 32, "U32": 32, "F32": 32,
    "I64": 64, "U64": 64, "F64": 64, "C64": 64,
}  # fmt: skip
"""Bits of one number, by what .safetensors calls its type."""


class Source(NamedTuple):
    """A file as it was when it was read first; ``path`` has no links, for engines refuse some that lead elsewhere."""

    path: Path
    size: int
    changed: int  # nanoseconds

    @classmethod
    def of(cls, path: Path) -> "Source":
        """The file as it is now; raises `OSError`."""
        about = path.stat()
        return cls(path.resolve(), about.st_size, about.st_mtime_ns)

    def check(self) -> None:
        """Raise `PackageError` if the file is another one by now: what is mapped of it would be read wrongly."""
        try:
            same = Source.of(self.path) == self
        except OSError:
            same = False
        if not same:
            raise PackageError(f"{self.path} has changed since it was opened; load the model again")


class Weight(NamedTuple):
    """Where a tensor lies: ``dtype`` is a key of `BITS`, ``offset`` counts bytes from the start of the file."""

    source: Source
    dtype: str
    shape: tuple[int, ...]
    offset: int

    @property
    def length(self) -> int:
        """Bytes."""
        return prod(self.shape) * BITS[self.dtype] // 8

    def part(self, index: int, count: int) -> "Weight":
        """One of ``count`` equal parts along the first axis."""
        shape = (self.shape[0] // count, *self.shape[1:])
        return self._replace(shape=shape, offset=self.offset + index * self.length // count)


class Change(NamedTuple):
    """A weight that is computed, in place of the one that lies in a file.

    key    text that is equal where the numbers are
    shape  as the network takes it
    make   computes the numbers, float32
    """

    key: str
    shape: tuple[int, ...]
    make: Callable[[], NDArray[np.float32]]

    def values(self) -> NDArray[np.float32]:
        """The numbers in their shape."""
        return np.ascontiguousarray(self.make(), np.float32).reshape(self.shape)


class Graph(Protocol):
    """A network that was written here, or changed, and the weights that it takes from elsewhere, by name."""

    @property
    def exported(self) -> Path | None:
        """The file that it is a changed form of, beside which its other weights lie; None if it was written here."""
        ...

    @property
    def weights(self) -> Mapping[str, Weight]:
        """Those that lie in files, and where; the network has them in float32."""
        ...

    @property
    def changes(self) -> Mapping[str, Change]:
        """Those that are computed."""
        ...

    @property
    def inputs(self) -> Mapping[str, tuple[str, Sequence[int | str]]]:
        """What it takes: type as in `BITS`, and sizes, of which those with a name may be any."""
        ...

    @property
    def outputs(self) -> Mapping[str, object]:
        """What it gives, in order."""
        ...

    def with_files(self) -> bytes:
        """The ONNX model with weights as external data of files, which are named without their folder.

        Those that are computed are further inputs.
        """
        ...

    def with_inputs(self) -> bytes:
        """The model, ONNX or OpenVINO's, with both kinds of weights as further inputs, in float32."""
        ...


@dataclass(frozen=True, eq=False)
class WithTokenVectors:
    """A text encoder that also takes vectors in place of tokens (`partway.engines.token_vectors`)."""

    source: Path | Graph

    @property
    def changes(self) -> Mapping[str, Change]:
        """The weights that are computed."""
        return {} if isinstance(self.source, Path) else self.source.changes


Networks = Mapping[str, Path | Graph]
"""Networks by name: files of a format that an engine reads, or what was written here."""

Openable = Path | Graph | WithTokenVectors
"""What an engine opens."""


def with_token_vectors(network: Openable) -> WithTokenVectors:
    """A text encoder that also takes vectors."""
    return network if isinstance(network, WithTokenVectors) else WithTokenVectors(network)


def one_file(graph: Graph) -> Path | None:
    """One of the files that its weights lie in, all of which are in one folder; None where all are computed."""
    return min((weight.source.path for weight in graph.weights.values()), default=None)


def check(graph: Graph) -> None:
    """Raise `PackageError` if a file of its weights has changed."""
    for source in {weight.source for weight in graph.weights.values()}:
        source.check()
