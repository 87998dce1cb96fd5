"""What each tensor of an adapter's file is for, told by the end of its name, and the kinds that they make up."""

from collections.abc import Iterable

_NAMES = {
    "down": (
        ".lora_down.weight", ".lora.down.weight", "_lora.down.weight", ".lora_A.weight", ".lora_A.default.weight",
        ".lora_linear_layer.down.weight", ".lora_A",
    ),
    "up": (
        ".lora_up.weight", ".lora.up.weight", "_lora.up.weight", ".lora_B.weight", ".lora_B.default.weight",
        ".lora_linear_layer.up.weight", ".lora_B",
    ),
    "mid": (".lora_mid.weight",),
    "magnitude": (
        ".lora_magnitude_vector", ".lora_magnitude_vector.weight", ".lora_magnitude_vector.default.weight",
        ".lora_magnitude_vector.default",
    ),
    "a1": (".a1.weight",), "a2": (".a2.weight",), "b1": (".b1.weight",), "b2": (".b2.weight",), "bm": (".bm.weight",),
    "ratio": (".weight",),
}  # fmt: skip
_PLAIN = (
    "alpha", "dora_scale", "hada_w1_a", "hada_w1_b", "hada_w2_a", "hada_w2_b", "hada_t1", "hada_t2", "lokr_w1",
    "lokr_w1_a", "lokr_w1_b", "lokr_w2", "lokr_w2_a", "lokr_w2_b", "lokr_t2", "on_input", "diff", "diff_b", "w_norm",
    "b_norm", "oft_blocks", "oft_diag", "rescale", "set_weight",
)  # fmt: skip
ENDS = {end: role for role, ends in _NAMES.items() for end in ends} | {f".{role}": role for role in _PLAIN}
"""The role of a tensor by the end of its name; of two that fit, the longer counts."""

_ORDERED = sorted(ENDS, key=len, reverse=True)
BIAS = ("diff_b", "b_norm")
"""Roles that change a layer's bias."""

KINDS = {
    "LoRA": ({"down", "up"}, {"mid", "dora_scale", "magnitude"}),
    "LoHa": ({"hada_w1_a", "hada_w1_b", "hada_w2_a", "hada_w2_b"}, {"hada_t1", "hada_t2", "dora_scale"}),
    "LoKr": (
        set[str](),
        {"lokr_w1", "lokr_w1_a", "lokr_w1_b", "lokr_w2", "lokr_w2_a", "lokr_w2_b", "lokr_t2", "dora_scale"},
    ),
    "GLoRA": ({"a1", "a2", "b1", "b2"}, {"bm"}),
    "IA3": ({"ratio", "on_input"}, set[str]()),
    "OFT": ({"oft_blocks"}, {"rescale"}),
    "OFT of old": ({"oft_diag"}, {"rescale"}),
    "full difference": ({"diff"}, set[str]()),
    "difference of norms": ({"w_norm"}, set[str]()),
    "replacement": ({"set_weight"}, set[str]()),
}
"""The roles that each kind has, and may have."""


def split(name: str) -> tuple[str, str] | None:
    """The layer's part of a tensor's name, and its role; None where no adapter has such a name."""
    end = next((end for end in _ORDERED if name.endswith(end)), None)
    return (name[: -len(end)], ENDS[end]) if end and len(name) > len(end) else None


def kind_of(roles: Iterable[str]) -> str | None:
    """The kind that tensors of these roles are; "" where they change a bias alone, None where they are none."""
    rest = set(roles) - {"alpha", *BIAS}
    if not rest:
        return ""
    for kind, (needed, more) in KINDS.items():
        if needed <= rest <= needed | more and (kind != "LoKr" or _kronecker(rest)):
            return kind
    return None


def _kronecker(roles: set[str]) -> bool:
    """Whether both factors of a Kronecker product are there, each whole or as a product."""
    return all(
        ({f"lokr_{one}"} & roles) != ({f"lokr_{one}_a", f"lokr_{one}_b"} & roles)
        and (f"lokr_{one}" in roles or {f"lokr_{one}_a", f"lokr_{one}_b"} <= roles)
        for one in ("w1", "w2")
    )
