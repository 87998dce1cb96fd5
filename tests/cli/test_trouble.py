"""Trouble on the way, and the command as the shell sees it."""

import errno
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import partway
from command import Captured, files, refused, run
from partway.cli import exit_code, main
from partway.engines import onnxruntime as engine
from partway.errors import EngineError, InputError, NetworkError, PackageError


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[BaseException]]:
    """Make the UNet raise the exception put into the list."""
    trouble: list[BaseException] = []
    original = engine.OnnxRuntime.run

    def run_(self: Any, network: str, inputs: Any) -> Any:
        if network == "unet":
            raise trouble[0]
        return original(self, network, inputs)

    monkeypatch.setattr(engine.OnnxRuntime, "run", run_)
    return trouble


def test_an_interrupt_is_exit_code_130_and_leaves_nothing(
    capsys: Captured, model: Path, desk: Path, failing: list[BaseException]
) -> None:
    failing.append(KeyboardInterrupt())
    code, out, err = run(capsys, "img2img", "room.png", "cat", "-m", model, "-o", "out.png")
    assert (code, out, err.strip()) == (130, "", "partway: interrupted")
    assert files(desk) == {"room.png"}


@pytest.mark.parametrize("trouble", [MemoryError(), OSError(28, "No space left on device"), OSError("odd\nlines")])
def test_trouble_of_the_machine_is_one_line(
    capsys: Captured, model: Path, failing: list[BaseException], trouble: BaseException
) -> None:
    failing.append(trouble)
    refused(capsys, "img2img", "room.png", "cat", "-m", model, "-o", "out.png", code=1)


def test_a_network_that_fails_is_no_fault_of_the_input(
    capsys: Captured, model: Path, failing: list[BaseException]
) -> None:
    failing.append(partway.NetworkError("unet failed"))
    assert "unet failed" in refused(capsys, "img2img", "room.png", "cat", "-m", model, code=1)


@pytest.mark.parametrize(("number", "code"), [(errno.ENOSPC, 1), (errno.EACCES, 2)])
def test_a_full_disk_is_no_fault_of_the_input_and_a_closed_folder_is(
    capsys: Captured, model: Path, monkeypatch: pytest.MonkeyPatch, number: int, code: int
) -> None:
    def replace(self: Path, target: Path) -> None:
        raise OSError(number, "no")

    monkeypatch.setattr(Path, "replace", replace)
    words = refused(capsys, "img2img", "room.png", "cat", "-m", model, "--steps", 1, "-o", "out.png", code=code)
    assert "cannot write out.png" in words


@pytest.mark.parametrize(
    ("problem", "cause", "code"),
    [
        (InputError("x"), ValueError(), 2),
        (PackageError("x"), OSError(errno.ENOENT, "x"), 2),
        (PackageError("x"), RuntimeError(), 2),  # a damaged graph
        (PackageError("x"), MemoryError(), 1),
        (PackageError("x"), OSError(errno.ENOSPC, "x"), 1),
        (EngineError("x"), ImportError(), 2),
        (EngineError("x"), None, 2),
        (EngineError("x"), RuntimeError(), 1),  # a device that is there, and fails
        (NetworkError("x"), None, 1),
        (MemoryError(), None, 1),
    ],
)
def test_the_rule_of_exit_codes(problem: Exception, cause: Exception | None, code: int) -> None:
    problem.__cause__ = cause
    assert exit_code(problem) == code


def test_an_interrupted_count_keeps_what_is_finished(
    capsys: Captured, model: Path, desk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = partway.Pipeline.stream

    def until_seed_2(self: Any, *arguments: Any, **settings: Any) -> Any:
        if settings["seed"] == 2:
            raise KeyboardInterrupt
        return stream(self, *arguments, **settings)

    monkeypatch.setattr(partway.Pipeline, "stream", until_seed_2)
    code, _, _ = run(capsys, "img2img", "room.png", "cat", "-m", model, "--steps", 2, "--count", 5, "-o", "x.png")
    assert code == 130
    assert files(desk) == {"room.png", "x-0001.png", "x-0002.png"}


def test_the_progress_bar_is_on_stderr_and_only_on_a_terminal(
    capsys: Captured, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = ("img2img", "room.png", "cat", "-m", model, "--steps", 4, "--strength", 1, "-o", "x.png")
    assert run(capsys, *base)[2] == ""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    shown = run(capsys, *base)[2]
    assert "/4 [" in shown
    assert "step" in shown
    assert run(capsys, *base, "--quiet")[2] == ""


def python(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHONPATH": str(Path(partway.__file__).parents[1])}
    return subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, env=environment, check=False
    )


def test_version_and_help_load_no_engine_and_no_torch() -> None:
    for flag, words in (("--version", f"partway {partway.__version__}"), ("--help", "img2img")):
        done = python(
            "import sys\n"
            "from partway.cli import main\n"
            "try: main(sys.argv[1:])\n"
            "except SystemExit: pass\n"
            "heavy = {'onnxruntime', 'openvino', 'tokenizers', 'torch', 'huggingface_hub', 'tqdm'}\n"
            "print(sorted(heavy & set(sys.modules)))\n",
            flag,
        )
        assert words in done.stdout
        assert done.stdout.splitlines()[-1] == "[]"


def test_a_closed_pipe_is_no_error() -> None:
    done = python(
        "import subprocess, sys\n"
        'code = \'import sys; from partway.cli import main; sys.exit(main(["plan", "--steps", "1000"]))\'\n'
        "child = subprocess.Popen([sys.executable, '-c', code], stdout=subprocess.PIPE, stderr=subprocess.PIPE)\n"
        "child.stdout.close()\n"
        "print(child.stderr.read().decode(), child.wait())\n"
    )
    assert done.stdout.split() == ["0"]


def test_text_that_is_not_utf_8_is_no_trouble(model: Path, desk: Path) -> None:
    os.link(b"room.png", b"r\xff.png")
    code = "import sys; from partway.cli import main; sys.exit(main())"
    environment = os.environ | {"PYTHONPATH": str(Path(partway.__file__).parents[1]), "PYTHONIOENCODING": "utf-8"}
    done = subprocess.run(
        [sys.executable, "-c", code, "img2img", b"r\xff.png", b"caf\xe9", "-m", str(model)],
        capture_output=True,
        env=environment,
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.startswith(rb"r\udcff-partway-0001.png")


def test_without_stderr_the_picture_is_made_all_the_same(
    capsys: Captured, model: Path, desk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stderr", None)
    assert main(["img2img", "room.png", "cat", "-m", str(model), "-o", "out.png"]) == 0
    assert Path("out.png").exists()
