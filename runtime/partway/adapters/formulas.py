"""What an adapter adds to a weight, at strength 1: a formula for each kind, in float64.

W is (out, in) or (out, in, kh, kw), as torch stores it; D and U are a pair's down and up, r its rank, s = alpha / r.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Tensors = Mapping[str, Array]


def change(kind: str, tensors: Tensors, weight: Array, alpha: float | None) -> Array:
    """The change of ``weight``, in its shape; ``alpha`` None or 0 stands for the rank."""
    if kind == "LoRA":
        delta = _lora(tensors, weight) * scale(alpha, len(tensors["down"]))
    elif kind == "LoHa":
        delta = _loha(tensors, weight) * scale(alpha, len(tensors["hada_w1_b"]))
    elif kind == "LoKr":
        delta = _lokr(tensors, weight, alpha)
    elif kind == "GLoRA":
        return _glora(tensors, weight, alpha)
    elif kind == "IA3":
        return _ia3(tensors, weight)
    elif kind.startswith("OFT"):
        return _rotated(tensors, weight, alpha) - weight
    elif kind == "replacement":
        return tensors["set_weight"].reshape(weight.shape) - weight
    else:
        return next(iter(tensors[role] for role in ("diff", "w_norm") if role in tensors)).reshape(weight.shape)
    return _decomposed(tensors, weight, delta)


def scale(alpha: float | None, rank: int) -> float:
    """alpha / rank, where None or 0 stands for the rank."""
    return (alpha or rank) / rank


def _lora(tensors: Tensors, weight: Array) -> Array:
    """U D, with what joins both where there is a kernel between them (LoCon, LyCORIS; Hu et al. 2021)."""
    down, up = tensors["down"], tensors["up"]
    up = up.reshape(len(up), -1)
    if "mid" in tensors:
        return np.einsum("oa,abkl,bi->oikl", up, tensors["mid"], down.reshape(len(down), -1), optimize=True)
    product = up @ down.reshape(len(down), -1)
    if down.ndim == 4 and weight.ndim == 4 and down.shape[1] < weight.shape[1]:  # of a model that takes fewer channels
        product = product.reshape(len(up), *down.shape[1:])
        return np.pad(product, ((0, 0), (0, weight.shape[1] - down.shape[1]), (0, 0), (0, 0)))
    return product.reshape(weight.shape)


def _tucker(core: Array, out: Array, inner: Array) -> Array:
    """A core (r, r, kh, kw) between two factors (r, out) and (r, in)."""
    return np.einsum("ijkl,ip,jq->pqkl", core, out, inner, optimize=True)


def _loha(tensors: Tensors, weight: Array) -> Array:
    """The product, number by number, of two low-rank matrices (FedPara, Hyeon-Woo et al. 2021)."""
    parts = []
    for one in "12":
        a, b = tensors[f"hada_w{one}_a"], tensors[f"hada_w{one}_b"]
        core = tensors.get(f"hada_t{one}")
        parts.append(a @ b if core is None else _tucker(core, a, b))
    return (parts[0] * parts[1]).reshape(weight.shape)


def _lokr(tensors: Tensors, weight: Array, alpha: float | None) -> Array:
    """The Kronecker product of two matrices; alpha counts only where one of them is a product."""
    ranks = [len(tensors[name]) for name in ("lokr_w2_b", "lokr_w1_b") if name in tensors]
    first = tensors["lokr_w1"] if "lokr_w1" in tensors else tensors["lokr_w1_a"] @ tensors["lokr_w1_b"]
    if "lokr_w2" in tensors:
        second = tensors["lokr_w2"]
    elif "lokr_t2" in tensors:
        second = _tucker(tensors["lokr_t2"], tensors["lokr_w2_a"], tensors["lokr_w2_b"])
    else:
        second = tensors["lokr_w2_a"] @ tensors["lokr_w2_b"]
    if weight.ndim == 4 and second.ndim == 2:
        inner = weight.shape[1] // first.shape[1]
        second = second.reshape(len(second), inner, *weight.shape[2:])
    first = first.reshape(*first.shape, *(1,) * (second.ndim - 2))
    product: Array = np.asarray(np.kron(first, second), np.float64).reshape(weight.shape)
    return product * (scale(alpha, ranks[0]) if ranks else 1.0)


def _glora(tensors: Tensors, weight: Array, alpha: float | None) -> Array:
    """W A + B with both of low rank (Chavan et al. 2023); files of old have each pair in the other order."""
    a1, a2, b1, b2 = (tensors[name].reshape(len(tensors[name]), -1) for name in ("a1", "a2", "b1", "b2"))
    if not transposed(b1.shape, b2.shape, weight.shape[0]):
        a1, a2, b1, b2 = a2, a1, b2, b1
    # From here on the first of a pair is its down and the second its up: (r, in) and (out, r).
    moved = np.moveaxis(np.tensordot(weight, a2 @ a1, axes=(1, 0)), -1, 1)
    added = b2 @ b1 if "bm" not in tensors else np.einsum("oa,abkl,bi->oikl", b2, tensors["bm"], b1, optimize=True)
    return scale(alpha, len(b1)) * (moved + added.reshape(weight.shape))


def transposed(b1: tuple[int, ...], b2: tuple[int, ...], out: int) -> bool:
    """Whether GLoRA's pairs are in the order of old: down before up."""
    return not (b1[0] == out and b1[1] == b2[0])


