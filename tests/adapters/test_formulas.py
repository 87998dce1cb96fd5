"""What each kind of adapter adds to a weight, against the papers' formulas in float64."""

import numpy as np
import pytest

import adapter_files
from partway.adapters import formulas, shapes
from partway.adapters.roles import kind_of, split

LINEAR, POINT, KERNEL = (32, 16), (16, 32, 1, 1), (16, 8, 3, 3)


def changed(tensors, weight):
    """The kind that was recognised, and the change."""
    roles = {split(f"layer.{end}")[1]: np.asarray(array, np.float64) for end, array in tensors.items()}
    kind = kind_of(roles)
    extent = shapes.extent(kind, {role: one.shape for role, one in roles.items()}, weight.shape)
    assert shapes.fits(kind, {role: one.shape for role, one in roles.items()}, weight.shape, extent)
    alpha = float(roles["alpha"].reshape(-1)[0]) if "alpha" in roles else None
    return kind, formulas.change(kind, roles, weight, alpha)


def assert_near(found, wanted):
    assert found.shape == wanted.shape
    assert np.linalg.norm(wanted) > 0.1
    assert np.linalg.norm(found - wanted) <= 1e-5 * np.linalg.norm(wanted)


@pytest.mark.parametrize("shape", [LINEAR, POINT, KERNEL], ids=["linear", "point", "kernel"])
@pytest.mark.parametrize("name", adapter_files.KINDS)
def test_a_kind_is_what_its_paper_says(name, shape):
    rng = np.random.default_rng(0)
    weight = rng.standard_normal(shape)
    tensors, delta = adapter_files.KINDS[name](rng, shape)
    kind, found = changed(tensors, weight)
    assert kind == "OFT" if name == "BOFT" else name.startswith(kind.split()[0]) or kind == "LoRA"
    assert_near(found, delta(weight))


@pytest.mark.parametrize("name", adapter_files.KERNELS)
def test_a_core_between_the_factors_of_a_kernel(name):
    rng = np.random.default_rng(1)
    weight = rng.standard_normal(KERNEL)
    tensors, delta = adapter_files.KERNELS[name](rng, KERNEL)
    assert_near(changed(tensors, weight)[1], delta(weight))


def test_an_alpha_of_zero_is_none():
    rng = np.random.default_rng(2)
    tensors, delta = adapter_files.lora(rng, LINEAR, alpha=None)
    weight = rng.standard_normal(LINEAR)
    assert_near(changed({**tensors, "alpha": np.zeros(1)}, weight)[1], delta(weight))


def test_rows_of_zeros_stay_finite_in_dora():
    rng = np.random.default_rng(3)
    tensors, _ = adapter_files.dora(rng, LINEAR)
    tensors["lora_up.weight"][:] = 0
    weight = rng.standard_normal(LINEAR)
    weight[0] = 0
    assert np.isfinite(changed(tensors, weight)[1]).all()


def test_a_constraint_keeps_rotations_small():
    rng = np.random.default_rng(4)
    tensors, _ = adapter_files.oft(rng, LINEAR, rescaled=False)
    weight = rng.standard_normal(LINEAR)
    blocks = np.asarray(tensors["oft_blocks"], np.float64)
    skew = blocks - blocks.swapaxes(1, 2)
    limit = 0.01 * LINEAR[0]  # alpha times the rows, of all blocks together
    skew *= limit / np.sqrt((skew**2).sum())
    turns = [np.linalg.inv((np.eye(4) - one).T) @ (np.eye(4) + one).T for one in skew]
    wanted = np.concatenate([turn @ weight[4 * i : 4 * i + 4] for i, turn in enumerate(turns)]) - weight
    assert_near(changed({**tensors, "alpha": np.array(0.01)}, weight)[1], wanted)


def test_a_model_that_takes_a_picture_too_has_more_channels_than_the_adapter():
    rng = np.random.default_rng(5)
    tensors, delta = adapter_files.lora(rng, (16, 4, 3, 3))
    weight = rng.standard_normal((16, 9, 3, 3))
    found = changed(tensors, weight)[1]
    assert_near(found[:, :4], delta(weight[:, :4]))
    assert not found[:, 4:].any()
