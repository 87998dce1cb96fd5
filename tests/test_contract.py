"""The strength contract, on a small model: every sampler, schedule, dial, step count and strength."""

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from partway import DIALS, SAMPLERS, SCHEDULES

ANY = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
samplers = st.sampled_from(sorted(SAMPLERS))
schedules = st.sampled_from(sorted(SCHEDULES))
steps = st.integers(1, 12) | st.integers(1, 100)


def pixels(image):
    return np.asarray(image)


@ANY
@given(sampler=samplers, schedule=schedules, dial=st.sampled_from(sorted(DIALS)), steps=steps, strength=st.floats(0, 1))
def test_runs_as_planned(counted, picture, sampler, schedule, dial, steps, strength):
    pipe, engine = counted
    engine.calls.clear()
    run = pipe.stream("a room", picture, strength=strength, steps=steps, sampler=sampler, schedule=schedule, dial=dial)
    taken = list(run)
    result = run.result()
    assert engine.calls.get("unet", 0) == run.plan.network_calls
    assert len(taken) == run.plan.steps_run <= steps
    assert all(np.isfinite(step.denoised).all() for step in taken)
    assert [step.level for step in taken] == list(run.plan.levels[:-1])
    assert result.image.size == picture.size


@ANY
@given(sampler=samplers, schedule=schedules, steps=steps, dial=st.sampled_from(["continuous", "diffusers", "comfyui"]))
def test_strength_0_is_the_picture(counted, picture, sampler, schedule, steps, dial):
    pipe, engine = counted
    engine.calls.clear()
    result = pipe.img2img(picture, "a room", strength=0, steps=steps, sampler=sampler, schedule=schedule, dial=dial)
    assert result.image.tobytes() == picture.tobytes()
    assert engine.calls == {}


@ANY
@given(sampler=samplers, schedule=schedules, steps=steps, seed=st.integers(0, 2**64 - 1))
def test_strength_1_is_text_to_image(pipe, picture, sampler, schedule, steps, seed):
    same = {"steps": steps, "sampler": sampler, "schedule": schedule, "seed": seed}
    ours = pipe.img2img(picture, "a room", strength=1, **same)
    theirs = pipe.txt2img("a room", width=picture.width, height=picture.height, **same)
    assert ours.image.tobytes() == theirs.image.tobytes()
    assert not ours.plan.reads_image


def test_between_the_picture_changes_continuously(pipe, picture):
    """A hair of strength is a hair of change, whole steps or not; and close strengths still differ."""
    for strength in (0.05, 0.25, 0.45, 0.4999, 0.5, 0.77):
        made = [
            step.denoised
            for s in (strength, strength + 1e-4)
            for *_, step in [list(pipe.stream("a room", picture, strength=s, steps=4, sampler="euler"))]
        ]
        change = np.abs(made[0] - made[1]).max()
        assert 0 < change < 0.01, strength


def test_more_strength_changes_the_picture_more(pipe, picture):
    changes = []
    for strength in np.linspace(0, 1, 11):
        result = pipe.img2img(picture, "a room", strength=float(strength), steps=10, sampler="euler", seed=range(8))
        changes.append(np.mean([np.abs(pixels(i).astype(float) - pixels(picture)) for i in result.images]))
    first = np.array(changes[1:])
    assert changes[0] == 0
    assert (np.diff(first) > -1.0).all(), changes
    assert first[-1] > first[0]
