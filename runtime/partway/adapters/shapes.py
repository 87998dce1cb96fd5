"""Whether an adapter's tensors fit a weight, from their shapes alone, before any is read."""

from collections.abc import Mapping
from math import prod
from typing import NamedTuple

from partway.adapters.formulas import transposed

Shape = tuple[int, ...]


class Extent(NamedTuple):
    """Rows, and numbers in each row, of the weight that tensors change; None where any number goes."""

    rows: int | None
    columns: int | None

    def __str__(self) -> str:
        return "x".join("any" if one is None else str(one) for one in self)


def extent(kind: str, shapes: Mapping[str, Shape], shape: Shape) -> Extent | None:
    """What tensors of these shapes change, of a weight of ``shape``; None where they do not fit each other."""
    flat = {role: (one[0], prod(one[1:])) for role, one in shapes.items() if one}
    if kind == "LoRA":
        (rank, inner), (rows, joined) = flat["down"], flat["up"]
        kernel = prod(shapes["mid"][2:]) if "mid" in shapes else 1
        return Extent(rows, inner * kernel) if rank == joined else None
    if kind == "LoHa":
        return _hadamard(shapes, flat)
    if kind == "LoKr":
        return _kronecker(shapes, flat)
    if kind == "GLoRA":
        first, second = (flat["b1"], flat["b2"])[:: -1 if transposed(shapes["b1"], shapes["b2"], shape[0]) else 1]
        kernel = prod(shapes["bm"][2:]) if "bm" in shapes else 1
        return Extent(first[0], second[1] * kernel) if first[1] == second[0] else None
    if kind == "IA3":
        return Extent(None, None)  # which axis it is, its numbers say
    if kind.startswith("OFT"):
        blocks = next(shapes[role] for role in ("oft_blocks", "oft_diag") if role in shapes)
        return Extent(blocks[-3] * blocks[-2], None) if len(blocks) in (3, 4) and blocks[-1] == blocks[-2] else None
    role = next(iter(role for role in ("diff", "w_norm", "set_weight") if role in shapes))
    return Extent(*flat[role]) if shapes[role] else None


def fits(kind: str, shapes: Mapping[str, Shape], shape: Shape, found: Extent) -> bool:
    """Whether a change of this extent can be made to a weight of ``shape``."""
    rows, columns = shape[0], prod(shape[1:])
    if kind == "IA3":
        return prod(shapes["ratio"]) in (rows, shape[1])
    if kind == "LoRA" and len(shape) == 4 and len(shapes["down"]) == 4 and "mid" not in shapes:
        _, channels, *kernel = shapes["down"]
        if tuple(kernel) == shape[2:] and channels == 4 and shape[1] in (8, 9):  # the model also takes a picture
            return found.rows == rows
    return found.rows in (None, rows) and found.columns in (None, columns)


def _hadamard(shapes: Mapping[str, Shape], flat: Mapping[str, tuple[int, int]]) -> Extent | None:
    found = set()
    for one in "12":
        a, b, core = flat[f"hada_w{one}_a"], flat[f"hada_w{one}_b"], shapes.get(f"hada_t{one}")
        if core is None:
            found.add(Extent(a[0], b[1]) if a[1] == b[0] else None)
        else:
            found.add(Extent(a[1], b[1] * prod(core[2:])) if core[:2] == (a[0], b[0]) else None)
    return found.pop() if len(found) == 1 else None


def _kronecker(shapes: Mapping[str, Shape], flat: Mapping[str, tuple[int, int]]) -> Extent | None:
    parts = []
    for one in ("w1", "w2"):
        core = shapes.get("lokr_t2") if one == "w2" else None
        if f"lokr_{one}" in flat:
            parts.append(flat[f"lokr_{one}"])
            continue
        a, b = flat[f"lokr_{one}_a"], flat[f"lokr_{one}_b"]
        if core is not None:
            parts.append((a[1], b[1] * prod(core[2:])))
        elif a[1] == b[0]:
            parts.append((a[0], b[1]))
    if len(parts) != 2:
        return None
    return Extent(parts[0][0] * parts[1][0], parts[0][1] * parts[1][1])
