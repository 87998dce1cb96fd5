"""Done in time: levels are dropped, or the estimate so far is the picture."""

from itertools import count
from time import perf_counter, sleep

import numpy as np
import pytest

import partway
from partway import cli
from partway.diffusion.levels import NoiseLevel
from partway.run import deadline
from partway.run.deadline import Ration

LEVELS = tuple(NoiseLevel(float(sigma), 100.0 * sigma) for sigma in range(10, -1, -1))


def left_after(seconds, *, step, decode=0.0, monkeypatch):
    """The levels that are left before each step where every step takes ``step`` seconds, or the n-th ``step(n)``."""
    clock = [0.0]
    monkeypatch.setattr(deadline, "perf_counter", lambda: 1000 + clock[0])
    ration = Ration(seconds)
    ration.begin(decode)
    left, seen = ration(LEVELS), []
    for number in count():
        seen.append(left)
        if len(left) == 1:
            return seen, clock[0] + decode, ration
        clock[0] += step(number) if callable(step) else step
        left = ration(left[1:])


def test_with_time_enough_nothing_is_dropped(monkeypatch):
    seen, _, ration = left_after(100, step=1, monkeypatch=monkeypatch)
    assert seen == [LEVELS[index:] for index in range(11)] and not ration.short
    seen, _, _ = left_after(None, step=1, monkeypatch=monkeypatch)
    assert len(seen) == 11


@pytest.mark.parametrize("seconds", [4, 6, 9.5])
@pytest.mark.parametrize("decode", [0, 1.5])
def test_steps_are_dropped_evenly_to_be_in_time(monkeypatch, seconds, decode):
    seen, took, ration = left_after(seconds, step=1, decode=decode, monkeypatch=monkeypatch)
    assert seconds - 1 < took <= seconds
    assert all(left[-1] == LEVELS[-1] for left in seen)
    if not ration.short:
        gaps = -np.diff([level.sigma for level in seen[2]])
        assert gaps.max() - gaps.min() <= 1


def test_a_slow_first_step_does_not_cost_the_others(monkeypatch):
    seen, took, ration = left_after(20, step=lambda number: 8 if number == 0 else 1, monkeypatch=monkeypatch)
    assert len(seen) == 11 and took == 17 and not ration.short


def test_time_that_is_up_ends_the_run_after_the_step_under_way(monkeypatch):
    seen, _, ration = left_after(3, step=5, monkeypatch=monkeypatch)
    assert [len(left) for left in seen] == [11, 1] and ration.short


@pytest.fixture
def slow(pipe, monkeypatch):
    """A pipeline whose UNet takes 40 ms a call."""
    run = pipe.engine.run

    def slowly(network, inputs):
        sleep(0.04 * (network == "unet"))
        return run(network, inputs)

    monkeypatch.setattr(pipe.engine, "run", slowly)
    return pipe


def test_a_run_is_done_in_time(slow, picture):
    settings = {"strength": 1, "steps": 100, "sampler": "euler"}
    slow.img2img(picture, "a room", **settings | {"steps": 2})
    started = perf_counter()
    result = slow.img2img(picture, "a room", deadline=1.0, **settings)
    assert perf_counter() - started < 3
    assert 2 < result.plan.steps_run < 30
    assert result.plan.calls["unet"] == result.plan.network_calls == result.plan.steps_run
    assert result.plan.levels[-1].sigma == 0
    sigmas = [level.sigma for level in result.plan.levels]
    assert sigmas == sorted(sigmas, reverse=True)


def test_no_time_at_all_gives_the_first_estimate(slow, picture):
    result = slow.img2img(picture, "a room", strength=0.8, steps=20, sampler="euler", deadline=0)
    assert result.plan.steps_run == 1
    assert result.image.size == picture.size


def test_stopped_it_gives_the_estimate_so_far(pipe, picture):
    settings = {"strength": 0.8, "steps": 20, "sampler": "euler"}
    run = pipe.stream("a room", picture, **settings)
    for step in run:
        if step.index == 5:
            run.stop()
            estimate = step.denoised
    result = run.result()
    assert result.plan.steps_run == result.plan.network_calls == 5
    np.testing.assert_array_equal(result.latents.values, estimate)
    whole = pipe.img2img(picture, "a room", **settings)
    assert result.image.tobytes() != whole.image.tobytes()


def test_what_a_stopped_run_took_counts_evaluations_and_not_calls(split_folder, picture):
    """With reuse, and in batches of one row, a guidance pair is two calls."""
    settings = {"strength": 0.8, "steps": 20, "sampler": "euler", "reuse": 0.3, "seed": (1, 2)}
    whole = partway.plan(split_folder, **settings)
    run = partway.load(split_folder, batch=1).stream("a room", picture, **settings)
    for step in run:
        if step.index == 9:
            run.stop()
    plan = run.result().plan
    assert plan.steps_run == plan.network_calls == plan.calls["unet"] + plan.calls["unet_shallow"] == 9
    assert 0 < plan.guided_calls < 9 and plan.calls["unet"] < 9
    assert sum(plan.rows.values()) == plan.network_calls + plan.guided_calls
    assert plan.rows["unet"] == 2 * plan.calls["unet"] <= whole.rows["unet"]


def test_a_deadline_that_is_never_near_changes_no_byte(pipe, picture):
    settings = {"strength": 0.7, "steps": 9}
    made = [pipe.img2img(picture, "a", **settings, **more).image.tobytes() for more in ({}, {"deadline": 1e5})]
    assert made[0] == made[1]


@pytest.mark.parametrize(
    ("settings", "words"),
    [({"deadline": -1}, "deadline must be between"), ({"deadline": 5, "denoising_end": 0.5}, "has no deadline")],
)
def test_what_cannot_be(settings, words):
    with pytest.raises(partway.InputError, match=words):
        partway.Settings(**settings)


def test_the_command_line_takes_seconds(toy_folder, tmp_path, picture, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    picture.save("in.png")
    start = ["img2img", "in.png", "a room", "-m", str(toy_folder), "-o", "out.png", "--deadline"]
    assert cli.main([*start, "soon"]) == 2
    assert "seconds are needed, like 8 or 8s, not 'soon'" in capsys.readouterr().err
    assert not (tmp_path / "out.png").exists()
    assert cli.main([*start, "60s"]) == 0 and (tmp_path / "out.png").exists()


def test_a_run_that_is_handed_over_does_not_stop(pipe, picture):
    with pytest.raises(partway.InputError, match="leave it instead"):
        pipe.stream("a room", picture, denoising_end=0.5).stop()
