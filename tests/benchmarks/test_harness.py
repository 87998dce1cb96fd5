"""The harness from end to end on a toy model, the tables from its records, and the figures that are derived."""

import json
import math
from pathlib import Path

import pytest

import toy
from benchmarks import figures, img2img, records, size_and_start, tables

CASES = ["onnxruntime fp32", "openvino fp32 static"]


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> list[dict]:
    """The records of two configurations, two turns each, the first turn with a cold picture of all steps."""
    pytest.importorskip("openvino")
    work = tmp_path_factory.mktemp("work")
    toy.build(work / "tiny-onnx-fp32")  # where the harness looks for the package before it makes one
    (work / "tiny-onnx-fp32/partway.json").write_text("{}")
    (work / "tiny").mkdir()
    (work / "tiny/model_index.json").write_text("{}")
    results = work / "img2img.jsonl"
    options = ["--size", "tiny", "--width", "64", "--height", "48", "--steps", "4", "--repeats", "2", "--cold", "1"]
    options += ["--strengths", "0.25,0.75"]
    code = img2img.main(["--work", str(work), *options, "--no-tables", "--results", str(results), "--cases", *CASES])
    assert code == 0
    return records.read(results)


def test_turns_alternate_and_each_run_has_a_record(found: list[dict]) -> None:
    assert [record["case"] for record in found] == CASES * 2
    assert [record["turn"] for record in found] == [0, 0, 1, 1]
    assert len({record["session"] for record in found}) == 1


def test_a_record_says_what_ran_where_and_how_long(found: list[dict]) -> None:
    for record in found:
        assert record["machine"]["cores"] >= 1 and record["machine"]["cpu"] and record["machine"]["memory_gb"] > 0
        assert record["settings"]["steps"] == 4 and record["settings"]["threads"] == records.cores()
        assert {"numpy", "onnxruntime"} <= set(record["versions"])
        assert record["model"]["bytes"] > 1000
        assert record["others_busy"] is None or 0 <= record["others_busy"] <= record["machine"]["cores"] + 1
        warm = record["warm"]
        assert warm["steps"] == 4
        assert warm["calls"] == {"text_encoder": 2, "vae_encoder": 1, "unet": 2, "vae_decoder": 1}
        parts = [seconds for stage, seconds in warm["seconds"].items() if stage != "total"]
        # The child's clock is around the pipeline's own, which does not count the reading of the picture.
        assert min(parts) > 0 and sum(parts) <= warm["seconds"]["total"]
        assert 20e6 < record["peak_bytes"] < 4e9  # Python and an engine, and not the parent's memory
        whole = record["launch_seconds"] + record["open_seconds"] + record["first"]["seconds"]["total"]
        assert whole <= record["cold_seconds"]


def test_the_first_picture_is_whole_in_the_first_turn_only(found: list[dict]) -> None:
    assert [record["first"]["steps"] for record in found] == [4, 4, 2, 2]
    assert found[2]["first"]["calls"]["unet"] == 1


def test_nothing_remembered_from_the_first_picture_is_used_in_the_warm_one(found: list[dict]) -> None:
    for record in found:
        assert all(record["warm"]["seconds"][network] > 0 for network in ("text_encoder", "vae_encoder"))


def test_another_strength_of_the_same_picture_encodes_nothing(found: list[dict]) -> None:
    assert [[one["strength"] for one in record["again"]] for record in found] == [[0.25, 0.75]] * 2 + [[]] * 2
    for record in found[:2]:
        assert [one["calls"] for one in record["again"]] == [
            {"unet": 1, "vae_decoder": 1},
            {"unet": 3, "vae_decoder": 1},
        ]
    assert figures.encodes(found) == 0
    assert "psnr" in found[1]["again"][0]["picture"]


def test_both_engines_made_the_same_picture(found: list[dict]) -> None:
    assert "psnr" not in found[0]["picture"]
    assert found[0]["picture"]["sha256"] == found[2]["picture"]["sha256"]
    assert found[1]["picture"]["psnr"] is None or found[1]["picture"]["psnr"] > 50
    assert found[1]["picture"]["ssim"] > 0.999
    assert 0 <= found[1]["picture"]["latents"] < 1e-3


