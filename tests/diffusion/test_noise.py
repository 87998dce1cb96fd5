"""Noise streams against values that torch printed, without torch."""

import hashlib

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from partway.diffusion import noise
from partway.diffusion.noise import GENERATORS, TorchCPU, TorchCUDA
from partway.errors import InputError

LATENTS = (1, 4, 64, 64)

# torch.randn(1, 4, 64, 64) on a CPU: seed, bits of the first four values, sum, digest of the bytes.
TORCH_CPU = [
    (0, "bf901b85 bf93808a be804bd6 bede255d", -124.11269989912398,
     "24efac55b39e95b2d74d8fb5b3a8e8a8e808bd04129f260c4cdbb225bb952a4d"),
    (42, "3ff6a529 3fbe5f53 3f669567 c006c0db", 149.76480043913034,
     "e97f3de04c7c6ba86354db4402b91d4402ede9c72aabed29a96dd7d635a798ba"),
    (2**40 + 7, "bf51f456 3eca902b 3f661ede bfb1b738", 85.15984359715367,
     "e0236a3fd3aea2d52159dbbb9c363da74ea06cccba20eb26132c4fb0d3d8fa63"),
]  # fmt: skip


@pytest.mark.parametrize(("seed", "bits", "total", "digest"), TORCH_CPU)
def test_cpu_latents_equal_torch_bit_for_bit(seed: int, bits: str, total: float, digest: str) -> None:
    drawn = TorchCPU(seed).normal(LATENTS)
    assert drawn.shape == LATENTS
    assert drawn.dtype == np.float32
    assert [f"{word:08x}" for word in drawn.ravel()[:4].view(np.uint32)] == bits.split()
    assert drawn.sum(dtype=np.float64) == pytest.approx(total, abs=1e-9)
    assert hashlib.sha256(drawn.astype("<f4").tobytes()).hexdigest() == digest


def test_cpu_counts_the_low_32_bits_of_the_seed() -> None:
    seven = TorchCPU(7).normal((64,))
    for same in (2**32 + 7, 2**40 + 7, -(2**32) + 7):
        assert_array_equal(TorchCPU(same).normal((64,)), seven)
    last = TorchCPU(2**64 - 1).normal((64,))
    for same in (-1, 2**32 - 1):
        assert_array_equal(TorchCPU(same).normal((64,)), last)
    assert not np.array_equal(last, seven)


def test_cuda_counts_all_64_bits_of_the_seed() -> None:
    assert not np.array_equal(TorchCUDA(7).normal((64,)), TorchCUDA(2**32 + 7).normal((64,)))
    assert_array_equal(TorchCUDA(-1).normal((64,)), TorchCUDA(2**64 - 1).normal((64,)))


@pytest.mark.parametrize("name", sorted(GENERATORS))
@pytest.mark.parametrize("seed", [-(2**63) - 1, 2**64, 10**30, 1.5, "7", None])
def test_a_seed_outside_the_range_of_torch_is_refused(name: str, seed: int) -> None:
    with pytest.raises(InputError, match=r"-2\*\*63 to 2\*\*64 - 1"):
        GENERATORS[name](seed)


@pytest.mark.parametrize("name", sorted(GENERATORS))
@pytest.mark.parametrize("seed", [-(2**63), 2**64 - 1])
def test_the_ends_of_the_range_are_accepted(name: str, seed: int) -> None:
    assert np.isfinite(GENERATORS[name](seed).normal((20,))).all()


# One torch generator with seed 42, drawn from in turn: small draws, a tail of 16, a spare kept over both.
# fmt: off
IN_TURN = [
    [0.336690366, 0.128809407, 0.234462366],
    [1.78778934, -0.478045255, -0.242858633, -0.934163153, -0.248257503, 0.0915456563, -2.31692266,
     -0.216804728, -1.38467371, -0.871236145, -0.223365918, 1.71736145, 0.31888032, -0.0630743802,
     -0.828554273, 0.330898434, -1.55757248, 0.995636106, -0.879785836, -0.601142049, -1.27415121],
    [0.23033303],
    [-0.0130548729, 1.58597481],
    [-0.658137262, 0.0780238733, 0.525808752, -0.48799172, 1.19136906, -0.81400764, -0.735992789,
     -0.837124646, 0.0360036679, -0.0634772703, 0.675614893, -0.0978068933, 1.844594, -1.18453741,
     1.38354933, -1.20244563],
]
# fmt: on


def test_cpu_draws_in_turn_equal_torch() -> None:
    stream = TorchCPU(42)
    for expected in IN_TURN:
        assert_allclose(stream.normal((len(expected),)), expected, rtol=0, atol=1e-7)


