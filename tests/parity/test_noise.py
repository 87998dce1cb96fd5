"""The CPU noise stream against torch itself."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from partway.diffusion.noise import Array, TorchCPU
from partway.errors import InputError

# Elsewhere torch computes logarithm and sine otherwise, and may differ by this much from its own AVX2 kernel.
EXACT = torch.backends.cpu.get_cpu_capability() in ("AVX2", "AVX512")
TOLERANCE = 4e-6

SEEDS = st.integers(-(2**63), 2**64 - 1)
SIZES = st.one_of(st.integers(0, 80), st.integers(81, 3000))


def torch_draw(generator: torch.Generator, *shape: int) -> Array:
    drawn: Array = torch.randn(*shape, generator=generator).numpy()
    return drawn


def assert_same(ours: Array, theirs: Array) -> None:
    if EXACT:
        assert_array_equal(ours.view(np.uint32), theirs.view(np.uint32))
    else:
        assert_allclose(ours, theirs, rtol=0, atol=TOLERANCE)


@settings(deadline=None, max_examples=200)
@given(seed=SEEDS, sizes=st.lists(SIZES, min_size=1, max_size=8))
def test_any_draws_in_turn(seed: int, sizes: list[int]) -> None:
    ours, theirs = TorchCPU(seed), torch.Generator().manual_seed(seed)
    for size in sizes:
        assert_same(ours.normal((size,)), torch_draw(theirs, size))


@pytest.mark.parametrize("size", [*range(70), 100, 4096, 16384 + 5])
def test_every_tail(size: int) -> None:
    assert_same(TorchCPU(size).normal((size,)), torch_draw(torch.Generator().manual_seed(size), size))


def test_a_million_values() -> None:
    for seed in range(4):
        ours, theirs = TorchCPU(seed), torch.Generator().manual_seed(seed)
        assert_same(ours.normal((4, 4, 128, 128)), torch_draw(theirs, 4, 4, 128, 128))


@pytest.mark.parametrize("seed", [-(2**63) - 1, 2**64])
def test_torch_refuses_the_same_seeds(seed: int) -> None:
    with pytest.raises((RuntimeError, ValueError)):
        torch.Generator().manual_seed(seed)
    with pytest.raises(InputError, match="out of range"):
        TorchCPU(seed)
