"""The numbers of a tensor that lies in a file, as float32."""

import numpy as np
from numpy.typing import NDArray

from partway.engines.weights import Weight
from partway.errors import PackageError

_PLAIN = {"F32": "<f4", "F16": "<f2", "F64": "<f8", "I64": "<i8", "I32": "<i4", "U8": "u1", "I8": "i1"}


def read(weight: Weight) -> NDArray[np.float32]:
    """Read a tensor; raises `PackageError` if it is of a type that no weights have."""
    weight.source.check()
    with weight.source.path.open("rb") as file:
        file.seek(weight.offset)
        stored = file.read(weight.length)
    if weight.dtype in _PLAIN:
        return np.frombuffer(stored, _PLAIN[weight.dtype]).reshape(weight.shape).astype(np.float32)
    if weight.dtype == "BF16":  # the upper half of a float32
        return (np.frombuffer(stored, "<u2").astype(np.uint32) << 16).view(np.float32).reshape(weight.shape)
    if weight.dtype == "F8_E5M2":  # the upper half of a float16
        return (np.frombuffer(stored, "u1").astype(np.uint16) << 8).view(np.float16).reshape(weight.shape).astype("f4")
    if weight.dtype == "F8_E4M3":
        return _E4M3[np.frombuffer(stored, "u1")].reshape(weight.shape)
    raise PackageError(f"{weight.source.path} has weights of type {weight.dtype}, which partway does not read")


def _e4m3() -> NDArray[np.float32]:
    """The 256 numbers of four exponent bits and three of mantissa: no infinities, 0x7F and 0xFF are not numbers."""
    code = np.arange(256)
    exponent, mantissa = (code >> 3) & 15, code & 7
    size = np.where(exponent == 0, mantissa / 8 * 2.0**-6, (1 + mantissa / 8) * 2.0 ** (exponent - 7.0))
    size = np.where((code & 127) == 127, np.nan, size)
    return np.where(code & 128, -size, size).astype(np.float32)


_E4M3 = _e4m3()
