"""A run in two parts: it ends at a share of the noise levels, and another one, of any model, goes on from there."""

from dataclasses import replace

import numpy as np
import pytest

import partway
from partway import InputError
from partway.diffusion import dials, levels, schedules

EULER = {"sampler": "euler", "schedule": "trailing", "steps": 10, "seed": 5}


@pytest.mark.parametrize("share", [0.05, 0.3, 0.5, 0.8, 0.9])
@pytest.mark.parametrize("strength", [None, 1.0])
def test_two_parts_are_the_whole(pipe, picture, share, strength):
    if strength is None:
        whole = pipe.txt2img("a room", width=40, height=24, **EULER)
        first = pipe.txt2img("a room", width=40, height=24, denoising_end=share, **EULER)
    else:
        whole = pipe.img2img(picture, "a room", strength=strength, **EULER)
        first = pipe.img2img(picture, "a room", strength=strength, denoising_end=share, **EULER)
    second = pipe.img2img(first.latents, "a room", denoising_start=share, **EULER)
    assert second.image.tobytes() == whole.image.tobytes()
    assert first.plan.steps_run + second.plan.steps_run == whole.plan.steps_run
    assert first.latents.sigma == first.plan.levels[-1].sigma == second.plan.start_sigma


def test_calls_are_as_planned(counted):
    pipe, engine = counted
    settings = {**EULER, "guidance_scale": 1.0}
    first = pipe.txt2img("a room", width=40, height=24, denoising_end=0.5, **settings)
    assert first.images == []
    assert engine.calls == {name: n for name, n in first.plan.calls.items() if n} == {"text_encoder": 1, "unet": 5}
    with pytest.raises(InputError, match="give its latents"):
        _ = first.image
    engine.calls.clear()
    second = pipe.img2img(first.latents, "another room", denoising_start=0.5, **settings)
    assert engine.calls == {name: n for name, n in second.plan.calls.items() if n}
    assert second.plan.calls["vae_encoder"] == 0


def test_a_plan_says_where_it_goes_on_and_ends():
    plan = partway.plan(denoising_start=0.5, denoising_end=0.8, **EULER)
    assert [level.timestep for level in plan.levels] == [499, 399, 299, 199]
    assert "going on at denoising_start 0.5, to denoising_end 0.8" in str(plan)
    assert (plan.as_dict()["denoising_start"], plan.as_dict()["denoising_end"]) == (0.5, 0.8)
    assert plan.noise_share == pytest.approx(1 - 1 / (1 + plan.start_sigma**2))


@pytest.mark.parametrize("steps", [1, 2, 7, 20, 50])
def test_every_step_belongs_to_exactly_one_part(steps):
    trained = levels.trained()
    for spacing in (schedules.leading, schedules.trailing, schedules.linspace):
        full = spacing(trained, steps)
        for share in np.linspace(0.02, 0.98, 25):
            after = dials.from_denoising_start(share, steps, spacing, trained).schedule
            before = dials.until_denoising_end(dials.continuous(steps, 1.0, spacing, trained), share, trained).schedule
            assert before.steps + after.steps == full.steps
            assert before.sigmas[-1] == after.sigmas[0]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"denoising_start": 0.7, "denoising_end": 0.5}, "denoising_start must be below denoising_end"),
        ({"denoising_end": 0.0}, "denoising_end must be above 0 and below 1"),
        ({"denoising_start": 1.0}, "denoising_start must be above 0 and below 1"),
        ({"denoising_end": float("nan")}, "denoising_end must be between"),
        ({"denoising_end": 0.01, "steps": 3}, None),
        ({"denoising_start": 0.5, "denoising_end": 0.51, "steps": 3}, "no step begins between"),
        ({"strength": 0.0, "denoising_end": 0.5}, "no step begins between"),
        ({"original_size": (0, 5)}, "original_size must be two whole numbers"),
        ({"original_size": 512}, "original_size must be two whole numbers"),
        ({"crop": (1, 2, 3)}, "crop must be two whole numbers"),
        ({"target_size": "ab"}, "target_size must be two whole numbers"),
        ({"aesthetic_score": 11}, "aesthetic_score must be between 0 and 10"),
    ],
)
def test_settings_that_cannot_be(settings, message):
    if message is None:
        assert partway.plan(schedule="trailing", image=False, **settings).steps_run == 1
        return
    with pytest.raises(InputError, match=message) as caught:
        partway.plan(schedule="trailing", **settings)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["original_size", "crop", "target_size"])
def test_sizes_are_refused_by_a_model_that_is_not_told_them(pipe, picture, name):
    with pytest.raises(InputError, match=f"{name} is for models like SDXL"):
        pipe.img2img(picture, "a room", **{name: (8, 8)})


def test_refusals(pipe, picture):
    first = pipe.txt2img("a room", width=40, height=24, denoising_end=0.5, **EULER)
    mask = picture.convert("L")
    latents, wrong = first.latents, replace(first.latents, values=first.latents.values[:, :3])
    two = {**EULER, "seed": [1, 2]}
    for run, message in (
        (lambda: pipe.img2img(picture, "a room", denoising_start=0.5, **EULER), "another run's latents"),
        (lambda: pipe.txt2img("a room", denoising_start=0.5, **EULER), "another run's latents"),
        (lambda: pipe.img2img(latents, "a room", **EULER), "still have noise in them"),
        (lambda: pipe.img2img(latents, "a room", denoising_start=0.4, **EULER), "left at sigma .* starts at"),
        (lambda: pipe.img2img(latents, "a room", denoising_start=0.5, **{**EULER, "steps": 7}), "left at sigma"),
        (lambda: pipe.img2img(latents, "a room", denoising_start=0.5, **two), "the latents of 1 pictures"),
        (lambda: pipe.img2img(wrong, "a room", denoising_start=0.5, **EULER), "another kind of model's"),
        (lambda: pipe.inpaint(picture, mask, "a room", denoising_end=0.5, **EULER), "cannot be handed over"),
        (lambda: pipe.stream("a room", latents, width=40, **EULER), "keeps the picture's size"),
    ):
        with pytest.raises(InputError, match=message) as caught:
            run()
        assert "\n" not in str(caught.value)
