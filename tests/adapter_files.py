"""Adapters with random numbers: tensors by the ends of their names, and what they add to a weight by the papers.

Formulas are written out here once more, and differently, as `partway.adapters` does not have them.
"""

import numpy as np

RANK, ALPHA = 3, 2.0


def normal(rng, *shape, size=1.0):
    return (rng.standard_normal(shape) * size).astype(np.float32)


def pair(rng, shape, rank=RANK, size=0.3):
    """Down and up whose product is about ``size`` in every number."""
    return normal(rng, rank, *shape[1:], size=size), normal(rng, shape[0], rank, *(1,) * (len(shape) - 2))


def lora(rng, shape, *, alpha=ALPHA, rank=RANK, mid=False, size=0.3):
    down, up = pair(rng, shape, rank, size)
    tensors = {"lora_down.weight": down, "lora_up.weight": up}
    if mid:
        down = tensors["lora_down.weight"] = normal(rng, rank, shape[1], 1, 1, size=size)
        core = tensors["lora_mid.weight"] = normal(rng, rank, rank, *shape[2:])
    if alpha is not None:
        tensors["alpha"] = np.array(alpha, np.float32)
    scale = 1.0 if alpha is None else alpha / rank

    def delta(weight):
        if mid:
            found = np.zeros(shape)
            for y in range(shape[2]):
                for x in range(shape[3]):
                    found[:, :, y, x] = wide(up)[:, :, 0, 0] @ wide(core)[:, :, y, x] @ wide(down)[:, :, 0, 0]
            return scale * found
        return scale * np.tensordot(wide(up).reshape(shape[0], rank), wide(down), 1)

    return tensors, delta


def dora(rng, shape, *, axis=0, end="dora_scale"):
    tensors, plain = lora(rng, shape)
    sizes = [shape[i] if i == axis else 1 for i in range(len(shape))]
    lengths = np.abs(normal(rng, *sizes)) + 0.5
    tensors[end] = lengths.reshape(-1) if "magnitude" in end else lengths

    def delta(weight):
        moved = np.moveaxis(weight + plain(weight), axis, 0)
        flat = moved.reshape(shape[axis], -1)
        turned = [row / np.linalg.norm(row) * length for row, length in zip(flat, wide(lengths).flat, strict=True)]
        return np.moveaxis(np.array(turned).reshape(moved.shape), 0, axis) - weight

    return tensors, delta


def loha(rng, shape, *, tucker=False):
    if tucker:
        (a1, b1), (a2, b2) = ((normal(rng, RANK, shape[0]), normal(rng, RANK, shape[1], size=0.4)) for _ in "12")
        t1, t2 = (normal(rng, RANK, RANK, *shape[2:], size=0.5) for _ in "12")
        tensors = {"hada_t1": t1, "hada_t2": t2}
        first, second = (
            sum(
                np.multiply.outer(np.outer(wide(a)[i], wide(b)[j]), wide(t)[i, j])
                for i in range(RANK)
                for j in range(RANK)
            )
            for a, b, t in ((a1, b1, t1), (a2, b2, t2))
        )
    else:
        a1, a2 = (normal(rng, shape[0], RANK, size=0.5) for _ in "12")
        b1, b2 = (normal(rng, RANK, int(np.prod(shape[1:])), size=0.5) for _ in "12")
        tensors = {}
        first, second = wide(a1) @ wide(b1), wide(a2) @ wide(b2)
    tensors |= {"hada_w1_a": a1, "hada_w1_b": b1, "hada_w2_a": a2, "hada_w2_b": b2, "alpha": np.array(ALPHA, "f4")}
    return tensors, lambda weight: (ALPHA / RANK * first * second).reshape(shape)


