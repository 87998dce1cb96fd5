"""The header of a GGUF file (llama.cpp's format, versions 2 and 3), of models in F32, F16, BF16 and Q8_0.

Sizes come in the order in which numbers lie, the last of NumPy's shape first. Q8_0 has blocks of 32 numbers: a scale
in float16 and 32 whole numbers of 8 bits. No engine reads those where they lie, so a file that has some is written once
into partway's cache folder, as .safetensors with these in float16. Convolutions do not bear types with fewer bits.
"""

import json
import struct
from collections.abc import Iterator
from hashlib import sha256
from math import prod
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from partway.checkpoints.safetensors import LONGEST, Header
from partway.checkpoints.safetensors import read_header as read_safetensors
from partway.engines.weights import BITS, Source, Weight
from partway.errors import PackageError
from partway.support.files import cache_folder, write_atomically

MAGIC = b"GGUF"
_VERSIONS = (2, 3)
_TYPES = {0: "F32", 1: "F16", 30: "BF16", 28: "F64", 24: "I8", 25: "I16", 26: "I32", 27: "I64"}
_Q8_0 = 8
_FEWER = {
    2: "Q4_0", 3: "Q4_1", 6: "Q5_0", 7: "Q5_1", 9: "Q8_1", 10: "Q2_K", 11: "Q3_K", 12: "Q4_K", 13: "Q5_K", 14: "Q6_K",
    15: "Q8_K", 16: "IQ2_XXS", 17: "IQ2_XS", 18: "IQ3_XXS", 19: "IQ1_S", 20: "IQ4_NL", 21: "IQ3_S", 22: "IQ2_S",
    23: "IQ4_XS", 29: "IQ1_M", 34: "TQ1_0", 35: "TQ2_0", 39: "MXFP4",
}  # fmt: skip
_BLOCK, _BLOCK_BYTES = 32, 34
_VALUES = {0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 6: "<f", 7: "<?", 10: "<Q", 11: "<q", 12: "<d"}
_STRING, _ARRAY = 8, 9
_MOST = 100_000  # of tensors, and of other entries
_SHAPE = "comfy.gguf.orig_shape."  # of tensors that were stored in another one
_CHUNK = 1 << 16  # blocks that are unpacked at a time


class _Tensor(NamedTuple):
    """Where a tensor lies, in a type that has no name in .safetensors files where it is packed."""

    name: str
    shape: tuple[int, ...]
    packed: bool
    dtype: str
    offset: int

    @property
    def length(self) -> int:
        numbers = prod(self.shape)
        return numbers // _BLOCK * _BLOCK_BYTES if self.packed else numbers * BITS[self.dtype] // 8


def is_gguf(path: Path) -> bool:
    """Whether a file says that it is one; raises `OSError`."""
    with path.open("rb") as file:
        return file.read(4) == MAGIC


def read_header(path: Path) -> Header:
    """Read and check the header; raises `PackageError` saying what is wrong, or which type is not read."""
    try:
        source = Source.of(path)
        with path.open("rb") as file:
            found, metadata = _parsed(file.read(LONGEST), source)
    except OSError as error:
        raise PackageError(f"{path} cannot be read: {error.strerror}") from error
    except (struct.error, UnicodeDecodeError, MemoryError, OverflowError) as error:
        raise PackageError(f"{path} has no header of a GGUF file, or was cut short; download it again") from error
    for one in found:
        if one.offset + one.length > source.size:
            raise PackageError(f"{path} ends before {one.name} does; download it again")
    if any(one.packed for one in found):
        return read_safetensors(_unpacked(source, found, metadata))
    return Header({one.name: Weight(source, one.dtype, one.shape, one.offset) for one in found}, metadata)


