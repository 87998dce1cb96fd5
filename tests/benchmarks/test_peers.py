"""Peers beside partway: their processes, ratios, targets, plots, and the figures of quality."""

import json
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import toy
from benchmarks import figures, img2img, peer_tables, peers, plots, quality, records, tables
from benchmarks.cases import CASES, EXACT, FAST, GENAI, INTEL_TINY, NAMED, REFERENCE, TARGETS, Target
from benchmarks.jobs import Job, Request
from partway.bench import measuring

TOOL = """
from benchmarks.jobs import Made

PACKAGES = ("pillow",)

def start(job):
    import os, sys
    from PIL import Image
    assert "partway" not in sys.modules and not os.environ.get("PYTHONPATH")

    def make(request):
        return Made(Image.open(request.image), {"unet": 0.25}, {"unet": round(request.steps * request.strength)})

    return make
"""


def test_a_peer_runs_in_a_process_that_knows_nothing_of_partway(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tool = records.HERE / "tools" / f"fake_{os.getpid()}.py"
    tool.write_text(TOOL)
    python = tmp_path / "python"  # the same interpreter by another name, as a peer's own is
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    python.chmod(0o755)
    source = tmp_path / "source.png"
    Image.new("RGB", (16, 16), "teal").save(source)
    requests = {
        "first": Request(str(source), "a room", 1, 0.5),
        "warm": Request(str(source), "a room", 4, 0.5),
        "again": [Request(str(source), "a room", 4, 0.75)],
    }
    try:
        record = img2img.run(Job(tool=tool.stem, model=""), requests, tmp_path / "out", str(python))
    finally:
        tool.unlink()
    assert record is not None
    assert record["warm"]["calls"] == {"unet": 2} and record["again"][0]["calls"] == {"unet": 3}
    assert set(record["versions"]) == {"pillow"}
    assert quality.compare(tmp_path / "out/again-0.png", tmp_path / "out/picture.png")["psnr"] is None


def test_every_case_has_a_tool_and_every_peer_its_releases() -> None:
    for case in CASES.values():
        assert (records.HERE / "tools" / f"{case.tool}.py").exists()
        assert case.tool == "partway" or all("==" in one for one in peers.REQUIREMENTS[case.tool])


def test_peers_need_the_releases_that_the_project_is_tested_with() -> None:
    lines = (records.HERE.parent / "constraints.txt").read_text().splitlines()
    pinned = dict(line.lower().split("==") for line in lines if "==" in line)
    for requirement in {one for group in peers.REQUIREMENTS.values() for one in group}:
        name, version = requirement.lower().split("==")
        assert pinned.get(name, version) == version


def test_an_environment_that_cannot_be_made_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "venvs").write_text("not a folder")
    with pytest.raises(OSError):
        peers.install(tmp_path, "diffusers_torch")
    done = peers.python_of(tmp_path / "there", "diffusers_torch")
    done.parent.mkdir(parents=True)
    done.touch()
    (done.parents[1] / "requirements.txt").write_text("\n".join(peers.REQUIREMENTS["diffusers_torch"]))
    assert peers.install(tmp_path / "there", "diffusers_torch")  # nothing is done again


def run_of(case: str, seconds: float, gigabytes: float, turn: int = 0, **picture: Any) -> dict[str, Any]:
    """A record as the harness writes it, with times that are easy to check."""
    again = [
        {"strength": s, "steps": 20, "seconds": {"total": 1 + 20 * s}, "calls": {"unet": round(20 * s)}}
        for s in (0.1, 0.3, 0.5)
    ]
    warm = {"steps": 20, "strength": 0.5, "seconds": {"total": seconds}, "calls": {"unet": 10}, "joules": None}
    return {
        "session": "2026-01-01T00:00:00Z", "commit": "c", "machine": records.machine(), "versions": {case: "1"},
        "case": case, "tool": (CASES | NAMED)[case].tool, "turn": turn,
        "picture": {"sha256": "", **picture}, "peak_bytes": gigabytes * 1e9,
        "launch_seconds": 0.1, "open_seconds": 1.0, "cold_seconds": 0.0, "first": warm, "warm": warm, "again": again,
        "model": {"size": "tiny", "format": "openvino", "weights": "fp32", "bytes": 2e9}, "environment_bytes": 3e9,
        "settings": {
            "width": 512, "height": 512, "steps": 20, "sampler": "ddim", "strength": 0.5, "guidance_scale": 7.5,
            "threads": 2,
        },
    }  # fmt: skip


