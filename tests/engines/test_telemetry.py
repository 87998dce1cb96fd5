"""Engines' libraries send nothing and leave nothing in the user's home."""

import os
import shutil
import subprocess
import sys
from importlib.util import find_spec

import pytest

from partway.engines import onnxruntime, openvino

ENGINES = [
    "onnxruntime",
    pytest.param("openvino", marks=pytest.mark.skipif(find_spec("openvino") is None, reason="openvino is an extra")),
]
# Where libraries keep things, and what else keeps their telemetry off.
HIDDEN = ("CI", "TF_BUILD", "JENKINS_URL", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "ORT_DISABLE_TELEMETRY")
PICTURE = """
import sys
sys.addaudithook(lambda event, details: event.startswith("socket.") and print(event, *details))
import numpy as np, partway
partway.load(sys.argv[1], engine=sys.argv[2]).img2img(np.zeros((24, 40, 3), np.uint8), "a room", steps=2)
"""


@pytest.mark.parametrize("engine", ENGINES)
def test_a_picture_leaves_the_home_empty_and_opens_no_socket(toy_folder, tmp_path, engine):
    home, seen = tmp_path / "home", tmp_path / "seen"
    home.mkdir()
    trace = ["strace", "-f", "-o", str(seen), "-e", "trace=socket"]  # of what is not Python too, and of processes
    if shutil.which("strace") is None or subprocess.run([*trace, "true"], capture_output=True).returncode:
        trace = []
    kept = {name: value for name, value in os.environ.items() if name not in (*HIDDEN, "PARTWAY_CACHE")}
    command = [*trace, sys.executable, "-W", "ignore", "-c", PICTURE, str(toy_folder), engine]
    done = subprocess.run(command, env=kept | {"HOME": str(home)}, capture_output=True, text=True, check=True)
    assert done.stdout == ""
    assert [str(file.relative_to(home)) for file in home.rglob("*")] == []
    assert not trace or "socket(" not in seen.read_text("utf-8", errors="replace")


def test_the_user_s_own_word_on_onnxruntime_counts(monkeypatch):
    monkeypatch.setenv("ORT_DISABLE_TELEMETRY", "0")
    onnxruntime.library()
    assert os.environ["ORT_DISABLE_TELEMETRY"] == "0"
    monkeypatch.delenv("ORT_DISABLE_TELEMETRY")
    onnxruntime.library()
    assert os.environ["ORT_DISABLE_TELEMETRY"] == "1"


def test_openvino_s_converter_is_there_for_others():
    code = (
        "import sys; from partway.engines.openvino import library; openvino = library()\n"
        "assert 'openvino.tools.ovc' not in sys.modules\n"
        "assert not hasattr(openvino, 'nothing') and callable(openvino.convert_model)\n"
        "assert 'openvino.tools.ovc' in sys.modules and 'openvino_telemetry' not in sys.modules\n"
    )
    pytest.importorskip("openvino")
    subprocess.run([sys.executable, "-c", code], check=True)


def test_openvino_s_telemetry_is_missing_only_meanwhile_and_only_if_nobody_uses_it(monkeypatch):
    monkeypatch.delitem(sys.modules, "abacus", raising=False)
    with openvino.missing("abacus"):
        assert find_spec("abacus") is None
        with pytest.raises(ImportError):
            import abacus
    import abacus

    with openvino.missing("abacus"):
        assert sys.modules["abacus"] is abacus
    assert sys.modules["abacus"] is abacus
