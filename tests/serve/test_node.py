"""The clients of Node: `openai` of npm and the AI SDK, unmodified."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

FOLDER = os.environ.get("NODE_CLIENTS")  # where npm installed openai, ai and @ai-sdk/openai-compatible


@pytest.mark.skipif(not (FOLDER and shutil.which("node")), reason="no clients of Node here; NODE_CLIENTS says where")
def test_clients_of_node(server, photo, tmp_path):
    (tmp_path / "room.png").write_bytes(photo)
    command = ["node", Path(__file__).with_name("clients.mjs"), FOLDER, server.address, tmp_path / "room.png"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout) == (0, "all passed\n"), done.stderr
