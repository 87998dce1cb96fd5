"""What other tools call samplers and schedules, and levels that the user wrote down."""

import pytest

import partway
from partway.diffusion import names
from partway.diffusion.names import SAMPLER_ALIASES, SCHEDULE_ALIASES


@pytest.mark.parametrize(
    ("theirs", "sampler", "schedule"),
    [
        ("Euler a", "euler_a", None),
        ("DPM++ 2M", "dpmpp_2m", None),
        ("DPM++ 2M Karras", "dpmpp_2m", "karras"),
        ("DPM++ 2M SDE Exponential", "dpmpp_2m_sde", "exponential"),
        ("DPM++ 3M SDE Karras", "dpmpp_3m_sde", "karras"),
        ("dpmpp_2s_ancestral", "dpmpp_2s_a", None),
        ("dpm_2", "dpm2", None),
        ("LMS Karras", "lms", "karras"),
        ("uni_pc_bh2", "unipc", None),
        ("DDIM CFG++", "euler_cfg_pp", None),
        ("euler_ancestral_cfg_pp", "euler_a_cfg_pp", None),
        ("Restart Karras", "restart", "karras"),
        ("Heun++ 2", "heunpp2", None),
        ("DDIM ddim_uniform", "ddim", "ddim_uniform"),
        ("Euler use_lu_lambdas", "euler", "exponential"),
        ("Euler Normal", "euler", "linspace"),
        ("Euler SGM Uniform", "euler", "sgm_uniform"),
    ],
)
def test_labels_of_other_tools(theirs, sampler, schedule):
    settings = partway.Settings(sampler=theirs)
    assert (settings.sampler, settings.schedule) == (sampler, schedule)


def test_a_schedule_that_is_asked_for_wins_over_the_label_s():
    assert partway.Settings(sampler="DPM++ 2M Karras", schedule="Align Your Steps").schedule == "ays"


def test_every_name_and_alias_says_one_thing():
    for table, aliases, find in (
        (partway.SAMPLERS, SAMPLER_ALIASES, lambda name: names.sampler(name)[0]),
        (partway.SCHEDULES, SCHEDULE_ALIASES, names.schedule),
    ):
        assert set(aliases) <= set(table)
        for known in table:
            assert all(find(alias) == known for alias in (known, *aliases.get(known, ())))


@pytest.mark.parametrize("name", ["DPM++ 2M Karas", "eular", "", "++", "dpmpp_2m_"])
def test_unknown_samplers_are_refused_with_what_is_near(name):
    if name == "dpmpp_2m_":
        assert partway.Settings(sampler=name).sampler == "dpmpp_2m"
        return
    with pytest.raises(partway.InputError, match="did you mean .*[?]$" if len(name) > 2 else "choose one of: ddim, "):
        partway.Settings(sampler=name)


def test_levels_of_one_s_own():
    plan = partway.plan(schedule="sigmas 14.6,3,0.5", strength=1)
    assert [level.sigma for level in plan.levels] == [14.6, 3, 0.5, 0]
    assert plan.steps == plan.steps_run == 3
    assert partway.plan(schedule=partway.Given((14.6, 3, 0.5, 0)), strength=1).levels == plan.levels
    timesteps = partway.plan(schedule="timesteps 999,499,0", strength=1)
    assert [level.timestep for level in timesteps.levels] == [999, 499, 0, 0]
    assert 1 < partway.plan(schedule="timesteps 999,499,0", strength=0.5).start_timestep < 499


@pytest.mark.parametrize(
    "schedule", ["sigmas ", "sigmas a,b", "sigmas 3,14", "sigmas 0", "timesteps 5000,3", "timesteps 3,-1", "sigmas nan"]
)
def test_levels_that_cannot_be(schedule):
    with pytest.raises(partway.InputError):
        partway.plan(schedule=schedule)


def test_a_list_runs_no_other_number_of_steps():
    with pytest.raises(partway.InputError, match="3 steps"):
        partway.plan(schedule="sigmas 14,3,1", dial="comfyui", strength=0.5)
