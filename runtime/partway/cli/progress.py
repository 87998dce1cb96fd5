"""A run with a progress bar, and what it did in one line."""

import sys
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

from partway import Plan, Result, Run

T = TypeVar("T")


def finish(run: Run, *, label: str = "", quiet: bool = False) -> Result:
    """Run to the end, with steps and time left on stderr where that is a terminal."""
    from tqdm import tqdm

    with tqdm(
        total=run.plan.steps_run, desc=label or None, unit="step", leave=False, disable=_hidden(quiet=quiet)
    ) as bar:
        for _ in run:
            bar.update()
    return run.result()


def counted(pictures: Iterable[T], *, total: int | None, quiet: bool = False) -> Iterator[T]:
    """Yield what is ready, with how many that is, how many a minute, and time left on stderr where it is a terminal."""
    from tqdm import tqdm

    form = "{n_fmt} of {total_fmt} pictures |{bar}|{postfix}, {remaining} left"
    begun = time.perf_counter()
    with tqdm(total=total, leave=False, disable=_hidden(quiet=quiet), bar_format=form if total else None) as bar:
        for number, one in enumerate(pictures, 1):
            bar.set_postfix_str(f"{60 * number / (time.perf_counter() - begun):.0f} a minute", refresh=False)
            bar.update()
            yield one


def _hidden(*, quiet: bool) -> bool | None:
    """Whether tqdm shows no bar; None leaves it out where stderr is not a terminal."""
    return True if quiet or sys.stderr is None else None


def did(plan: Plan, *, strength: bool = True) -> str:
    """Say in a few words which part of the schedule ran; ``strength`` False for tasks in which it has no part."""
    if not plan.levels:
        return f"strength {plan.strength:g}: nothing to run, this is the input"
    head = f"strength {plan.strength:g}: " if strength else ""
    return (
        f"{head}{plan.steps_run} of {plan.steps} steps of {plan.sampler} ({plan.schedule}), "
        f"from sigma {plan.start_sigma:.2f} ({100 * plan.noise_share:.0f} % noise)"
    )


def timing(seconds: dict[str, float]) -> str:
    """Say how long each stage took."""
    return ", ".join(f"{stage.replace('_', ' ')} {value:.1f} s" for stage, value in seconds.items())