@pytest.fixture
def found() -> list[dict[str, Any]]:
    """Two turns of three configurations."""
    return [
        record
        for turn in range(2)
        for record in (
            run_of(REFERENCE, 40, 10, turn),
            run_of(EXACT, 8 + turn, 4, turn, psnr=40.5, ssim=0.98765, latents=0.01),
            run_of(GENAI, 10, 8, turn, psnr=39.0, ssim=0.97, latents=0.02),
        )
    ]


def cells(text: str, name: str) -> list[list[str]]:
    """The cells of the rows that begin with a name, without bold."""
    lines = [line for line in text.splitlines() if line.startswith(f"| {name} |")]
    return [[cell.strip(" *") for cell in line.strip("|").split("|")] for line in lines]


def test_ratios_are_to_openvino_genai(found: list[dict[str, Any]]) -> None:
    made, times = cells(peer_tables.peers(found), EXACT)
    assert made[1:3] == ["8.50", "0.85"] and made[4:6] == ["4.00", "0.50"]
    assert made[-3:] == ["40.5", "0.9877", "0.01000"]
    assert times[1:] == ["3.00", "7.00", "11.00", "0.0 %"]
    assert cells(peer_tables.peers(found), GENAI)[0][2] == "1.00"


def test_targets_are_met_or_not_or_not_measured(found: list[dict[str, Any]]) -> None:
    rows = peer_tables.targets({"peers": found, "others": found, "rooms": []})
    assert "rooms" not in rows
    assert [row[-2:] for row in cells(rows, "exact: time")] == [["0.850", "yes"], ["-", "not measured"]]
    assert cells(rows, "exact: latents' distance to fp32")[0][-2:] == ["0.500", "yes"]
    assert cells(rows, "exact: encoder calls for a second strength")[0][-2:] == ["0.000", "yes"]
    slow = [run_of(EXACT, 17, 4), run_of(GENAI, 10, 8)]
    assert cells(peer_tables.targets({"peers": slow}), "exact: time")[0][-2:] == [
        "1.700",
        f"no, 100 % above: {TARGETS[0].why}",
    ]
    assert peer_tables.targets({}) == ""
    assert all(isinstance(target, Target) and target.figure in figures.FIGURES for target in TARGETS)


def test_sizes_are_told_a_megapixel(found: list[dict[str, Any]]) -> None:
    large = run_of(EXACT, 40, 5)
    large["settings"] |= {"width": 1024, "height": 1024}
    rows = cells(peer_tables.sizes([run_of(EXACT, 8, 4), large]), EXACT)
    assert [row[1] for row in rows] == ["512x512", "1024x1024"]
    assert [row[4] for row in rows] == ["1.00", "1.25"]


def test_few_steps_are_beside_both_stacks() -> None:
    one = run_of(FAST, 2, 2)
    one["settings"] |= {"steps": 2}
    runs = [run_of(FAST, 3, 2), run_of(GENAI, 8, 4), run_of(INTEL_TINY, 5, 4), one]
    rows = cells(peer_tables.few_steps(runs), FAST)
    assert rows[0][-4:] == ["0.375", "0.500", "0.600", "0.500"] and rows[1][-4:] == ["-"] * 4


def test_a_bent_line_shows() -> None:
    assert figures.bend([(0.1, 1, 1.0), (0.2, 2, 2.0), (0.3, 3, 3.0)]) == pytest.approx(0)
    bent = figures.bend([(0.1, 1, 1.0), (0.2, 2, 2.0), (0.3, 3, 6.0)])
    assert bent is not None and bent > 0.1
    assert figures.bend([(0.1, 1, 1.0), (0.2, 2, 2.0)]) is None


