"""The benchmark of ControlNets on a tiny model."""

import json

import pytest

from benchmarks import control


@pytest.mark.parametrize("size", ["tiny", "tiny-xl"])
def test_calls_of_both_are_timed(tmp_path, size):
    results = tmp_path / "control.jsonl"
    flags = ["--work", str(tmp_path), "--size", size, "--side", "64", "--rounds", "1", "--threads", "1"]
    control.main([*flags, "--engines", "onnxruntime", "--results", str(results)])
    record = json.loads(results.read_text())
    assert record["case"] == "onnxruntime" and record["size"] == size and record["ratio"] > 0
    assert all(len(each) == 2 for each in record["seconds"].values())