def test_cpu_small_and_large_draws_differ_as_in_torch() -> None:
    expected = [[0.33669037, 0.1288094], [0.23446237, 0.23033303]]
    assert_allclose(TorchCPU(42).normal((2, 2)), expected, rtol=0, atol=1e-7)
    assert TorchCPU(42).normal((16,))[0] == pytest.approx(1.92691529, abs=1e-7)


@pytest.mark.parametrize("name", sorted(GENERATORS))
def test_an_empty_draw_takes_nothing_from_the_stream(name: str) -> None:
    stream, fresh = GENERATORS[name](3), GENERATORS[name](3)
    assert stream.normal((0, 4)).shape == (0, 4)
    assert_array_equal(stream.normal((5,)), fresh.normal((5,)))


@pytest.mark.parametrize("name", sorted(GENERATORS))
def test_a_scalar_and_any_other_shape_can_be_drawn(name: str) -> None:
    assert GENERATORS[name](3).normal(()).shape == ()
    assert GENERATORS[name](3).normal([2, 3, 7]).shape == (2, 3, 7)


@pytest.mark.parametrize("name", sorted(GENERATORS))
def test_values_are_standard_normal(name: str) -> None:
    drawn = GENERATORS[name](1).normal((400_000,)).astype(np.float64)
    assert drawn.mean() == pytest.approx(0, abs=0.005)
    assert drawn.std() == pytest.approx(1, abs=0.005)
    assert (drawn**3).mean() == pytest.approx(0, abs=0.02)
    assert (drawn**4).mean() == pytest.approx(3, abs=0.05)


def test_cuda_equals_published_values_of_torch() -> None:
    assert_allclose(TorchCUDA(0).normal((4,)), [-0.9246626, -0.42534415, -2.6438457, 0.14518388], rtol=0, atol=5e-6)
    stream = TorchCUDA(42)
    assert_allclose(stream.normal((4,)), [0.1940, 2.1614, -0.1721, 0.8491], rtol=0, atol=6e-5)
    assert_allclose(stream.normal((4,)), [0.1391, -0.1082, -0.7174, 0.7566], rtol=0, atol=6e-5)


# Known answers of the authors' Random123 library for philox4x32-10: counter (low word first), key, words.
PHILOX = [
    ("00000000 00000000 00000000 00000000", "00000000 00000000", "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
    ("ffffffff ffffffff ffffffff ffffffff", "ffffffff ffffffff", "408f276d 41c83b0e a20bc7c6 6d5451fd"),
    ("243f6a88 85a308d3 13198a2e 03707344", "a4093822 299f31d0", "d16cfe09 94fdcceb 5001e420 24126ea1"),
]


@pytest.mark.parametrize(("counter", "key", "expected"), PHILOX)
def test_philox_gives_its_known_answers(counter: str, key: str, expected: str) -> None:
    def wide(low: str, high: str) -> int:
        return int(high + low, 16)

    words = counter.split()
    drawn = noise._philox(
        wide(*key.split()), np.array([wide(*words[:2])], np.uint64), np.array([wide(*words[2:])], np.uint64)
    )
    assert [f"{int(word[0]):08x}" for word in drawn] == expected.split()


def test_cuda_small_draws_do_not_depend_on_the_gpu() -> None:
    assert_array_equal(TorchCUDA(5, threads=256).normal((256,)), TorchCUDA(5).normal((256,)))
    assert_array_equal(TorchCUDA(5).normal((16384,))[:300], TorchCUDA(5).normal((300,)))


def test_cuda_large_draws_are_dealt_out_by_threads() -> None:
    """With 256 threads, 2100 values are three calls of four rows; small draws take each call's first row."""
    large = TorchCUDA(5, threads=256)
    rows = np.append(large.normal((2100,)), np.zeros(3 * 1024 - 2100, np.float32)).reshape(3, 4, 256)
    small = TorchCUDA(5, threads=256)
    for call in range(2):
        assert_array_equal(rows[call, 0], small.normal((256,)))
    assert_array_equal(rows[2, 0, :52], small.normal((52,)))
    assert not np.intersect1d(rows[0, 0], rows[0, 1:]).size
    assert_array_equal(large.normal((256,)), small.normal((256,)))  # both have made three calls


@pytest.mark.parametrize("threads", [0, -256, 255, 1000])
def test_cuda_refuses_a_thread_count_that_no_gpu_has(threads: int) -> None:
    with pytest.raises(InputError, match="multiple of 256"):
        TorchCUDA(0, threads=threads)
