"""Attention as one operator of ONNX graphs, so that no engine stores its scores for all pairs of positions.

For Stable Diffusion 1.5 and 512x512 pixels the scores take 0.54 GB for each picture of the batch, and as much again
after softmax. The operator is ONNX Runtime's own (com.microsoft), which OpenVINO reads too.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch


@contextmanager
def fused(module: Any) -> Iterator[None]:
    """Have torch record the module's attention without a mask as that operator while this lasts.

    From within the module's calls, for optimum puts a function of its own in the place of torch's before them.
    """
    from torch.nn import functional

    theirs = functional.scaled_dot_product_attention
    ours = _recorded(theirs)

    def attend(query: Any, key: Any, value: Any, attn_mask: Any = None, **others: Any) -> Any:
        if attn_mask is not None or others.get("is_causal"):
            return theirs(query, key, value, attn_mask, **others)
        return ours.apply(query, key, value, int(query.shape[1]), int(query.shape[3]))

    replaced = patch.object(functional, "scaled_dot_product_attention", attend)

    def before(*_args: Any) -> None:
        replaced.start()

    def after(*_args: Any) -> None:
        replaced.stop()

    hooks = [module.register_forward_pre_hook(before), module.register_forward_hook(after, always_call=True)]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _recorded(attend: Any) -> Any:
    """``attend`` as torch records it; query, key and value are (B, heads, N, channels of a head), as is its value."""
    import torch

    class Attention(torch.autograd.Function):  # type: ignore[misc]  # torch is not typed here
        @staticmethod
        def forward(_context: Any, query: Any, key: Any, value: Any, _heads: int, _channels: int) -> Any:
            return attend(query, key, value)

        @staticmethod
        def symbolic(graph: Any, query: Any, key: Any, value: Any, heads: int, channels: int) -> Any:
            def reshape(tensor: Any, *shape: int) -> Any:
                return graph.op("Reshape", tensor, graph.op("Constant", value_t=torch.tensor(shape)))

            def swap(tensor: Any) -> Any:
                return graph.op("Transpose", tensor, perm_i=[0, 2, 1, 3])

            joined = [reshape(swap(tensor), 0, 0, heads * channels) for tensor in (query, key, value)]
            made = graph.op("com.microsoft::MultiHeadAttention", *joined, num_heads_i=heads)
            made.setType(query.type().with_sizes([None, None, heads * channels]))  # which no library infers
            return swap(reshape(made, 0, 0, heads, channels))

    return Attention
