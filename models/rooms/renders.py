"""Rendered pictures on disk, in shards: python -m models.rooms.renders --run DIR --shards N.

Shard k holds pictures k * 512 ... of the training rooms; any machine draws the same shard from the same number, so
nothing but time is lost with the cache. Rooms from `partway_rooms.HELD_OUT` on are never trained on.
"""

import argparse
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from partway_rooms.renderer import Picture, object_map, render, sample_layout, sample_look

SHARD = 512
BLOCK = 4  # pixels across what an object map of this folder tells as one


def picture(seed: int, size: int = 256) -> Picture:
    """The picture of a number: its own room in its own look."""
    return render(sample_layout(seed), sample_look(seed), size)


def pictures(first: int, count: int, size: int = 256) -> Iterator[Picture]:
    """The pictures of consecutive numbers."""
    for seed in range(first, first + count):
        yield picture(seed, size)


def shard_path(run: Path, index: int) -> Path:
    """Where a shard's pixels lie; its captions lie beside it, as JSON."""
    return run / "renders" / f"{index:05d}.npy"


def write_shard(run: Path, index: int) -> None:
    """Draws a shard; it appears at once and whole."""
    path = shard_path(run, index)
    path.parent.mkdir(parents=True, exist_ok=True)
    drawn = list(pictures(index * SHARD, SHARD))
    path.with_suffix(".json").write_text(json.dumps([p.caption for p in drawn]))
    temporary = path.with_suffix(".tmp")
    with temporary.open("wb") as file:
        np.save(file, np.stack([p.pixels for p in drawn]))
    os.replace(temporary, path)


def open_shard(run: Path, index: int, wait: bool = True) -> NDArray[np.uint8]:
    """Pixels of a shard, (512, 256, 256, 3) uint8, memory-mapped; waits for the process that draws them."""
    path = shard_path(run, index)
    while wait and not path.exists():
        time.sleep(2)
    return np.asarray(np.load(path, mmap_mode="r"))


def true_map(seed: int) -> NDArray[np.uint8]:
    """Object classes of a room, one for each block, (64, 64)."""
    return object_map(sample_layout(seed))[BLOCK // 2 :: BLOCK, BLOCK // 2 :: BLOCK]


def shard_maps(run: Path, index: int) -> NDArray[np.uint8]:
    """Object maps of a shard, kept on disk, (512, 64, 64)."""
    path = run / "maps" / f"{index:05d}.npy"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        np.save(path, np.stack([true_map(seed) for seed in range(index * SHARD, (index + 1) * SHARD)]))
    return np.asarray(np.load(path))


def main() -> None:
    """Draws the shards that are not there yet, in order."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", type=Path, default=Path("build/rooms"))
    parser.add_argument("--shards", type=int, default=28)
    args = parser.parse_args()
    for index in range(args.shards):
        if shard_path(args.run, index).exists():
            continue
        started = time.perf_counter()
        write_shard(args.run, index)
        print(f"shard {index}: {SHARD / (time.perf_counter() - started):.1f} pictures/s", flush=True)


if __name__ == "__main__":
    main()
