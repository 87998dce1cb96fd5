"""The measures: what counts as agreement, and the table made of it."""

import json
import sys

import numpy as np
import pytest

pytest.importorskip("torch")

from models.rooms import evaluate, report
from models.rooms.probe import NAMES, true_labels
from models.rooms.renders import true_map
from models.rooms.tokenizer import captions
from partway_rooms.renderer import sample_look


def test_overlap_is_one_for_the_same_map_and_falls_with_difference():
    true = true_map(3)
    assert evaluate.overlap(true, true) == 1
    assert evaluate.overlap(np.full_like(true, 255), true) == 0
    assert evaluate.overlap(np.roll(true, 2, axis=1), true) > evaluate.overlap(np.roll(true, 8, axis=1), true)


def test_overlap_is_the_mean_over_classes():
    true = np.zeros((10, 10), np.uint8)
    true[:, 5:] = 1
    found = true.copy()
    found[:, 4] = 1  # class 0: 40 of 50; class 1: 50 of 60
    assert evaluate.overlap(found, true) == pytest.approx((40 / 50 + 50 / 60) / 2)


def test_another_style_is_never_the_same_one():
    rng = np.random.default_rng(0)
    drawn = {evaluate.other("style", 2, rng) for _ in range(200)}
    assert drawn == set(NAMES["style"]) - {NAMES["style"][2]}


@pytest.mark.parametrize("name", list(NAMES))
def test_prompts_use_words_that_the_captions_use(name):
    texts = [text for seed in range(150) for text in captions(seed, 3)]
    for value in NAMES[name]:
        assert any(evaluate.WORDS[name][value] in text for text in texts), value


def test_labels_are_those_of_the_picture():
    look = sample_look(17)
    assert [NAMES[n][i] for n, i in zip(NAMES, true_labels(17), strict=True)] == [look.style, look.light, look.medium]


def test_the_report_is_made_of_the_figures(tmp_path, monkeypatch, capsys):
    pytest.importorskip("matplotlib")
    dial = {
        str(s): {"layout": 1 - s / 2, "layout_error": 0.01, "style": s, "style_error": 0.02}
        for s in (0.0, 0.45, 0.8, 1.0)
    }
    found = {
        "vae": {"psnr": 28.26},
        "text_to_image": {"style": 0.9, "light": 0.91, "medium": 0.92},
        "dial": dial,
        "seconds": {"onnxruntime": 3.21, "openvino": 1.5},
        "settings": {"steps": 20, "guidance_scale": 7.5, "rooms": 200, "pictures": 500},
    }
    (tmp_path / "rooms-fp16.json").write_text(json.dumps(found))
    monkeypatch.setattr(sys, "argv", ["report", str(tmp_path)])
    report.main()
    row = "| rooms-fp16 | 20, 7.5 | 200, 500 | 28.3 | 0.900 | 0.910 | 0.920 | 0.775 | 0.450 | 0.800 | 3.21, 1.50 |"
    assert row in capsys.readouterr().out
    assert (tmp_path / "dial.png").read_bytes()[:4] == b"\x89PNG"
    assert "rooms-fp16" in (tmp_path / "table.md").read_text()


def test_the_plot_has_one_line_for_the_same_steps_and_guidance_that_of_most_rooms():
    def result(steps, guidance, rooms):
        return {"settings": {"steps": steps, "guidance_scale": guidance, "rooms": rooms}}

    found = {"fp16": result(20, 7.5, 20), "int8": result(20, 7.5, 200), "few_steps": result(4, 1, 200)}
    shown = report.drawn(found)
    assert list(shown) == ["20 steps, guidance 7.5", "4 steps, no guidance"]
    assert shown["20 steps, guidance 7.5"] is found["int8"]