def _ia3(tensors: Tensors, weight: Array) -> Array:
    """Inputs or outputs, each times a number (Liu et al. 2022)."""
    axis = 1 if tensors["on_input"].any() else 0
    shape = [1] * weight.ndim
    shape[axis] = -1
    return weight * tensors["ratio"].reshape(shape)


def _rotated(tensors: Tensors, weight: Array, alpha: float | None) -> Array:
    """Rows rotated by orthogonal matrices, in blocks (Qiu et al. 2023) or like butterflies (Liu et al. 2023)."""
    out = len(weight)
    rows = weight.reshape(out, -1)
    if "oft_diag" in tensors:
        rows = _rotate(np.swapaxes(tensors["oft_diag"], -1, -2), rows)
    else:
        rotations = _orthogonal(tensors["oft_blocks"], (alpha or 0.0) * out)
        rows = _rotate(np.swapaxes(rotations, -1, -2), rows) if rotations.ndim == 3 else _butterfly(rotations, rows)
    if "rescale" in tensors:
        rows = rows * tensors["rescale"].reshape(out, 1)
    return rows.reshape(weight.shape)


def _orthogonal(blocks: Array, limit: float) -> Array:
    """Cayley's (I + Q) / (I - Q) of each block's skew part Q, kept below ``limit`` where that is above 0."""
    skew = blocks - np.swapaxes(blocks, -1, -2)
    size = np.linalg.norm(skew)
    if limit > 0 and size > limit:
        skew = skew * (limit / size)
    one = np.eye(skew.shape[-1])
    return (one + skew) @ np.linalg.inv(one - skew)


def _rotate(rotations: Array, rows: Array) -> Array:
    count, size = rotations.shape[:2]
    return (rotations @ rows.reshape(count, size, -1)).reshape(rows.shape)


def _butterfly(rotations: Array, rows: Array) -> Array:
    size = rotations.shape[-1]
    for step, each in enumerate(rotations):
        near = 2**step * size // 2
        order = np.arange(len(rows)).reshape(-1, 2, near).swapaxes(1, 2).reshape(-1)
        rotated = np.empty_like(rows)
        rotated[order] = _rotate(each, rows[order])
        rows = rotated
    return rows


def _decomposed(tensors: Tensors, weight: Array, delta: Array) -> Array:
    """DoRA (Liu et al. 2024): W + delta gets the stored lengths of its rows or columns; without those it is delta."""
    if "magnitude" in tensors:
        lengths = tensors["magnitude"].reshape(-1, *(1,) * (weight.ndim - 1))
    elif "dora_scale" in tensors:
        lengths = tensors["dora_scale"]
        lengths = lengths.reshape(*lengths.shape, *(1,) * (weight.ndim - lengths.ndim))
    else:
        return delta
    moved = weight + delta
    kept = 0 if lengths.shape[0] == weight.shape[0] else 1  # one length a row, or one a column
    norms = np.sqrt((moved**2).sum(axis=tuple(axis for axis in range(weight.ndim) if axis != kept), keepdims=True))
    return moved * (lengths / np.where(norms == 0, 1.0, norms)) - weight
