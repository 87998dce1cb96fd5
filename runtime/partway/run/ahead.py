"""Networks that open in the background, while those that a run calls before them compute."""

from collections.abc import Sequence
from contextlib import suppress
from threading import Thread

from partway.engines import Engine
from partway.graphs import TOKENIZERS
from partway.run.plans import Plan


def open_ahead(engine: Engine, plan: Plan) -> None:
    """Open what a run calls behind its encoders, in that order; what fails is raised where the run calls it."""
    first = (*TOKENIZERS, plan.vae[0])
    later = [name for name, count in plan.calls.items() if count and name not in first]
    Thread(target=_open, args=(engine, later), name="partway-open").start()


def _open(engine: Engine, networks: Sequence[str]) -> None:
    for network in networks:
        with suppress(Exception):  # it fails again where the run calls it, which says so
            engine.signature(network)