def test_a_configuration_that_fails_is_named_and_leaves_no_record(
    found: list[dict], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    job = img2img.Job(tool="partway", model=str(tmp_path / "nowhere"))
    assert img2img.run(job, {"first": ("", "", 1, 0.5), "warm": ("", "", 1, 0.5)}, tmp_path / "broken") is None
    assert "broken failed" in capsys.readouterr().err


def test_tables_are_written_between_the_markers(found: list[dict], tmp_path: Path) -> None:
    (tmp_path / "img2img.jsonl").write_text("\n".join(map(json.dumps, found)))
    readme = tmp_path / "README.md"
    readme.write_text("above\n<!-- img2img: made so -->\noutdated\n<!-- end of img2img -->\nbelow\n")
    front = tmp_path / "front.md"
    front.write_text("<!-- measured -->\n<!-- end -->\nrest\n")
    tables.renew(tmp_path, readme, front)
    text = readme.read_text()
    assert text.startswith("above\n<!-- img2img: made so -->\n") and text.endswith("<!-- end of img2img -->\nbelow\n")
    assert "outdated" not in text
    for case in CASES:
        assert text.count(f"| {case} |") == 2
    assert found[0]["machine"]["cpu"] in text
    assert front.read_text().endswith("<!-- end -->\nrest\n")
    assert all(f"| {case} |" in front.read_text() for case in CASES)
    tables.renew(tmp_path, readme, front)
    assert readme.read_text() == text
    readme.write_text("no place")
    with pytest.raises(ValueError, match="no place"):
        tables.renew(tmp_path, readme, front)


def test_only_the_newest_session_is_shown() -> None:
    sessions = [{"session": "2026-01-01T00:00:00Z"}, {"session": "2026-01-02T00:00:00Z"}]
    assert records.latest([*sessions, sessions[0]]) == [sessions[1]]
    assert records.latest([]) == []


def test_loading_is_what_the_first_picture_took_beyond_its_calls_at_warm_speed() -> None:
    calls = {"text_encoder": 2, "vae_encoder": 1, "unet": 10, "vae_decoder": 1}
    warm = {"text_encoder": 0.2, "vae_encoder": 1.0, "unet": 20.0, "vae_decoder": 3.0, "other": 0.1, "total": 24.3}
    first = {"text_encoder": 0.7, "vae_encoder": 2.0, "unet": 7.0, "vae_decoder": 4.0, "other": 0.1, "total": 13.8}
    record = {
        "open_seconds": 0.25,
        "first": {"steps": 1, "seconds": first, "calls": {**calls, "unet": 1}},
        "warm": {"steps": 20, "seconds": warm, "calls": calls},
    }
    loaded = figures.loading(record)
    assert loaded is not None and math.isclose(loaded, 0.25 + 0.5 + 1 + 5 + 1)
    whole = {**record, "first": {"steps": 20, "seconds": {"total": 30.3}, "calls": {}}}
    loaded = figures.loading(whole)
    assert loaded is not None and math.isclose(loaded, 0.25 + 6)  # so that launch, loading and picture are the cold one
    assert figures.loading({**record, "first": {"steps": 1, "seconds": {"total": 9.0}, "calls": {}}}) is None


def test_work_of_others_is_told_from_our_own() -> None:
    before, later = records.Processor(100.0, 50.0, 3.0), records.Processor(110.0, 68.0, 15.0)
    assert before.others(later) == 0.6  # 18 seconds of work on the machine in 10 seconds, 12 of them ours
    assert before.others(records.Processor(110.0, None, 0.0)) is None


def test_import_time_is_told_apart_from_its_libraries() -> None:
    measured = size_and_start.measure_start(repeats=1)
    assert measured["libraries_seconds"] > 0
    assert math.isclose(measured["beyond_seconds"], measured["partway_seconds"] - measured["libraries_seconds"])
    assert any(name.startswith("partway") for name in measured["slowest"])
    assert not {"numpy", "PIL.Image"} & set(measured["slowest"])
