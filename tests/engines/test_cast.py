"""What an engine is given has exactly the type and shape of the graph's input."""

import numpy as np
import pytest

from partway.engines import Port, Signature, cast
from partway.errors import NetworkError


def signature(**ports: Port) -> Signature:
    return Signature(ports, {})


@pytest.mark.parametrize("dtype", ["float32", "float16", "int64"])
@pytest.mark.parametrize("shape", [(), (1,), (2, 3)])
def test_types_and_shapes_are_the_graphs(dtype: str, shape: tuple[int, ...]) -> None:
    given = np.full(shape, 500.6, np.float32)
    made = cast("unet", {"timestep": given}, signature(timestep=Port(dtype, shape)))["timestep"]
    assert (made.dtype, made.shape) == (dtype, shape)
    assert made.flags.c_contiguous
    assert np.all(made == (501 if dtype == "int64" else given.astype(dtype)))


def test_views_are_made_contiguous() -> None:
    given = np.arange(24, dtype=np.float32).reshape(2, 3, 4).transpose(2, 0, 1)
    made = cast("unet", {"x": given}, signature(x=Port("float32", (None, 2, None))))["x"]
    assert made.flags.c_contiguous
    np.testing.assert_array_equal(made, given)


def test_misfits_name_the_network_the_input_and_both_shapes() -> None:
    port = Port("float32", (None, 4))
    with pytest.raises(NetworkError, match=r"unet takes x of shape \?x4, not 2x3"):
        cast("unet", {"x": np.zeros((2, 3), np.float32)}, signature(x=port))
    with pytest.raises(NetworkError, match="unet takes x, not x, y"):
        cast("unet", {"x": np.zeros((2, 4)), "y": np.zeros(1)}, signature(x=port))
