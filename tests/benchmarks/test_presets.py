"""What presets cost in the picture: the script on one room, its table and its targets."""

from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("openvino")

from benchmarks import peer_tables, presets, records
from models.rooms.probe import Probe, write_probe


@pytest.mark.thorough
def test_presets_are_compared_with_the_exact_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(presets, "STRENGTHS", (0.45, 0.8))
    probe, results = tmp_path / "probe.npz", tmp_path / "presets.jsonl"
    write_probe(probe, [p.detach() for p in Probe().parameters()])
    command = ["--probe", str(probe), "--rooms", "1", "--steps", "10", "--results", str(results)]
    assert presets.main(command) == 0
    found = records.read(results)
    assert [(run["case"], run["strength"]) for run in found] == [
        (preset, strength) for preset in presets.PRESETS for strength in presets.STRENGTHS
    ]
    exact, balanced = found[: len(presets.STRENGTHS)], found[len(presets.STRENGTHS) : 2 * len(presets.STRENGTHS)]
    assert all(
        run["ssim"] == pytest.approx(1) and run["colour"] == run["drift"] == 0 and run["shallow"] == 0 for run in exact
    )
    reused = [run for run in balanced if run["shallow"]]
    assert reused and all(run["ssim"] < 1 for run in reused)
    assert "| balanced | 0.8 |" in peer_tables.presets(found)
    rows = [
        line for line in peer_tables.targets({"presets": found}).splitlines() if line.startswith("| balanced: SSIM")
    ]
    least = min(run["ssim"] for run in balanced)
    assert [cell.strip() for cell in rows[0].split("|")][3:7] == [
        "0.95 or more",
        "-",
        f"{least:.3f}",
        "yes" if least >= 0.95 else f"no, {100 * (0.95 - least) / 0.95:.0f} % below",
    ]
