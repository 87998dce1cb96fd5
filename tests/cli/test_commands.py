"""The commands there are, and what each says of itself."""

import io
import re
import subprocess
import sys
from contextlib import redirect_stdout
from importlib import import_module
from pathlib import Path

import pytest

from command import Captured, run
from partway import cli
from partway.cli import COMMANDS, main

SHARED = {
    "embeddings",
    "__init__",
    "arguments",
    "controls",
    "messages",
    "outputs",
    "progress",
    "request",
    "summaries",
    "tasks",
    "wishes",
}


def test_every_file_of_the_folder_is_a_command_but_for_what_they_share() -> None:
    files = {path.stem for path in Path(cli.__file__).parent.glob("*.py")}
    assert files == set(COMMANDS) | SHARED
    for name in COMMANDS:
        module = import_module(f"partway.cli.{name}")
        assert str(module.__doc__).startswith(f"``partway {name}``: ")


def help_of(*arguments: str) -> str:
    text = io.StringIO()
    with redirect_stdout(text), pytest.raises(SystemExit) as ended:
        main([*arguments, "--help"])
    assert ended.value.code == 0
    return text.getvalue()


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_in_plain_words(name: str) -> None:
    said = help_of(name)
    assert said.startswith(f"usage: partway {name} ")
    assert "`" not in said and f"partway {name}: " not in said


def test_without_a_command_help_is_what_one_gets(capsys: Captured) -> None:
    code, out, err = run(capsys)
    assert (code, out, err) == (0, help_of(), "")
    assert "Exit codes: 0 it is" in out
    assert re.findall(r"^    (\w+)", out, re.M) == list(COMMANDS)


def test_help_of_export_needs_nothing() -> None:
    code = (
        "import sys\n"
        "for name in ('torch', 'diffusers', 'transformers', 'optimum', 'onnx', 'nncf', 'openvino', 'onnxslim'):\n"
        "    sys.modules[name] = None\n"
        "from partway.cli import main\n"
        "main(['export', '--help'])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "--weights" in done.stdout
