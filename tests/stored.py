"""Files of weights for tests, written byte by byte, so that they can also be wrong."""

import json
import struct
from math import prod
from pathlib import Path

import numpy as np

_TYPES = {"float32": "F32", "float16": "F16", "int64": "I64", "uint8": "U8"}


def write(path, arrays, metadata=None, types=None):
    """Write arrays by name to a .safetensors file; ``types``: another type for some, as "BF16" for uint16 numbers."""
    entries, at = {"__metadata__": metadata} if metadata else {}, 0
    for name, array in arrays.items():
        entries[name] = {
            "dtype": (types or {}).get(name) or _TYPES[array.dtype.name],
            "shape": list(array.shape),
            "data_offsets": [at, at + array.nbytes],
        }
        at += array.nbytes
    return raw(path, entries, b"".join(np.ascontiguousarray(array).tobytes() for array in arrays.values()))


def raw(path, header, data=b""):
    """Write any header, as JSON or as bytes, and what follows it."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path = Path(path)
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)
    return path


def sparse(path, shapes, dtype="F16", metadata=None):
    """Write a file that has tensors of these shapes and takes no room: all of them are zero, which is not stored."""
    entries, at = {"__metadata__": metadata} if metadata else {}, 0
    for name, shape in shapes.items():
        size = prod(shape) * (2 if dtype == "F16" else 4)
        entries[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [at, at + size]}
        at += size
    raw(path, entries)
    with open(path, "r+b") as file:
        file.truncate(path.stat().st_size + at)
    return path