def lokr(rng, shape, *, factored=True, tucker=False):
    outer, rest = (4, 4), (shape[0] // 4, shape[1] // 4, *shape[2:])
    w1 = normal(rng, *outer, size=0.5)
    if tucker:
        a, b, t = normal(rng, RANK, rest[0]), normal(rng, RANK, rest[1]), normal(rng, RANK, RANK, *rest[2:], size=0.3)
        tensors = {"lokr_w1": w1, "lokr_w2_a": a, "lokr_w2_b": b, "lokr_t2": t}
        w2 = sum(
            np.multiply.outer(np.outer(wide(a)[i], wide(b)[j]), wide(t)[i, j]) for i in range(RANK) for j in range(RANK)
        )
    elif factored:
        a, b = normal(rng, rest[0], RANK, size=0.5), normal(rng, RANK, int(np.prod(rest[1:])))
        tensors = {"lokr_w1": w1, "lokr_w2_a": a, "lokr_w2_b": b}
        w2 = (wide(a) @ wide(b)).reshape(rest)
    else:
        w2 = normal(rng, *rest, size=0.5)
        tensors = {"lokr_w1": w1, "lokr_w2": w2}
    tensors["alpha"] = np.array(ALPHA, "f4")
    scale = ALPHA / RANK if factored or tucker else 1.0  # two whole matrices have no rank

    def delta(weight):
        found = np.zeros(shape)
        for i in range(4):
            for j in range(4):
                rows, columns = (slice(at * size, (at + 1) * size) for at, size in ((i, rest[0]), (j, rest[1])))
                found[rows, columns] = float(w1[i, j]) * wide(w2)
        return scale * found

    return tensors, delta


def glora(rng, shape, *, old=False):
    inner = int(np.prod(shape[1:]))
    a1, a2 = normal(rng, shape[1], RANK, size=0.2), normal(rng, RANK, shape[1], size=0.2)
    b1, b2 = normal(rng, shape[0], RANK, size=0.2), normal(rng, RANK, inner, size=0.5)

    def delta(weight):
        moved = np.moveaxis(np.moveaxis(weight, 1, -1) @ wide(a1) @ wide(a2), -1, 1)
        return ALPHA / RANK * (moved + (wide(b1) @ wide(b2)).reshape(shape))

    names = ("a2", "a1", "b2", "b1") if old else ("a1", "a2", "b1", "b2")
    stored = {f"{name}.weight": one for name, one in zip(names, (a1, a2, b1, b2), strict=True)}
    return stored | {"alpha": np.array(ALPHA, "f4")}, delta


def ia3(rng, shape, *, inputs=True):
    ratio = normal(rng, shape[1] if inputs else shape[0], size=0.3)
    spread = wide(ratio).reshape((1, -1, *(1,) * (len(shape) - 2)) if inputs else (-1, *(1,) * (len(shape) - 1)))
    tensors = {"weight": ratio if inputs else ratio[:, None], "on_input": np.array(float(inputs), np.float32)}
    return tensors, lambda weight: weight * spread


def full(rng, shape):
    diff = normal(rng, *shape, size=0.3)
    return {"diff": diff}, lambda weight: wide(diff)


def rotation(block, limit):
    skew = wide(block) - wide(block).T
    if limit and np.sqrt((skew**2).sum()) > limit:
        skew = skew * limit / np.sqrt((skew**2).sum())
    return np.linalg.solve((np.eye(len(skew)) - skew).T, (np.eye(len(skew)) + skew).T).T


def oft(rng, shape, *, rescaled=True):
    size = 4
    blocks = normal(rng, shape[0] // size, size, size, size=0.3)
    rescale = 1 + normal(rng, shape[0], *(1,) * (len(shape) - 1), size=0.2)
    tensors = {"oft_blocks": blocks} | ({"rescale": rescale} if rescaled else {})

    def delta(weight):
        turned = np.concatenate(
            [
                np.tensordot(rotation(block, None).T, weight[i * size : (i + 1) * size], 1)
                for i, block in enumerate(blocks)
            ]
        )
        return turned * (wide(rescale) if rescaled else 1) - weight

    return tensors, delta


def boft(rng, shape):
    steps, size = 3, 4
    blocks = normal(rng, steps, shape[0] // size, size, size, size=0.3)

    def delta(weight):
        flat = weight.reshape(shape[0], -1)
        for step in range(steps):
            near = 2**step * size // 2
            order = [start + side * near + at for start in range(0, shape[0], 2 * near)
                     for at in range(near) for side in (0, 1)]  # fmt: skip
            new = flat.copy()
            for group, block in enumerate(blocks[step]):
                rows = order[group * size : (group + 1) * size]
                new[rows] = rotation(block, None) @ flat[rows]
            flat = new
        return flat.reshape(shape) - weight

    return {"oft_blocks": blocks}, delta


def wide(array):
    return array.astype(np.float64)


KINDS = {
    "LoRA": lora,
    "LoRA, no alpha": lambda rng, shape: lora(rng, shape, alpha=None),
    "LoRA, alpha 8 of rank 64": lambda rng, shape: lora(rng, shape, alpha=8.0, rank=64, size=0.1),
    "DoRA of rows": dora,
    "DoRA of columns": lambda rng, shape: dora(rng, shape, axis=1),
    "DoRA of PEFT": lambda rng, shape: dora(rng, shape, end="lora_magnitude_vector"),
    "LoHa": loha,
    "LoKr": lokr,
    "LoKr, whole": lambda rng, shape: lokr(rng, shape, factored=False),
    "GLoRA": glora,
    "GLoRA of old": lambda rng, shape: glora(rng, shape, old=True),
    "IA3 of inputs": ia3,
    "IA3 of outputs": lambda rng, shape: ia3(rng, shape, inputs=False),
    "full": full,
    "OFT": oft,
    "OFT without rescale": lambda rng, shape: oft(rng, shape, rescaled=False),
    "BOFT": boft,
}
"""For weights of any shape with multiples of 16 rows and of 4 columns."""

KERNELS = {
    "LoCon with a middle": lambda rng, shape: lora(rng, shape, mid=True),
    "LoHa, Tucker": lambda rng, shape: loha(rng, shape, tucker=True),
    "LoKr, Tucker": lambda rng, shape: lokr(rng, shape, tucker=True),
}
"""For convolutions with kernels."""
