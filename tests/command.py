"""The command line as tests run it, in the same process."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from partway.cli import main

Captured = pytest.CaptureFixture[str]


def run(capsys: Captured, *arguments: object) -> tuple[int, str, str]:
    """Exit code, standard output, standard error."""
    code = main([str(argument) for argument in arguments])
    out, err = capsys.readouterr()
    return code, out, err


def files(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def pixels(name: str) -> np.ndarray:
    with Image.open(name) as image:
        return np.asarray(image)


def refused(capsys: Captured, *arguments: object, code: int = 2) -> str:
    """Run, and check that it ends in one line with this exit code, that of bad input, with nothing written."""
    before = files(Path())
    found, out, err = run(capsys, *arguments)
    assert found == code
    assert out == ""
    assert err.startswith("partway: error: ")
    assert err.count("\n") == 1
    assert files(Path()) == before
    return err
