"""The first table of the project's README: partway beside its peers, from several sessions."""

from pathlib import Path
from typing import Any

from benchmarks import front, tables


def run_of(case: str, tool: str, seconds: float, gigabytes: float, **more: Any) -> dict[str, Any]:
    machine = {"cpu": "AMD EPYC (family 25, model 17)", "cores": 2}
    settings = {"width": 512, "height": 512, "steps": 20, "sampler": "ddim", "strength": 0.5}
    return {
        "session": "2026-01-01T00:00:00Z",
        "case": case,
        "tool": tool,
        "options": {"preset": case} if tool == "partway" else {},
        "machine": machine,
        "model": {"size": "sd15", "weights": "int8"},
        "settings": {**settings, "guidance_scale": 7.5, "threads": 2},
        "warm": {"seconds": {"total": seconds}, "calls": {"unet": 10}},
        "peak_bytes": gigabytes * 1e9,
        **more,
    }


INTEL = {"cpu": "Intel(R) Xeon(R) Processor (family 6, model 207)", "cores": 2}
PEERS = [
    run_of("openvino.genai", "openvino_genai", 54.0, 5.65, environment_bytes=0.32e9),
    run_of("exact", "partway", 48.0, 3.18),
    run_of("exact", "partway", 49.0, 3.18),
    run_of("openvino.genai", "openvino_genai", 55.0, 5.65, environment_bytes=0.32e9),
]
OTHERS = [
    run_of("exact", "partway", 42.0, 3.2, machine=INTEL),
    run_of("diffusers bf16", "diffusers_torch", 50.0, 4.0, machine=INTEL, environment_bytes=1.18e9),
    run_of("onnxruntime fp32", "partway", 107.0, 6.5, machine=INTEL, options={"engine": "onnxruntime"}),
]
INSTALLED = [{"extras": "", "environment_bytes": 0.25e9}, {"extras": "openvino", "environment_bytes": 0.4e9}]


def test_each_tool_has_a_row_and_each_machine_a_column() -> None:
    lines = front.summary({"peers": PEERS, "others": OTHERS, "install": INSTALLED}).splitlines()
    assert "| seconds, AMD EPYC | seconds, Intel Xeon |" in lines[0]
    assert lines[2:6] == [
        "| **partway** | exact | 48.5 | 42.0 | 3.18 | 0.40 | no |",
        "| **partway** | onnxruntime fp32 | - | 107.0 | 6.50 | 0.25 | no |",
        "| diffusers | bf16 | - | 50.0 | 4.00 | 1.18 | yes |",
        "| openvino.genai |  | 54.5 | - | 5.65 | 0.32 | no |",
    ]
    assert "AMD EPYC, 2 cores: medians of 2 processes each." in lines[-1]
    assert "Intel Xeon, 2 cores: one process each." in lines[-1]


def test_the_least_memory_is_told_where_it_was_measured() -> None:
    small = [run_of("tiny", "partway", 21.0, 0.86), run_of("streamed", "partway", 26.0, 0.5)]
    text = front.summary({"peers": PEERS, "small": small})
    assert "(int8 weights): preset `tiny` 0.86 GB, and with the UNet streamed 0.50 GB at the peak" in text


def test_a_front_page_without_figures_stays_as_it_is(tmp_path: Path) -> None:
    page = tmp_path / "front.md"
    page.write_text("<!-- measured -->\nkept\n<!-- end -->\n")
    assert front.summary({"install": INSTALLED}) == ""
    (tmp_path / "README.md").write_text("")
    tables.renew(tmp_path, tmp_path / "README.md", page)
    assert "kept" in page.read_text()
