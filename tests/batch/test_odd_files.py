"""A folder of some hundred odd files: every format and mode that Pillow writes, each whole and cut short."""

from pathlib import Path

import pytest

from batches import Drawn, outputs, states
from campaign import corpus
from command import Captured, run


@pytest.mark.thorough
def test_each_file_of_a_folder_of_odd_ones_has_a_fate(drawn: Drawn, model: Path, capsys: Captured):
    drawn("plain.png")
    whole = corpus.pictures()
    for name, data in whole.items():
        Path("rooms", f"{name}.{name.split()[0].lower()}").write_bytes(data)
        Path("rooms", f"cut {name}.{name.split()[0].lower()}").write_bytes(data[: len(data) // 3])
    count = 2 * len(whole) + 1
    assert count > 300
    code, out, err = run(capsys, "batch", "rooms", "warm light", "-o", "out", "-m", model, "--steps", 2, "-q")
    assert code == 1, err
    fates = states("out")
    assert f"{count} pictures: " in out and len(fates) == count
    assert {name for name, state in fates.items() if state == "made"} == set(outputs("out"))
    assert len(outputs("out")) >= len(whole)  # of what is cut, some formats lose no pixel
