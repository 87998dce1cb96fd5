"""A batch that is killed, interrupted or watches: whole files, none made twice, and the same in the end."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from batches import Drawn, outputs, states


def started(model: Path, out: str, *more: str) -> subprocess.Popen[bytes]:
    """The command in a process of its own."""
    command = [sys.executable, "-m", "partway", "batch", "rooms", "warm light", "-o", out, "-m", str(model), *more]
    return subprocess.Popen(
        [*command, "--steps", "40"], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, preexec_fn=_hears_interrupts
    )


def _hears_interrupts() -> None:
    """What a shell runs in the background, and all that it starts, is deaf to them."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def finished(child: subprocess.Popen[bytes]) -> None:
    """Wait until it is done. A process of its own, as records name the engines that the process has loaded."""
    said = child.communicate(timeout=120)[1]
    assert child.returncode == 0, said


def until(there: Callable[[], bool], seconds: float = 60) -> None:
    """Wait for it."""
    end = time.monotonic() + seconds
    while not there():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_killed_again_and_again_it_ends_with_the_same_files(drawn: Drawn, model: Path):
    for number in range(40):
        drawn(f"{number}.png", number, (192, 128))
    finished(started(model, "whole"))
    whole, stamps = outputs("whole"), {}
    for goal in (4, 17):
        child = started(model, "killed")
        until(lambda goal=goal: len(outputs("killed")) >= goal if Path("killed").is_dir() else False)
        child.send_signal(signal.SIGKILL)
        child.wait()
        assert child.stderr is not None
        child.stderr.close()
        made = outputs("killed")
        assert len(made) < 40 and made.items() <= whole.items()  # none half written
        now = {name: os.stat(Path("killed", name)).st_mtime_ns for name in made}
        assert stamps.items() <= now.items()  # none made twice
        stamps = now
    finished(started(model, "killed"))
    assert outputs("killed") == whole
    assert {name for name, state in states("killed").items() if state == "kept"} == set(stamps)


def test_watching_goes_on_with_what_arrives_until_it_is_interrupted(drawn: Drawn, model: Path):
    drawn("a.png")
    child = started(model, "out", "--watch")
    until(lambda: Path("out/a.png").is_file())
    drawn("b.png")
    until(lambda: Path("out/b.png").is_file())
    drawn("a.png", 60)
    before = Path("out/a.png").read_bytes()
    until(lambda: Path("out/a.png").read_bytes() != before)
    child.send_signal(signal.SIGINT)
    assert child.wait(60) == 130
    assert child.stderr is not None and b"interrupted" in child.stderr.read()
    child.stderr.close()
    assert set(states("out").values()) == {"made"}
