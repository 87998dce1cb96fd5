"""Normal random numbers equal to PyTorch's, so that a seed means the same picture here and in diffusers.

`TorchCPU(seed)` draws what ``torch.randn`` draws from a CPU generator with that seed, bit for bit as torch
computes it on an x86 processor with AVX2. (On others torch takes another logarithm and sine, and differs from
itself by up to 4e-6; this module gives the AVX2 bits on every machine.)

`TorchCUDA(seed)` draws what ``torch.randn`` draws from a CUDA generator: the same random words in the same
order, and normals equal to about 1e-5, because a GPU's logarithm and sine are approximate instructions.

Both are streams: each draw continues where the last one ended.
"""

import math
import operator
import os
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from partway.errors import InputError, is_integer

Array = NDArray[np.float32]
Words = NDArray[np.uint32]
Wide = NDArray[np.uint64]

MIN_SEED, MAX_SEED = -(2**63), 2**64 - 1  # torch's range
DRAWN = -1
"""What everybody has for a seed that is to be drawn."""

# How many threads an NVIDIA A100 holds at once: 108 multiprocessors of 2048.
A100_THREADS = 108 * 2048


class TorchCPU:
    """The stream of a torch CPU generator: Mersenne Twister, then Box-Muller.

    seed: -2**63 to 2**64 - 1, else `InputError`. Only its low 32 bits count, as in torch.
    """

    def __init__(self, seed: int):
        # RandomState is the NumPy generator whose stream is promised never to change (NEP 19).
        self._twister = np.random.RandomState(check_seed(seed) % 2**32)
        self._spare: float | None = None

    def normal(self, shape: Sequence[int]) -> Array:
        """Draw standard normals, float32, of any shape; a shape of size 0 draws nothing."""
        size = math.prod(shape)
        return (self._many(size) if size >= 16 else self._few(size)).reshape(tuple(shape))

    def _words(self, count: int) -> Words:
        return self._twister.randint(0, 2**32, count, np.uint32)

    def _many(self, size: int) -> Array:
        words = self._words(size)
        blocks = size - size % 16
        normals = np.empty(size, np.float32)
        normals[:blocks] = _box_muller_blocks(words[:blocks])
        if blocks < size:  # torch draws the last 16 values afresh, over some that it already has
            normals[-16:] = _box_muller_blocks(self._words(16))
        return normals

    def _few(self, size: int) -> Array:
        return np.array([self._one() for _ in range(size)], np.float32)

    def _one(self) -> float:
        """One normal in double precision; the next call returns its twin, whatever is drawn in between."""
        if self._spare is not None:
            normal, self._spare = self._spare, None
            return normal
        angle = 2 * math.pi * self._uniform()
        radius = math.sqrt(-2 * math.log1p(-self._uniform()))
        self._spare = radius * math.sin(angle)
        return radius * math.cos(angle)

    def _uniform(self) -> float:
        """One double in [0, 1): the low 53 bits of two words, the high word first."""
        high, low = (int(word) for word in self._words(2))
        return ((high << 32) + low) % 2**53 * 2**-53


class TorchCUDA:
    """The stream of a torch CUDA generator: Philox 4x32-10 (Salmon et al. 2011), Box-Muller as in cuRAND.

    seed: -2**63 to 2**64 - 1, else `InputError`; all 64 bits count. threads: how many the GPU holds at once
    (multiprocessors times threads of each), a positive multiple of 256, else `InputError`. A draw of up to so
    many values is the same on every GPU; a larger one torch deals out by this count. Default: an A100's.
    """

    def __init__(self, seed: int, *, threads: int = A100_THREADS):
        if threads < 256 or threads % 256:
            raise InputError(f"threads {threads} fits no GPU; give a positive multiple of 256")
        self._key = check_seed(seed) % 2**64
        self._threads = threads
        self._calls = 0

    def normal(self, shape: Sequence[int]) -> Array:
        """Draw standard normals, float32, of any shape; a shape of size 0 draws nothing."""
        size = math.prod(shape)
        grid = min(math.ceil(size / 256) * 256, self._threads)
        calls = math.ceil(size / (4 * grid)) if size else 0
        call = np.arange(self._calls, self._calls + calls, dtype=np.uint64)[:, np.newaxis]
        self._calls += calls
        a, b, c, d = _philox(self._key, call, np.arange(grid, dtype=np.uint64))
        # Each call gives each thread four normals, which it writes one grid apart: (calls, 4, grid).
        normals = np.stack([*_box_muller_pair(a, b), *_box_muller_pair(c, d)], axis=1)
        return normals.ravel()[:size].reshape(tuple(shape))