def _parsed(text: bytes, source: Source) -> tuple[list[_Tensor], dict[str, str]]:
    """The tensors, and what the writer said of the file; raises as `struct` does where the header ends early."""
    reader = _Reader(text)
    magic, version, tensors, entries = reader.take("<4sIQQ")
    if magic != MAGIC or version not in _VERSIONS or tensors > _MOST or entries > _MOST:
        raise struct.error
    told = dict((reader.text(), reader.value(*reader.take("<I"))) for _ in range(entries))
    alignment = told.get("general.alignment", 32)
    described = [_described(reader, told, source) for _ in range(tensors)]
    if not isinstance(alignment, int) or not 0 < alignment <= 1 << 20:
        raise struct.error
    start = -(-reader.at // alignment) * alignment
    found = [one._replace(offset=one.offset + start) for one in described]
    if len({one.name for one in found}) != len(found):
        raise struct.error
    return found, {name: value for name, value in told.items() if isinstance(value, str)}


def _described(reader: "_Reader", told: dict[str, Any], source: Source) -> _Tensor:
    """One tensor, its bytes counted from the end of the header."""
    name, (dims,) = reader.text(), reader.take("<I")
    if dims > 8:
        raise struct.error
    sizes = reader.take(f"<{dims}Q")
    kind, offset = reader.take("<IQ")
    shape = tuple(reversed(sizes))
    if kind not in (*_TYPES, _Q8_0):
        raise PackageError(
            f"{source.path} has {name} as {_FEWER.get(kind, f'type {kind}')}; partway reads F32, F16, BF16 and Q8_0, "
            "for fewer bits ruin convolutions"
        )
    if kind == _Q8_0 and shape[-1] % _BLOCK:
        raise struct.error
    own = told.get(f"{_SHAPE}{name}")
    if isinstance(own, list) and all(isinstance(size, int) for size in own) and prod(own) == prod(shape):
        shape = tuple(own)
    return _Tensor(name, shape, kind == _Q8_0, _TYPES.get(kind, "F16"), offset)


class _Reader:
    """Takes what follows from bytes; raises `struct.error` at their end."""

    def __init__(self, text: bytes) -> None:
        self.text_, self.at = text, 0

    def take(self, form: str) -> tuple[Any, ...]:
        found = struct.unpack_from(form, self.text_, self.at)
        self.at += struct.calcsize(form)
        return found

    def text(self) -> str:
        (length,) = self.take("<Q")
        if length > len(self.text_) - self.at:
            raise struct.error
        self.at += length
        return self.text_[self.at - length : self.at].decode()

    def value(self, kind: int) -> Any:
        """A number, a text, or a list of such; lists of lists are not told."""
        if kind == _STRING:
            return self.text()
        if kind != _ARRAY:
            return self.take(_form(kind))[0]
        kind, count = self.take("<IQ")
        if kind == _STRING:
            return [self.text() for _ in range(min(count, len(self.text_)))]
        form = _form(kind)
        if count * struct.calcsize(form) > len(self.text_):
            raise struct.error
        return list(self.take(f"<{count}{form[1:]}"))


def _form(kind: int) -> str:
    if kind not in _VALUES:
        raise struct.error
    return _VALUES[kind]


def _unpacked(source: Source, tensors: list[_Tensor], metadata: dict[str, str]) -> Path:
    """The same model as .safetensors in the cache folder, made where it is not there for this state of the file."""
    key = sha256(repr((str(source.path), source.size, source.changed)).encode()).hexdigest()[:24]
    folder = cache_folder()
    if folder is None:
        raise PackageError(f"{source.path} has Q8_0 weights, which need a cache folder: set $PARTWAY_CACHE to one")
    path = folder / "unpacked" / f"{key}.safetensors"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        entries: dict[str, Any] = {"__metadata__": metadata}
        at = 0
        for one in tensors:
            length = prod(one.shape) * BITS[one.dtype] // 8
            entries[one.name] = {"dtype": one.dtype, "shape": one.shape, "data_offsets": (at, at + length)}
            at += length
        header = json.dumps(entries).encode()

        def write(file: BinaryIO) -> None:
            file.write(struct.pack("<Q", len(header)) + header)
            with source.path.open("rb") as stored:
                for one in tensors:
                    for part in _numbers(stored, one):
                        file.write(part)

        write_atomically(path, write)
    return path


def _numbers(file: BinaryIO, tensor: _Tensor) -> Iterator[bytes]:
    """A tensor's numbers, those that are packed as float16."""
    file.seek(tensor.offset)
    left = tensor.length
    while left:
        part = file.read(min(left, _CHUNK * _BLOCK_BYTES))
        if not part:
            raise OSError(5, "ended too early")
        left -= len(part)
        if not tensor.packed:
            yield part
            continue
        blocks = np.frombuffer(part, np.dtype([("scale", "<f2"), ("values", "i1", _BLOCK)]))
        yield (blocks["scale"].astype(np.float32)[:, None] * blocks["values"]).astype("<f2").tobytes()
