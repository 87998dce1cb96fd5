"""Exports are slow, so each is made once and shared: every format and precision, spread over the kinds of model."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

import tiny
from partway_export import export


class Exported(NamedTuple):
    """A package, what made it, and the diffusers folder that it came from."""

    folder: Path
    source: Path
    to: str
    weights: str


EXPORTS = {
    "onnx-fp32": "sd1",
    "onnx-fp16": "sd2",
    "onnx-int8": "sd1",
    "openvino-fp32": "sd1",
    "openvino-fp16": "sd2-v",
    "openvino-int8": "sd1",
}


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    root = tmp_path_factory.mktemp("models")
    made: dict[str, Path] = {}

    def get(kind: str) -> Path:
        if kind not in made:
            made[kind] = tiny.build(root / kind, kind)
        return made[kind]

    return get


@pytest.fixture(scope="session")
def package(tiny_model: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Exported]:
    return _making(tiny_model, tmp_path_factory.mktemp("packages"))


@pytest.fixture(scope="session")
def divided(tiny_model: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Exported]:
    """As `package`, with the UNet's outermost layers split off."""
    return _making(tiny_model, tmp_path_factory.mktemp("divided"), split=True)


def _making(tiny_model: Callable[[str], Path], root: Path, **options: bool) -> Callable[[str], Exported]:
    made: dict[str, Exported] = {}

    def get(name: str) -> Exported:
        if name not in made:
            to, weights = name.split("-")
            source = tiny_model(EXPORTS[name])
            export(source, root / name, to=to, weights=weights, **options)
            made[name] = Exported(root / name, source, to, weights)
        return made[name]

    return get
