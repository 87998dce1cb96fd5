"""A run with a progress bar, and what it did in one line."""

import sys

from partway import Plan, Result, Run


def finish(run: Run, *, label: str = "", quiet: bool = False) -> Result:
    """Run to the end, with steps and time left on stderr where that is a terminal."""
    from tqdm import tqdm

    # None hides the bar where stderr is not a terminal.
    disable = True if quiet or sys.stderr is None else None
    with tqdm(total=run.plan.steps_run, desc=label or None, unit="step", leave=False, disable=disable) as bar:
        for _ in run:
            bar.update()
    return run.result()


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