GENERATORS: dict[str, type[TorchCPU] | type[TorchCUDA]] = {"torch-cpu": TorchCPU, "torch-cuda": TorchCUDA}


def slerp(noise: NDArray[np.float32], towards: NDArray[np.float32], share: float) -> NDArray[np.float32]:
    """Noise (B, ...) rotated towards other noise by ``share`` (0 .. 1) of the angle between them.

    This spherical interpolation (Shoemake 1985) stays normal, which a mean of both would not.
    """
    axes = tuple(range(1, noise.ndim))

    def length(a: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.sqrt(np.sum(np.square(a), axis=axes, keepdims=True))

    cosine = np.sum(noise * towards, axis=axes, keepdims=True) / (length(noise) * length(towards))
    angle = np.arccos(np.clip(cosine, -1.0, 1.0))
    sine = np.sin(angle)
    flat = sine < 1e-4  # for so small an angle, interpolate linearly
    safe = np.where(flat, 1.0, sine)
    first = np.where(flat, 1 - share, np.sin((1 - share) * angle) / safe)
    second = np.where(flat, share, np.sin(share * angle) / safe)
    return (first * noise + second * towards).astype(np.float32)


def check_seed(seed: Any) -> int:
    """Return a seed as Python's own int, or raise `InputError` unless it is an integer in torch's range."""
    if not is_integer(seed, MIN_SEED, MAX_SEED):
        raise InputError(f"seed {seed!r} is out of range; give an integer from -2**63 to 2**64 - 1")
    return operator.index(seed)


def drawn(seed: Any) -> int:
    """As `check_seed`, but draw one where the seed is `DRAWN`: of 32 bits, as many as other tools take."""
    seed = check_seed(seed)
    return int.from_bytes(os.urandom(4)) if seed == DRAWN else seed


# -- of torch's CPU generator


def _box_muller_blocks(words: Words) -> Array:
    """Turn blocks of 16 random words into 16 normals: 8 radii and 8 angles, then 8 cosines and 8 sines."""
    uniform = ((words & 0xFFFFFF).astype(np.float32) * 2**-24).reshape(-1, 2, 8)
    radius = np.sqrt(-2 * _log(1 - uniform[:, 0]))
    sin, cos = _sincos(uniform[:, 1] * np.float32(2 * math.pi))
    normals = np.stack([radius * cos, radius * sin], axis=1).ravel()
    return normals + np.float32(0)  # torch adds the mean, so it never returns -0


# Logarithm and sine as torch's AVX2 kernel rounds them: the single-precision polynomials of the Cephes
# library (Moshier), vectorised as in sse_mathfun (Pommier), with the multiply-adds that torch's compiler
# fuses. With NumPy's own, one normal in seven differs in its last bits.

# fmt: off
_LOG = np.array([7.0376836292e-2, -1.1514610310e-1, 1.1676998740e-1, -1.2420140846e-1, 1.4249322787e-1,
                 -1.6668057665e-1, 2.0000714765e-1, -2.4999993993e-1, 3.3333331174e-1], np.float32)
# fmt: on
_SIN = np.array([-1.9515295891e-4, 8.3321608736e-3, -1.6666654611e-1], np.float32)
_COS = np.array([2.443315711809948e-5, -1.388731625493765e-3, 4.166664568298827e-2], np.float32)
_LN2_HEAD, _LN2_TAIL = np.array([0.693359375, -2.12194440e-4], np.float32)
_QUARTER_PI_PARTS = np.array([0.78515625, 2.4187564849853515625e-4, 3.77489497744594108e-8], np.float32)


def _fma(a: Array, b: Array | np.float32, c: Array | np.float32) -> Array:
    """Multiply and add, rounded once: the product of two float32 is exact in float64."""
    return (np.multiply(a, b, dtype=np.float64) + c).astype(np.float32)


def _polynomial(coefficients: Array, x: Array) -> Array:
    """Horner's rule, highest power first."""
    y = np.full_like(x, coefficients[0])
    for coefficient in coefficients[1:]:
        y = _fma(y, x, coefficient)
    return y


def _log(x: Array) -> Array:
    """Natural logarithm: x = 2**exponent * (1 + m) with m from sqrt(1/2) - 1 to sqrt(2) - 1."""
    mantissa, power = np.frexp(x)
    low = mantissa < np.float32(math.sqrt(0.5))
    exponent = power.astype(np.float32) - low
    m = np.where(low, mantissa + mantissa, mantissa) - 1
    square = m * m
    y = _fma(_polynomial(_LOG, m) * m, square, exponent * _LN2_TAIL)
    y = _fma(square, np.float32(-0.5), y)
    return _fma(exponent, _LN2_HEAD, m + y)


def _sincos(angle: Array) -> tuple[Array, Array]:
    """Sine and cosine of angles in [0, 2 pi]: polynomials within pi/4 of the nearest multiple of pi/2."""
    octant = ((angle * np.float32(4 / math.pi)).astype(np.int32) + 1) & ~1
    x = angle
    for part in _QUARTER_PI_PARTS:
        x = _fma(octant.astype(np.float32), -part, x)
    square = x * x
    cos = _fma(_polynomial(_COS, square) * square, square, square * np.float32(-0.5)) + 1
    sin = _fma(_polynomial(_SIN, square) * square, x, x)
    swapped = (octant & 2) != 0
    sin, cos = np.where(swapped, cos, sin), np.where(swapped, sin, cos)
    return np.where(octant & 4, -sin, sin), np.where((octant + 2) & 4, -cos, cos)


# -- of torch's CUDA generator


def _philox(key: int, counter: Wide, stream: Wide) -> tuple[Wide, Wide, Wide, Wide]:
    """Four random 32-bit words for each pair of 64-bit counter and stream number (the two broadcast)."""
    half, low = np.uint64(32), np.uint64(0xFFFFFFFF)
    counter, stream = np.broadcast_arrays(counter, stream)
    a, b, c, d = counter & low, counter >> half, stream & low, stream >> half
    key0, key1 = key % 2**32, key >> 32
    for _ in range(10):
        left, right = a * np.uint64(0xD2511F53), c * np.uint64(0xCD9E8D57)
        a, b = (right >> half) ^ b ^ np.uint64(key0), right & low
        c, d = (left >> half) ^ d ^ np.uint64(key1), left & low
        key0, key1 = (key0 + 0x9E3779B9) % 2**32, (key1 + 0xBB67AE85) % 2**32
    return a, b, c, d


def _box_muller_pair(first: Wide, second: Wide) -> tuple[Array, Array]:
    """Turn two arrays of 32-bit words into two of normals."""
    uniform = (first.astype(np.float32) + np.float32(0.5)) * np.float32(2**-32)
    angle = (second.astype(np.float32) + np.float32(0.5)) * np.float32(2 * math.pi * 2**-32)
    radius = np.sqrt(-2 * np.log(uniform))
    return radius * np.sin(angle), radius * np.cos(angle)
