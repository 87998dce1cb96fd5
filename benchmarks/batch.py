"""A folder of rooms by `partway batch`, beside a loop in Python and one over `partway img2img`; killed and resumed.

    python -m benchmarks.batch --work DIR [--count 1000] [--loop 300] [--sample 10] [--kills 20] [--ray]

appends to ``results/batch.jsonl`` and renews README.md's table. All make the same rooms of 256x256 with `rooms-lcm`,
each in a process of its own, from its start to its end. With ``--ray`` two nodes of one core each make them too, beside
one process on two cores; what starting Ray and its actors takes is not counted, nor is the process's start.
"""

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks import records, tables
from partway_rooms import room

PROMPT = "cozy scandinavian interior, warm light"
MODEL = "rooms-lcm"
WARM = 50  # pictures after which memory should not grow

LOOP = """
import sys, partway
from pathlib import Path
pipe = partway.load(sys.argv[3])
for number, path in enumerate(sorted(Path(sys.argv[1]).iterdir())[: int(sys.argv[5])]):
    pipe.img2img(path, sys.argv[4], seed=number).image.save(Path(sys.argv[2], path.name))
"""


def drawn(folder: Path, count: int) -> Path:
    """A folder of so many rooms, drawn once."""
    rooms = folder / f"rooms-{count}"
    rooms.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        path = rooms / f"{number:04}.png"
        if not path.exists():
            room(number).picture.save(path)
    return rooms


def command(rooms: Path, out: Path, *more: str) -> list[str]:
    """`partway batch` on the rooms."""
    return [sys.executable, "-m", "partway", "batch", str(rooms), PROMPT, "-o", str(out), "-m", MODEL, "-q", *more]


def looped(rooms: Path, out: Path, count: int) -> float:
    """Seconds of a loop over a warm pipeline, as one writes it, for so many of the rooms."""
    out.mkdir()
    begun = time.perf_counter()
    subprocess.run([sys.executable, "-c", LOOP, str(rooms), str(out), MODEL, PROMPT, str(count)], check=True)
    return time.perf_counter() - begun


def commanded(rooms: Path, out: Path, sample: int) -> float:
    """Median seconds of `partway img2img` on a picture."""
    out.mkdir()
    took = []
    for path in sorted(rooms.iterdir())[:sample]:
        begun = time.perf_counter()
        words = ["img2img", str(path), PROMPT, "-m", MODEL, "-o", str(out / path.name), "-q"]
        subprocess.run([sys.executable, "-m", "partway", *words], check=True, stdout=subprocess.DEVNULL)
        took.append(time.perf_counter() - begun)
    return median(took)


def batched(rooms: Path, out: Path) -> tuple[float, list[int]]:
    """Seconds of `partway batch`, and its bytes of memory, about one a second, from the `WARM`th picture on."""
    begun = time.perf_counter()
    child = subprocess.Popen(command(rooms, out), stdout=subprocess.DEVNULL)
    memory = []
    while child.poll() is None:
        if made(out) >= WARM:
            memory.append(resident(child.pid))
        time.sleep(1)
    assert child.returncode == 0
    return time.perf_counter() - begun, [size for size in memory if size]


def killed(rooms: Path, out: Path, times: int) -> int:
    """Kill `partway batch` so many times at random moments, resuming it; return how many pictures it made twice."""
    rng, total = random.Random(0), len(list(rooms.iterdir()))
    goals = sorted(rng.randrange(total) for _ in range(times))
    stamps: dict[str, int] = {}
    twice = 0
    for goal in [*goals, total]:
        child = subprocess.Popen(command(rooms, out), stdout=subprocess.DEVNULL)
        while child.poll() is None and (goal == total or made(out) < goal):
            time.sleep(0.05)
        time.sleep(rng.random() / 2)
        child.send_signal(signal.SIGKILL)
        child.wait()
        now = {path.name: path.stat().st_mtime_ns for path in out.glob("[!.]*.png")}
        twice += sum(now[name] != stamp for name, stamp in stamps.items())
        stamps = now
    return twice


def on_ray(rooms: Path, out: Path) -> float:
    """Pictures a minute of two nodes of one core each, from the first picture to the last."""
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
    for _ in range(2):
        cluster.add_node(num_cpus=1)
    try:
        child = subprocess.Popen(command(rooms, out, f"--ray={cluster.address}"), stdout=subprocess.DEVNULL)
        rate = between(out, child)
    finally:
        cluster.shutdown()
    return rate


def in_process(rooms: Path, out: Path) -> float:
    """The same of one process on two cores."""
    return between(out, subprocess.Popen(command(rooms, out), stdout=subprocess.DEVNULL))


def between(out: Path, child: subprocess.Popen[bytes]) -> float:
    """Pictures a minute from the first to the last."""
    assert child.wait() == 0
    stamps = sorted(path.stat().st_mtime for path in out.glob("*.png"))
    return 60 * (len(stamps) - 1) / (stamps[-1] - stamps[0])


def made(out: Path) -> int:
    return sum(not name.startswith(".") and name.endswith(".png") for name in os.listdir(out)) if out.is_dir() else 0


def resident(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, IndexError):
        return 0


def contents(out: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in out.iterdir() if path.suffix != ".csv"}


def measure(work: Path, count: int, loop_count: int, sample: int, kills: int, *, ray: bool) -> dict[str, Any]:
    """All of it; the folders of outputs have to be new."""
    rooms = drawn(work, count)
    loop_count = min(loop_count, count)
    loop, each = looped(rooms, work / "loop", loop_count), commanded(rooms, work / "commands", sample)
    seconds, memory = batched(rooms, work / "batch")
    found: dict[str, Any] = {
        "model": MODEL,
        "pictures": count,
        "loop_a_minute": 60 * loop_count / loop,
        "img2img_a_minute": 60 / each,
        "batch_a_minute": 60 * count / seconds,
        "memory": {"first": memory[0], "most": max(memory)} if memory else None,
    }
    if kills:
        found |= {"kills": kills, "made_twice": killed(rooms, work / "killed", kills)}
        whole = {name: data for name, data in contents(work / "killed").items() if not name.startswith(".")}
        found["same_files"] = whole == contents(work / "batch")
    if ray:
        found["process_a_minute"] = in_process(rooms, work / "process")
        found["ray_a_minute"] = on_ray(rooms, work / "ray")
        found["ray_same_files"] = contents(work / "ray") == contents(work / "batch")
    return found


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.batch", description=__doc__.splitlines()[0])
    parser.add_argument("--work", type=Path, required=True, help="an empty folder for pictures")
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--loop", type=int, default=300, help="pictures of the loop over a warm pipeline")
    parser.add_argument("--sample", type=int, default=10, help="pictures of the loop over partway img2img")
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--ray", action="store_true", help="on two nodes of one core each, too")
    options = parser.parse_args(argv)
    head = records.session("batch")
    found = measure(options.work, options.count, options.loop, options.sample, options.kills, ray=options.ray)
    records.append(records.RESULTS / "batch.jsonl", {**head, **found})
    print(json.dumps(found, indent=1))
    tables.renew()


if __name__ == "__main__":
    main()
