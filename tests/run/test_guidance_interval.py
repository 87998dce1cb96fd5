"""Guidance at some noise levels only: outside them no second prediction is made."""

import pytest

import partway


@pytest.fixture
def batches(counted, monkeypatch):
    """A pipeline, and the (timestep, batch) of every call of its UNet."""
    pipe, engine = counted
    seen = []
    run = engine.run

    def watched(network, inputs):
        if network == "unet":
            seen.append((float(inputs["timestep"].ravel()[0]), len(inputs["sample"])))
        return run(network, inputs)

    monkeypatch.setattr(engine, "run", watched)
    return pipe, seen


def test_outside_the_interval_there_is_no_second_prediction(batches, picture):
    pipe, seen = batches
    limits = {"guidance_min_sigma": 0.5, "guidance_max_sigma": 5.0}
    run = pipe.stream("a room", picture, strength=0.9, sampler="euler", steps=20, **limits)
    run.result()
    pairs = [0.5 < level.sigma <= 5.0 for level in run.plan.levels[:-1]]
    assert [batch == 2 for _, batch in seen] == pairs
    assert 0 < sum(pairs) < len(pairs)
    assert run.plan.guided_calls == sum(pairs)
    assert f"{sum(pairs)} of them guidance pairs" in str(run.plan)


def test_an_interval_of_everything_or_nothing(pipe, picture):
    def made(**settings):
        return pipe.img2img(picture, "a room", negative_prompt="dark", strength=0.8, **settings).image.tobytes()

    assert made() == made(guidance_min_sigma=0, guidance_max_sigma=1000)
    assert made(guidance_scale=1) == made(guidance_max_sigma=0) == made(guidance_min_sigma=1000)
    assert made() != made(guidance_min_sigma=0.5)


def test_limits_out_of_range():
    for settings in ({"guidance_min_sigma": -1}, {"guidance_max_sigma": float("nan")}):
        with pytest.raises(partway.InputError, match="sigma must be between"):
            partway.Settings(**settings)
