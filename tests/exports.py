"""What is slow to make is made once in a run of the tests: small models, and packages.

`Store` keeps folders by name, shared by the processes of the run.
"""

import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from filelock import FileLock

import tiny


class Exported(NamedTuple):
    """A package, what made it, and the diffusers folder that it came from."""

    folder: Path
    source: Path
    to: str
    weights: str


class Store:
    """Folders that are made when they are asked for first, by whichever process asks."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def get(self, name: str, make: Callable[[Path], Any]) -> Path:
        """The folder of that name, which ``make`` fills where it is not there yet."""
        room = self.root / name  # of its own, so that nothing that is being made lies beside something finished
        made = room / "made"
        if not made.exists():
            room.mkdir(parents=True, exist_ok=True)
            with FileLock(room / "lock"):
                if not made.exists():
                    shutil.rmtree(room / "making", ignore_errors=True)
                    make(room / "making")
                    (room / "making").rename(made)
        return made

    def model(self, kind: str) -> Path:
        """A small model of ``kind`` as diffusers writes it."""
        return self.get(f"models/{kind}", partial(tiny.build, kind=kind))

    def exported(self, kind: str, to: str, weights: str, **options: Any) -> Exported:
        """A small model's package, of a format and weights, made with ``options`` of `partway_export.export`."""
        from partway_export import export

        source = self.model(kind)
        told = "".join(f" {name}={value}" for name, value in sorted(options.items()))

        made = self.get(
            f"packages/{kind} {to} {weights}{told}",
            lambda folder: export(source, folder, to=to, weights=weights, **options),
        )
        return Exported(made, source, to, weights)
