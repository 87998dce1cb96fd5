"""Every format and precision, spread over the kinds of model."""

from collections.abc import Callable

import pytest

from exports import Exported

EXPORTS = {
    "onnx-fp32": "sd1",
    "onnx-fp16": "sd2",
    "onnx-int8": "sd1",
    "openvino-fp32": "sd1",
    "openvino-fp16": "sd2-v",
    "openvino-int8": "sd1",
}


@pytest.fixture(scope="session")
def package(exported: Callable[..., Exported]) -> Callable[[str], Exported]:
    return lambda name: exported(EXPORTS[name], *name.split("-"))


@pytest.fixture(scope="session")
def divided(exported: Callable[..., Exported]) -> Callable[[str], Exported]:
    """As `package`, with the UNet's outermost layers split off."""
    return lambda name: exported(EXPORTS[name], *name.split("-"), split=True)
