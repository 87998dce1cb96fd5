"""A small language for networks: each layer adds operators to a graph, and names the tensor that it gives.

Layers are called by diffusers' names of them, which are those of their weights. Pictures are (B, C, H, W), tokens
(B, N, C), and sizes may be any.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from partway.building.network import Network, Node, Seam, Value
from partway.building.onnx import MICROSOFT, TYPES, Attribute
from partway.engines.weights import Weight
from partway.errors import PackageError

_DECIMALS = ("F32", "F16", "BF16", "F8_E4M3", "F8_E5M2")
_NEAREST = {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}


class Graph:
    """A network while it is written; ``known`` are the weights that it may refer to, by diffusers' names."""

    def __init__(self, known: Mapping[str, Weight]) -> None:
        self.known = known
        self._nodes: list[Node] = []
        self._constants: dict[str, NDArray[np.generic]] = {}
        self._used: dict[str, Weight] = {}
        self._scaled: dict[str, str] = {}
        self._inputs: dict[str, Value] = {}
        self._outputs: dict[str, Value] = {}
        self._values: dict[str, Value] = {}
        self._seams: list[Seam] = []

    def input(self, name: str, dtype: str, *dims: int | str) -> str:
        """A tensor that the network takes."""
        self._inputs[name] = Value(dtype, dims)
        return name

    def output(self, tensor: str, name: str, *dims: int | str) -> None:
        """Give a tensor, of float32, to whoever runs the network; the first is its result."""
        self._outputs[self.named(tensor, name)] = Value("F32", dims)

    def named(self, tensor: str, name: str) -> str:
        """The tensor under a name that others know."""
        if tensor != name:
            self._nodes.append(Node("Identity", (tensor,), (name,), "", {}))
        return name

    def keep(self, tensor: str, *dims: int | str) -> str:
        """Say the sizes of a tensor of float32 that may be handed over where the network is cut."""
        self._values[tensor] = Value("F32", dims)
        return tensor

    def seam(self, tensor: str, *dims: int | str) -> str:
        """A place where the network may be cut, behind what gives ``tensor``."""
        self.keep(tensor, *dims)
        self._seams.append(Seam(len(self._nodes), dict(self._values)))
        return tensor

    def finish(self) -> Network:
        """The network."""
        return Network(self._nodes, self._constants, self._used, self._inputs, self._outputs, self._seams)

    def op(self, kind: str, *inputs: str, domain: str = "", **attributes: Attribute) -> str:
        """Any operator of one output."""
        name = f"{kind}_{len(self._nodes)}"
        self._nodes.append(Node(kind, inputs, (name,), domain, attributes))
        return name

    def const(self, value: ArrayLike, dtype: DTypeLike = np.int64) -> str:
        """A tensor that is always the same."""
        array = np.asarray(value, dtype)
        known = (name for name, other in self._constants.items() if _same(other, array))
        name = next(known, f"constant_{len(self._constants)}")
        self._constants[name] = array
        return name

    def real(self, value: ArrayLike) -> str:
        """A tensor of float32 that is always the same."""
        return self.const(value, np.float32)

    # Weights

    def has(self, layer: str, kind: str = "weight") -> bool:
        """Whether there are such weights."""
        return f"{layer}.{kind}" in self.known

    def count(self, layers: str) -> int:
        """How many ``layers`` there are, as ``resnets`` in ``resnets.0.norm1...``."""
        start = f"{layers}."
        return len({name[len(start) :].partition(".")[0] for name in self.known if name.startswith(start)})

    def shape(self, layer: str, kind: str = "weight") -> tuple[int, ...]:
        """The sizes of a layer's weights; raises `PackageError` naming them if there are none."""
        return self._weight(f"{layer}.{kind}").shape

    def weight(self, name: str, shape: tuple[int, ...] | None = None) -> str:
        """A tensor of weights, in float32, read as of another shape where one is given; raises as `shape` does."""
        stored = self._weight(name)
        if stored.dtype not in _DECIMALS:
            raise PackageError(f"{stored.source.path} has {name} of type {stored.dtype}, which no network runs with")
        self._used[name] = stored._replace(shape=shape or stored.shape)
        scale = f"{name}.scale".replace(".weight.scale", ".scale_weight")
        if scale not in self.known:
            return name
        if name not in self._scaled:  # of eight bits, which do not reach far without it
            self._used[scale] = self.known[scale]._replace(shape=(1,) * len(self._used[name].shape))
            self._scaled[name] = self.op("Mul", name, scale)
        return self._scaled[name]

    def _weight(self, name: str) -> Weight:
        if name not in self.known:
            raise PackageError(f"the model lacks the weights {name}; download it again")
        return self.known[name]

    # Arithmetic and shapes

    def add(self, a: str, b: str) -> str:
        """The sum, of numbers of one size or such that repeat."""
        return self.op("Add", a, b)

    def mul(self, a: str, b: str) -> str:
        """The product, as `add`."""
        return self.op("Mul", a, b)

    def reshape(self, x: str, *sizes: int) -> str:
        """The same numbers in another shape: 0 keeps a size, -1 is what is left."""
        return self.op("Reshape", x, self.const(sizes))

    def shaped(self, x: str, like: str) -> str:
        """The same numbers in the shape of another tensor."""
        return self.op("Reshape", x, self.op("Shape", like))

    def transpose(self, x: str, *axes: int) -> str:
        """The axes in another order."""
        return self.op("Transpose", x, perm=axes)

    def concat(self, *parts: str, axis: int) -> str:
        """Tensors side by side."""
        return self.op("Concat", *parts, axis=axis)

    def slice(self, x: str, start: int, end: int, axis: int) -> str:
        """A part along one axis."""
        return self.op("Slice", x, self.const([start]), self.const([end]), self.const([axis]))

    def halves(self, x: str, size: int, axis: int) -> tuple[str, str]:
        """Two parts of ``size`` each along one axis."""
        first, second = (f"Split_{len(self._nodes)}.{index}" for index in (0, 1))
        self._nodes.append(Node("Split", (x, self.const([size, size])), (first, second), "", {"axis": axis}))
        return first, second

    # Activations

    def silu(self, x: str) -> str:
        """x * sigmoid(x)."""
        return self.mul(x, self.op("Sigmoid", x))

    def gelu(self, x: str) -> str:
        """x times the normal distribution's share below x."""
        below = self.add(self.op("Erf", self.op("Div", x, self.real(2**0.5))), self.real(1))
        return self.mul(self.mul(x, below), self.real(0.5))

    def quick_gelu(self, x: str) -> str:
        """OpenAI's approximation of `gelu`."""
        return self.mul(x, self.op("Sigmoid", self.mul(x, self.real(1.702))))

    # Layers

    def conv(self, x: str, layer: str, *, stride: int = 1, pads: tuple[int, int, int, int] | None = None) -> str:
        """A convolution; without ``pads`` (top, left, bottom, right) it pads half a kernel on every side."""
        shape = self.shape(layer)
        shape = (*shape, *(1,) * (4 - len(shape)))  # a linear layer of each pixel
        bias = [self.weight(f"{layer}.bias")] if self.has(layer, "bias") else []
        pads = pads or (shape[2] // 2,) * 4
        return self.op(
            "Conv", x, self.weight(f"{layer}.weight", shape), *bias,
            kernel_shape=shape[2:], strides=(stride, stride), pads=pads,
        )  # fmt: skip

    def linear(self, x: str, layer: str) -> str:
        """x W^T + b of tokens; weights lie as torch stores them (out, in), and neither engine copies them to turn."""
        weight = self.weight(f"{layer}.weight", self.shape(layer)[:2])
        product = self.op("FusedMatMul", x, weight, domain=MICROSOFT, transB=1)
        return self.add(product, self.weight(f"{layer}.bias")) if self.has(layer, "bias") else product

    def linear_rows(self, x: str, layer: str) -> str:
        """The same of rows (B, C), one a picture."""
        bias = [self.weight(f"{layer}.bias")] if self.has(layer, "bias") else []
        return self.op("Gemm", x, self.weight(f"{layer}.weight"), *bias, transB=1)

    def layer_norm(self, x: str, layer: str, eps: float = 1e-5) -> str:
        """Each token with mean 0 and variance 1, then scaled and moved."""
        weight, bias = self.weight(f"{layer}.weight"), self.weight(f"{layer}.bias")
        return self.op("LayerNormalization", x, weight, bias, axis=-1, epsilon=eps)

    def group_norm(self, x: str, layer: str, groups: int, eps: float) -> str:
        """The same of groups of channels, each over the whole picture.

        Not with the operator GroupNormalization, which in ONNX Runtime loses digits where a mean is large.
        """
        ones, zeros = self.real(np.ones(groups)), self.real(np.zeros(groups))
        split = self.op("InstanceNormalization", self.reshape(x, 0, groups, -1), ones, zeros, epsilon=eps)
        (channels,) = self.shape(layer)
        scale, shift = (self.weight(f"{layer}.{kind}", (channels, 1, 1)) for kind in ("weight", "bias"))
        return self.add(self.mul(self.shaped(split, x), scale), shift)

    def attention(
        self, x: str, layer: str, heads: int, *, context: str | None = None, beside: tuple[str, str] | None = None
    ) -> str:
        """Attention of tokens to those of ``context``, by default to each other (Vaswani et al. 2017).

        ``beside``: keys and values of others, which the same queries attend to by themselves (Ye et al. 2023, arXiv
        2308.06721).
        """
        seen = context or x
        query, key, value = self.linear(x, f"{layer}.to_q"), *(self.linear(seen, f"{layer}.to_{one}") for one in "kv")
        mixed = self.attend(query, key, value, heads)
        if beside is not None:
            mixed = self.add(mixed, self.attend(query, *beside, heads))
        return self.linear(mixed, f"{layer}.to_out.0")

    def attend(self, query: str, key: str, value: str, heads: int) -> str:
        """What queries find among keys and values, before it is projected."""
        return self.op("MultiHeadAttention", query, key, value, domain=MICROSOFT, num_heads=heads)

    def enlarge(self, x: str, like: str | None = None) -> str:
        """Every pixel repeated: twice in either direction, or until the picture has the size of ``like``."""
        if like is None:
            return self.op("Resize", x, "", self.real([1, 1, 2, 2]), **_NEAREST)
        size = self.concat(
            self.slice(self.op("Shape", x), 0, 2, 0), self.slice(self.op("Shape", like), 2, 4, 0), axis=0
        )
        return self.op("Resize", x, "", "", size, **_NEAREST)

    def to_float(self, x: str) -> str:
        """Whole numbers as float32."""
        return self.op("Cast", x, to=TYPES["F32"])


def _same(a: NDArray[np.generic], b: NDArray[np.generic]) -> bool:
    return a.dtype == b.dtype and a.shape == b.shape and bool((a == b).all())
