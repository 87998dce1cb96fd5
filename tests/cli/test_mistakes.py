"""Every mistake that a user can make is one line and exit code 2."""

import sys
from pathlib import Path

import pytest
from PIL import Image

import toy
from command import Captured, refused
from partway.cli import main


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ("--strength 1.2", "between 0 and 1"),
        ("--strength -0.1", "between 0 and 1"),
        ("--strength nan", "between 0 and 1"),
        ("--steps 0", "between 1 and"),
        ("--steps 100000", "between 1 and"),
        ("--sampler best", "choose one of: ddim"),
        ("--schedule best", "karras"),
        ("--dial best", "continuous"),
        ("--rng best", "torch-cpu"),
        ("--lora :0.8", "a LoRA is named by its file, not ''"),
        ("--lora film:0.8:1,2,", "a LoRA is given as FILE:0.8, not 'film:0.8:1,2,'"),
        ("--lora film:blocks=1,2", "block weights are 12, 17, 20, 26 numbers, not 2"),
        ("--lora= --steps 4", "a LoRA is named by its file, not ''"),
        ("--embedding= --steps 4", "a file is needed"),
        ("--guidance-scale -1", "between 0 and 1000"),
        ("--guidance-scale nan", "between 0 and 1000"),
        ("--guidance-scale 1e39", "between 0 and 1000"),
        ("--guidance-rescale 2", "between 0 and 1"),
        ("--seed 99999999999999999999", "seed"),
        ("--sampler euler --eta 0.5", "eta"),
        ("--batch 0", "batch"),
        ("--threads 0", "threads"),
        ("--precision int3", "fp32"),
        ("--engine tensorrt", "onnxruntime"),
        ("--device TPU", "TPU"),
        ("--engine onnxruntime --device GPU", "GPU"),
        ("--model nothing-here", "nothing-here"),
        ("-o missing/out.png", "no folder missing"),
        ("-o .", "is a folder"),
        ("-o out.tiff", "choose one of: .jpeg"),
        ("-o out", "choose one of: .jpeg"),
        ("-o room.png", "is the input itself"),
    ],
)
@pytest.mark.parametrize("command", ["img2img", "sweep"])
def test_bad_flags(capsys: Captured, model: Path, command: str, flags: str, words: str) -> None:
    base = [] if "--model" in flags else ["-m", model]
    assert words in refused(capsys, command, "room.png", "a cat", *base, *flags.split())


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ("--count 0", "count"),
        ("--from-png nothing.png", "no such picture"),
        ("--from-png room.png", "no partway settings"),
    ],
)
def test_bad_flags_of_img2img(capsys: Captured, model: Path, flags: str, words: str) -> None:
    assert words in refused(capsys, "img2img", "room.png", "a cat", "-m", model, *flags.split())


def test_bad_sizes(capsys: Captured, model: Path) -> None:
    for flags in ("--width 0", "--height 50000", "--width -8"):
        assert "between 8 and" in refused(capsys, "txt2img", "cat", "-m", model, *flags.split())


def test_bad_strengths(capsys: Captured, model: Path) -> None:
    for strengths in ("", "0,high", "0,1.5", "0,nan"):
        refused(capsys, "sweep", "room.png", "cat", "-m", model, "--strengths", strengths)


def test_bad_pictures(capsys: Captured, model: Path) -> None:
    Path("text.png").write_text("no picture")
    Path("cut.png").write_bytes(Path("room.png").read_bytes()[:80])
    Image.new("1", (16_385, 1)).save("long.png")
    Image.new("1", (12_000, 12_000)).save("bomb.png")
    for name, words in (
        ("missing.png", "no such picture"),
        ("text.png", "not a picture"),
        ("cut.png", "cut.png"),
        ("long.png", "from 1 to 16384"),
        ("bomb.png", "million pixels"),
        (".", "folder"),
    ):
        assert words in refused(capsys, "img2img", name, "cat", "-m", model)


def test_missing_words(capsys: Captured, model: Path) -> None:
    assert "which prompt?" in refused(capsys, "img2img", "room.png", "-m", model)


def test_damaged_models(capsys: Captured, tmp_path: Path) -> None:
    for number, damage in enumerate(
        (
            lambda folder: (folder / "unet/model.onnx").unlink(),
            lambda folder: (folder / "unet/model.onnx").write_bytes(b""),
            lambda folder: (folder / "unet/model.onnx").write_bytes(b"cut" * 50),
            lambda folder: (folder / "model_index.json").write_text("{"),
            lambda folder: (folder / "scheduler/scheduler_config.json").unlink(),
            lambda folder: (folder / "tokenizer/vocab.json").unlink(),
            lambda folder: (folder / "tokenizer/vocab.json").write_text("{"),
        )
    ):
        folder = toy.build(tmp_path / f"toy{number}")
        damage(folder)
        refused(capsys, "img2img", "room.png", "cat", "-m", folder, "--steps", 2)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["img2image"], "unknown command 'img2image'; did you mean img2img?"),
        (["plan", "--strenght", "0.5"], "unknown flag --strenght, did you mean --strength? see: partway plan --help"),
        (["plan", "--cfg-scale=3"], "unknown flag --cfg-scale, did you mean --guidance-scale?"),
        (["plan", "--zzzzzz"], "unknown flag --zzzzzz; see: partway plan --help"),
        (["img2img", "room.png", "--num-inference-steps", "3"], "did you mean --steps?"),
        (["inpaint", "room.png", "mask.png", "cat", "--only_masked"], "did you mean --only-masked?"),
        (["plan", "--dial", "comfyiu"], "unknown dial 'comfyiu'; did you mean comfyui?"),
    ],
)
def test_what_was_mistyped_is_answered_with_what_was_meant(capsys: Captured, arguments: list[str], words: str) -> None:
    assert words in refused(capsys, *arguments)


def test_an_engine_that_is_not_installed(capsys: Captured, model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)
    assert "pip install" in refused(capsys, "txt2img", "cat", "-m", model, "--engine", "openvino")


def test_export_hands_its_arguments_on(monkeypatch: pytest.MonkeyPatch) -> None:
    from partway.cli import export

    seen: list[object] = []

    class There:
        @staticmethod
        def main(argv: list[str]) -> int:
            seen.append(argv)
            return 3

    monkeypatch.setattr(export, "import_module", lambda name: (seen.append(name), There)[1])
    assert main(["export", "--help", "x"]) == 3
    assert seen == ["partway_export.cli", ["--help", "x"]]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nonsense"], "'nonsense'"),
        (["img2img"], "INPUT"),
        (["img2img", "a", "b", "--steps", "many"], "--steps: invalid int value: 'many'"),
        (["img2img", "a", "b", "--strength", "abc"], "see: partway img2img --help"),
        (["plan", "--json", "--compare"], "not allowed with"),
        (["devices", "extra"], "extra"),
    ],
)
def test_what_argparse_refuses_is_one_line(capsys: Captured, desk: Path, arguments: list[str], words: str) -> None:
    assert words in refused(capsys, *arguments)