def test_plots_and_tables_are_drawn_from_what_was_measured(found: list[dict[str, Any]], tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    assert plots.renew(tmp_path) == []
    (tmp_path / "peers.jsonl").write_text("\n".join(map(json.dumps, found)))
    assert [path.name for path in plots.renew(tmp_path)] == ["strength.png", "quality.png"]
    assert all(path.stat().st_size > 10_000 for path in tmp_path.glob("*.png"))
    readme = tmp_path / "README.md"
    readme.write_text("<!-- peers: so -->\n<!-- end of peers -->\n<!-- targets: so -->\n<!-- end of targets -->\n")
    tables.renew(tmp_path, readme, None)
    assert len(cells(readme.read_text(), EXACT)) == 2 and "| exact: time |" in readme.read_text()


def test_the_project_has_a_place_for_every_table() -> None:
    text = (records.HERE / "README.md").read_text("utf-8")
    for name in (*tables.BLOCKS, "targets"):
        assert text.count(f"<!-- {name}: ") == text.count(f"<!-- end of {name} -->") == 1


def test_structural_similarity_of_flat_pictures_is_the_closed_form() -> None:
    a, b = np.full((16, 16, 3), 100, np.uint8), np.full((16, 16, 3), 120, np.uint8)
    c1 = (0.01 * 255) ** 2
    assert quality.ssim(a, b) == pytest.approx((2 * 100 * 120 + c1) / (100**2 + 120**2 + c1))
    assert quality.psnr(a, b) == pytest.approx(20 * np.log10(255 / 20))
    assert quality.ssim(a, a) == pytest.approx(1) and quality.psnr(a, a) is None


def test_structural_similarity_is_scikit_images() -> None:
    y, x = np.mgrid[0:40, 0:48]
    a = np.stack([(x * 5) % 256, (y * 6) % 256, (x * y) % 256], 2).astype(np.uint8)
    b = np.clip(a * 0.9 + 10 * ((x + y) % 3)[..., None], 0, 255).astype(np.uint8)
    # structural_similarity(a, b, gaussian_weights=True, use_sample_covariance=False, channel_axis=2) of 0.26
    assert quality.ssim(a, b) == pytest.approx(0.80891076, abs=1e-7)


def test_distance_of_latents_is_relative() -> None:
    a = np.array([3.0, 4.0], np.float32)
    assert quality.distance(a, a) == 0
    assert quality.distance(a * 1.1, a) == pytest.approx(0.1, rel=1e-5)


def test_energy_is_the_packages_counters_and_they_start_again(tmp_path: Path) -> None:
    assert measuring.energy(tmp_path / "none") == {}
    assert measuring.joules_between({}, {}) is None
    for name in ("intel-rapl:0", "intel-rapl:0:0", "intel-rapl:1"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "energy_uj").write_text("900\n")
        (tmp_path / name / "max_energy_range_uj").write_text("1000\n")
    before = measuring.energy(tmp_path)
    assert before == {"intel-rapl:0": (900, 1000), "intel-rapl:1": (900, 1000)}
    (tmp_path / "intel-rapl:0/energy_uj").write_text("950\n")
    (tmp_path / "intel-rapl:1/energy_uj").write_text("100\n")
    assert measuring.joules_between(before, measuring.energy(tmp_path)) == pytest.approx((50 + 200) / 1e6)


def test_levels_for_openvino_genai_are_the_models_own(tmp_path: Path) -> None:
    package = toy.build(tmp_path / "toy")
    settings = peers._ddim(package)
    assert settings["_class_name"] == "DDIMScheduler" and settings["prediction_type"] == "epsilon"
    wanted = np.linspace(0.00085**0.5, 0.012**0.5, 1000) ** 2
    np.testing.assert_allclose(settings["trained_betas"], wanted, rtol=1e-4)
    json.dumps(settings, allow_nan=False)
