"""What adapters do to a model's weights: found for all of them before anything is changed, and made layer by layer."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from partway.adapters import blocks, formulas, names, shapes
from partway.adapters.reading import Adapter, Module, open_adapter
from partway.adapters.roles import BIAS
from partway.checkpoints.values import read
from partway.errors import PackageError
from partway.loras import Lora

Shapes = Mapping[str, Mapping[str, tuple[int, ...]]]
"""The shapes of a model's weights, by network and by diffusers' names, as torch has them."""

_FAMILIES = {768: "Stable Diffusion 1.x", 1024: "Stable Diffusion 2.x", 2048: "SDXL", 1280: "SDXL's refiner"}


class Contribution(NamedTuple):
    """One adapter's share in the change of one weight: ``weight`` times what it was trained to change."""

    adapter: Adapter
    module: Module
    weight: float


@dataclass(frozen=True)
class Delta:
    """The change of one parameter by all adapters, each computed from the base, so that their order does not matter."""

    parts: tuple[Contribution, ...]
    bias: bool = False

    @property
    def key(self) -> str:
        """Text that is equal where the change is."""
        return repr([(one.adapter.source, one.module.name, one.weight) for one in self.parts])

    def applied(self, base: NDArray[np.float32]) -> NDArray[np.float32]:
        """The parameter as it is with the adapters, from what it is without."""
        if not self.bias and all(_is_pair(part.module, base.shape) for part in self.parts):
            first, *rest = (_product(part.module, part.weight) for part in self.parts)
            made = first.reshape(base.shape)
            for other in (*rest, base):
                made += other.reshape(base.shape)
            return made
        wide = base.astype(np.float64)
        total = wide.copy()
        for part in self.parts:
            total += part.weight * _change(part.module, wide, bias=self.bias)
        return total.astype(np.float32)


def _is_pair(module: Module, shape: Sequence[int]) -> bool:
    """Whether a module is a plain LoRA, whose product needs no more than float32."""
    plain = module.kind == "LoRA" and module.tensors.keys() <= {"down", "up", "alpha"}
    return plain and prod(module.tensors["down"].shape[1:]) == prod(shape[1:])


def _product(module: Module, weight: float) -> NDArray[np.float32]:
    """What a plain LoRA adds to its weight, as a matrix."""
    down, up = (read(module.tensors[role]) for role in ("down", "up"))
    scale = np.float32(weight * formulas.scale(_alpha(module), len(down)))
    return np.asarray((up.reshape(len(up), -1) * scale) @ down.reshape(len(down), -1), np.float32)


def _change(module: Module, base: NDArray[np.float64], *, bias: bool) -> NDArray[np.float64]:
    tensors = module.values()
    if bias:
        return next(tensors[role] for role in BIAS if role in tensors).reshape(base.shape)
    return formulas.change(module.kind, tensors, base, _alpha(module))


def _alpha(module: Module) -> float | None:
    stored = module.tensors.get("alpha")
    return module.alpha if stored is None else float(read(stored).reshape(-1)[0])


def find(loras: Iterable[Lora], model: Shapes, width: int, *, cut: bool = False) -> dict[str, dict[str, Delta]]:
    """The changes of a model's parameters, by network and name; those that come to nothing are left out.

    ``width`` is that of the text that the UNet reads. ``cut`` says that the model is a larger one with layers left
    out, whose adapters it takes as far as it can. Raises `PackageError` for an adapter that does not fit.
    """
    layers = {
        network: [name.rpartition(".")[0] for name in own if not name.endswith(".bias")]
        for network, own in model.items()
    }
    known = names.table(layers)
    found: dict[tuple[str, str, bool], list[Contribution]] = {}
    for lora in loras:
        adapter = open_adapter(lora.file)
        for name, layer in _placed(adapter, known, width, cut=cut).items():
            module = adapter.modules[name]
            for parameter, bias in _parameters(module, layer):
                _check_shape(adapter, module, model[layer.network].get(parameter), parameter, bias=bias)
                if weight := _weight(lora, layer):
                    key = (layer.network, parameter, bias)
                    found.setdefault(key, []).append(Contribution(adapter, module, weight))
    deltas: dict[str, dict[str, Delta]] = {}
    for (network, parameter, bias), parts in found.items():
        ordered = sorted(parts, key=lambda one: (one.adapter.source, one.module.name, one.weight))
        deltas.setdefault(network, {})[parameter] = Delta(tuple(ordered), bias)
    return deltas


def text_width(adapter: Adapter) -> int | None:
    """The width of the text that the UNet reads for which an adapter was made; None where it does not show."""
    for name, module in adapter.modules.items():
        if "attn2" in name and name.replace("processor_", "").endswith(("to_k", "to_v")):
            extent = shapes.extent(module.kind, _shapes(module), (0, 0)) if module.kind not in ("IA3", "") else None
            if extent and extent.columns:
                return extent.columns
    return None


def family(width: int) -> str:
    """What people call the models whose UNet reads text of this width."""
    return f"{_FAMILIES.get(width, 'another kind of model')} (text of width {width})"


def _placed(adapter: Adapter, known: Mapping[str, names.Layer], width: int, *, cut: bool) -> dict[str, names.Layer]:
    """The layer that each of an adapter's modules changes."""
    made_for = text_width(adapter)
    if made_for not in (None, width):
        raise PackageError(f"{adapter.path} is for {family(made_for)}, and this model is {family(width)}")
    found = {name: known[name] for name in adapter.modules if name in known}
    missing = [name for name in adapter.modules if name not in known]
    if missing and not (cut and found):
        raise PackageError(
            f"{adapter.path} changes {len(adapter.modules)} layers, of which this model has {len(found)}; "
            f"it lacks {missing[0]}"
        )
    return found


def _parameters(module: Module, layer: names.Layer) -> list[tuple[str, bool]]:
    """The parameters that a module changes, and whether each is a bias."""
    found = [(f"{layer.name}.weight", False)] if module.kind else []
    return found + [(f"{layer.name}.bias", True)] * any(role in module.tensors for role in BIAS)


def _weight(lora: Lora, layer: names.Layer) -> float:
    if layer.network != "unet":
        return (lora.unet if lora.text is None else lora.text) * (lora.blocks[0] if lora.blocks else 1.0)
    return lora.unet * blocks.factor(lora.blocks, layer.original)


def _shapes(module: Module) -> dict[str, tuple[int, ...]]:
    return {role: weight.shape for role, weight in module.tensors.items()}


def _check_shape(adapter: Adapter, module: Module, shape: Sequence[int] | None, parameter: str, *, bias: bool) -> None:
    """Raise `PackageError` unless a module's tensors fit the parameter, with both sizes."""
    if shape is None:
        raise PackageError(f"{adapter.path} changes {parameter}, which this model does not have")
    shape, own = tuple(shape), _shapes(module)
    if bias:
        sizes = [own[role] for role in BIAS if role in own]
        wanted, fits = "x".join(map(str, sizes[0])), sizes == [shape]
    else:
        extent = shapes.extent(module.kind, own, shape)
        if extent is None:
            raise PackageError(f"{adapter.path} has tensors of {module.name} that do not fit each other")
        wanted = "x".join(map(str, own["ratio"])) if module.kind == "IA3" else str(extent)
        fits = shapes.fits(module.kind, own, shape, extent)
    if not fits:
        whole = f"{shape[0]}x{int(np.prod(shape[1:]))}" if len(shape) > 1 else str(shape[0])
        raise PackageError(f"{adapter.path} changes {wanted} numbers of {parameter}, which this model has {whole} of")
