"""An autoencoder taken apart: every way makes the same numbers, and shares are of one call."""

import pytest

from benchmarks import decoder, tables
from partway.model.package import open_package
from partway_rooms import FOLDER

pytest.importorskip("openvino", reason="openvino is an extra")


def test_the_built_in_decoder_in_every_way() -> None:
    path = open_package(str(FOLDER)).networks["vae_decoder"]
    rows = decoder.measure(path, "vae_decoder", 512, turns=1, threads=1)
    assert [row["way"] for row in rows] == list(decoder.WAYS)
    assert [row["split"] for row in rows] == [0, 0, 3, 3]
    assert [row["tiled"] > 0 for row in rows] == [False, False, False, True]
    for row in rows:
        assert row["psnr"] is None or row["psnr"] > 100
        assert sum(row["parts"].values()) == pytest.approx(1, abs=0.01)
    lines = tables.decoder(rows).splitlines()
    assert len(lines) == 2 + len(rows) and "| 1.00 |" in lines[2]
