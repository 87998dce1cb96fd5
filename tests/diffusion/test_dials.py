"""What each dial makes of (steps, strength), against published tables and its own contract.

Tables: network evaluations of a first-order sampler and the first level, for Stable Diffusion 1.5's betas; the rows of
diffusers come from its own `get_timesteps`, those of the other tools from their source.
"""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import partway
from partway.diffusion.dials import DIALS, continuous, matching
from partway.diffusion.levels import trained
from partway.diffusion.schedules import SCHEDULES

STRENGTHS = (0, 0.1, 0.3, 0.45, 0.5, 0.75, 0.8, 0.999, 1.0)
TRAINED = trained()

# (dial, schedule): {steps: "calls@timestep/sigma" for each of STRENGTHS}
TABLES = {
    ("diffusers", "leading"): {
        4: "0 0 1@1/.041 1@1/.041 2@251/.698 3@501/1.624 3@501/1.624 3@501/1.624 4@751/4.117",
        20: "0 2@51/.228 6@251/.698 9@401/1.168 10@451/1.376 15@701/3.348 16@751/4.117 19@901/8.391 20@951/11.028",
        30: "0 3@67/.268 9@265/.735 13@397/1.153 15@463/1.432 22@694/3.256 24@760/4.279 29@925/9.544 30@958/11.477",
        50: "0 5@81/.301 15@281/.779 22@421/1.247 25@481/1.519 37@721/3.631 40@781/4.692 49@961/11.676 50@981/13.120",
    },
    ("diffusers", "linspace"): {
        4: "0 0 1@0/.029 1@0/.029 2@333/.932 3@666/2.918 3@666/2.918 3@666/2.918 4@999/14.615",
        20: "0 2@52.6/.232 6@262.9/.730 9@420.6/1.246 10@473.2/1.481 15@736.1/3.865 16@788.7/4.856 "
        "19@946.4/10.747 20@999/14.615",
        30: "0 3@68.9/.272 9@275.6/.764 13@413.4/1.217 15@482.3/1.526 22@723.4/3.667 24@792.3/4.936 "
        "29@964.6/11.918 30@999/14.615",
        50: "0 5@81.6/.302 15@285.4/.791 22@428.1/1.277 25@489.3/1.562 37@734.0/3.831 40@795.1/4.999 "
        "49@978.6/12.937 50@999/14.615",
    },
    ("diffusers", "trailing"): {
        4: "0 0 1@249/.693 1@249/.693 2@499/1.613 3@749/4.082 3@749/4.082 3@749/4.082 4@999/14.615",
        20: "0 2@99/.342 6@299/.830 9@449/1.367 10@499/1.613 15@749/4.082 16@799/5.088 19@949/10.904 20@999/14.615",
        30: "0 3@99/.342 9@299/.830 13@432/1.293 15@499/1.613 22@732/3.800 24@799/5.088 29@966/12.018 30@999/14.615",
        50: "0 5@99/.342 15@299/.830 22@439/1.323 25@499/1.613 37@739/3.913 40@799/5.088 49@979/12.966 50@999/14.615",
    },
    ("diffusers", "leading_dpm"): {
        4: "0 0 1@201/.574 1@201/.574 2@401/1.168 3@601/2.293 3@601/2.293 3@601/2.293 4@801/5.134",
        20: "0 2@95/.333 6@283/.784 9@424/1.260 10@471/1.470 15@706/3.416 16@753/4.152 19@894/8.088 20@941/10.425",
        30: "0 3@97/.337 9@289/.801 13@417/1.231 15@481/1.519 22@705/3.402 24@769/4.450 29@929/9.755 30@961/11.676",
        50: "0 5@96/.335 15@286/.793 22@419/1.239 25@476/1.494 37@704/3.388 40@761/4.298 49@932/9.917 50@951/11.028",
    },
    ("diffusers", "karras"): {
        4: "0 0 1@0/.029 1@0/.029 2@146/.447 3@687/3.169 3@687/3.169 3@687/3.169 4@999/14.615",
        20: "0 2@2/.048 6@69/.273 9@285/.791 10@380/1.091 15@772/4.500 16@827/5.789 19@962/11.725 20@999/14.615",
        30: "0 3@3/.056 9@80/.299 13@273/.756 15@397/1.151 22@757/4.228 24@830/5.889 29@975/12.661 30@999/14.615",
        50: "0 5@4/.063 15@90/.321 22@299/.829 25@409/1.200 37@769/4.453 40@833/5.967 49@985/13.429 50@999/14.615",
    },
    ("diffusers", "lcm"): {
        4: "0 0 1@259/.719 1@259/.719 2@499/1.613 3@759/4.261 3@759/4.261 3@759/4.261 4@999/14.615",
        20: "0 2@99/.342 6@299/.830 9@459/1.413 10@499/1.613 15@759/4.261 16@799/5.088 19@959/11.543 20@999/14.615",
        30: "0 3@99/.342 9@299/.830 13@439/1.323 15@499/1.613 22@739/3.913 24@799/5.088 29@979/12.966 30@999/14.615",
        50: "0 5@99/.342 15@299/.830 22@439/1.323 25@499/1.613 37@739/3.913 40@799/5.088 49@979/12.966 50@999/14.615",
    },
    ("a1111", "linspace"): {
        4: "1@0/.029 1@0/.029 2@333/.932 2@333/.932 3@666/2.918 4@999/14.615 4@999/14.615 4@999/14.615 4@999/14.615",
        20: "1@0/.029 3@105.2/.356 7@315.5/.878 10@473.2/1.481 11@525.8/1.765 16@788.7/4.856 17@841.3/6.205 "
        "20@999/14.615 20@999/14.615",
        30: "1@0/.029 4@103.3/.351 10@310.0/.862 14@447.8/1.362 16@516.7/1.712 23@757.9/4.240 25@826.8/5.789 "
        "30@999/14.615 30@999/14.615",
        50: "1@0/.029 6@101.9/.348 16@305.8/.850 23@448.5/1.365 26@509.7/1.672 38@754.3/4.176 41@815.5/5.490 "
        "50@999/14.615 50@999/14.615",
    },
    ("a1111", "karras"): {
        4: "1@0/.029 1@0/.029 2@145.9/.447 2@145.9/.447 3@687.2/3.169 4@999/14.615 4@999/14.615 4@999/14.615 "
        "4@999/14.615",
        20: "1@0/.029 3@6.0/.078 7@123.4/.396 10@380.1/1.091 11@473.7/1.483 16@826.8/5.789 17@876.3/7.384 "
        "20@999/14.615 20@999/14.615",
        30: "1@0/.029 4@5.8/.077 10@116.8/.382 14@334.1/.936 16@458.0/1.408 23@795.2/5.000 25@863.2/6.910 "
        "30@999/14.615 30@999/14.615",
        50: "1@0/.029 6@5.6/.076 16@111.9/.371 23@335.3/.940 26@445.6/1.352 38@791.4/4.916 41@852.7/6.561 "
        "50@999/14.615 50@999/14.615",
    },
    ("comfyui", "linspace"): {
        4: "0 4@76.8/.291 4@249.8/.695 4@428.1/1.277 4@428.1/1.277 4@749.2/4.086 4@749.2/4.086 4@999/14.615 "
        "4@999/14.615",
        20: "0 20@95.4/.333 20@292.0/.810 20@441.4/1.334 20@486.7/1.548 20@759.2/4.265 20@790.9/4.904 "
        "20@999/14.615 20@999/14.615",
        30: "0 30@96.9/.337 30@292.6/.812 30@445.7/1.352 30@491.0/1.571 30@742.8/3.977 30@804.8/5.223 "
        "30@999/14.615 30@999/14.615",
        50: "0 50@98.1/.340 50@296.7/.823 50@445.0/1.349 50@494.5/1.589 50@753.1/4.154 50@802.5/5.169 "
        "50@999/14.615 50@999/14.615",
    },
    ("comfyui", "karras"): {
        4: "0 4@3.3/.061 4@58.9/.248 4@298.7/.829 4@298.7/.829 4@786.0/4.797 4@786.0/4.797 4@999/14.615 4@999/14.615",
        20: "0 20@4.9/.071 20@96.7/.336 20@322.5/.900 20@404.5/1.182 20@796.6/5.033 20@829.0/5.849 20@999/14.615 "
        "20@999/14.615",
        30: "0 30@5.1/.072 30@97.4/.338 30@330.2/.924 30@412.3/1.212 30@779.0/4.650 30@842.5/6.242 30@999/14.615 "
        "30@999/14.615",
        50: "0 50@5.2/.073 50@101.7/.348 50@329.0/.920 50@418.5/1.237 50@790.1/4.886 50@840.3/6.176 "
        "50@999/14.615 50@999/14.615",
    },
    ("invokeai", "leading"): {
        4: "0 1@1/.041 2@251/.698 2@251/.698 2@251/.698 3@501/1.624 4@751/4.117 4@751/4.117 4@751/4.117",
        20: "0 2@51/.228 6@251/.698 9@401/1.168 10@451/1.376 15@701/3.348 16@751/4.117 20@951/11.028 20@951/11.028",
        30: "0 3@67/.268 10@298/.827 14@430/1.285 16@496/1.597 23@727/3.722 25@793/4.951 30@958/11.477 30@958/11.477",
        50: "0 5@81/.301 15@281/.779 23@441/1.332 25@481/1.519 38@741/3.946 40@781/4.692 50@981/13.120 50@981/13.120",
    },
    ("invokeai", "karras"): {
        20: "0 6@69/.273 9@285/.791 10@380/1.091 11@474/1.483 14@710/3.465 15@772/4.500 19@962/11.725 20@999/14.615",
        30: "0 9@80/.299 13@273/.756 15@397/1.151 16@458/1.408 21@716/3.561 23@795/5.000 29@975/12.661 30@999/14.615",
        50: "0 15@90/.321 22@299/.829 26@446/1.352 27@481/1.520 36@746/4.028 38@791/4.916 49@985/13.429 50@999/14.615",
    },
    ("drawthings", "linspace"): {
        4: "0 2@100/.344 2@300/.833 3@450/1.372 3@500/1.618 4@750/4.099 4@800/5.111 4@999/14.615 4@999/14.615",
        20: "0 3@100/.344 7@300/.833 10@450/1.372 11@500/1.618 16@750/4.099 17@800/5.111 20@999/14.615 20@999/14.615",
        50: "0 6@100/.344 16@300/.833 24@450/1.372 26@500/1.618 38@750/4.099 41@800/5.111 50@999/14.615 50@999/14.615",
    },
    # where that tool fails for want of levels, each runs once
    ("lcm", "lcm"): {
        4: "0 4@99/.342 4@299/.830 4@439/1.323 4@499/1.613 4@739/3.913 4@799/5.088 4@979/12.966 4@999/14.615",
        20: "0 5@99/.342 15@299/.830 20@439/1.323 20@499/1.613 20@739/3.913 20@799/5.088 20@979/12.966 20@999/14.615",
        30: "0 5@99/.342 15@299/.830 22@439/1.323 25@499/1.613 30@739/3.913 30@799/5.088 30@979/12.966 30@999/14.615",
        50: "0 5@99/.342 15@299/.830 22@439/1.323 25@499/1.613 37@739/3.913 40@799/5.088 49@979/12.966 50@999/14.615",
    },
    # its Karras levels span a little less than the trained range, which moves some of its counts by one
    ("drawthings", "karras"): {
        4: "0 2@100/.344 3@300/.833 3@450/1.372 3@500/1.618 4@750/4.099 4@800/5.111 4@999/14.615 4@999/14.615",
    },
}


@pytest.mark.parametrize(
    ("dial", "schedule", "steps", "row"),
    [(*key, steps, row) for key, table in TABLES.items() for steps, row in table.items()],
)
def test_published_tables(dial, schedule, steps, row):
    for strength, cell in zip(STRENGTHS, row.split(), strict=True):
        part = DIALS[dial](steps, strength, SCHEDULES[schedule], TRAINED)
        calls, _, level = cell.partition("@")
        assert part.schedule.steps == int(calls), (strength, cell)
        if level:
            timestep, sigma = map(float, level.split("/"))
            # half a unit in the last place printed, and the tools' own ways to interpolate: log sigma, rounding
            assert part.schedule.timesteps[0] == pytest.approx(timestep, abs=0.6), (strength, cell)
            assert part.schedule.sigmas[0] == pytest.approx(sigma, abs=1.1e-3, rel=2e-4), (strength, cell)


@pytest.mark.parametrize(
    ("steps", "strength", "calls"), [(50, 0.58, 28), (100, 0.29, 28), (100, 0.53, 53), (28, 0.14, 3), (75, 0.84, 63)]
)
def test_diffusers_truncates_as_python_does(steps, strength, calls):
    assert DIALS["diffusers"](steps, strength, SCHEDULES["trailing"], TRAINED).schedule.steps == calls


@pytest.mark.parametrize("steps", [1, 2, 4, 20, 50, 100])
@pytest.mark.parametrize("schedule", SCHEDULES)
def test_continuous_is_the_truncated_schedule_at_whole_steps(steps, schedule):
    full = SCHEDULES[schedule](TRAINED, steps)
    for run in range(steps + 1):
        part = continuous(steps, run / steps, SCHEDULES[schedule], TRAINED)
        assert part.schedule.sigmas.tolist() == full.sigmas[steps - run :].tolist()
        assert part.schedule.timesteps.tolist() == full.timesteps[steps - run :].tolist()


@given(
    steps=st.integers(1, 100),
    schedule=st.sampled_from(sorted(SCHEDULES)),
    strengths=st.tuples(st.floats(0, 1), st.floats(0, 1)).map(sorted).filter(lambda pair: pair[1] - pair[0] > 1e-6),
)
def test_more_strength_starts_at_more_noise(steps, schedule, strengths):
    low, high = (continuous(steps, s, SCHEDULES[schedule], TRAINED) for s in strengths)
    assert high.schedule.sigmas[0] > low.schedule.sigmas[0] or (low.schedule.steps == 0 and high.schedule.steps > 0)
    assert high.noise_share > low.noise_share


@given(steps=st.integers(1, 100), schedule=st.sampled_from(sorted(SCHEDULES)), strength=st.floats(1e-9, 1 - 1e-9))
def test_start_level_moves_continuously(steps, schedule, strength):
    """A hair more strength is a hair more noise: a step of the schedule bounds the slope."""
    nudge = 1e-7
    spacing = SCHEDULES[schedule]
    sigmas = spacing(TRAINED, steps).sigmas
    below, above = (
        continuous(steps, min(max(s, 0.0), 1.0), spacing, TRAINED) for s in (strength - nudge, strength + nudge)
    )
    first, second = (part.schedule.sigmas[0] if part.schedule.steps else 0.0 for part in (below, above))
    slopes = np.abs(np.diff(TRAINED.sigmas)).max() * 1000 * steps + sigmas[0] * steps
    assert second - first <= 2.1 * nudge * slopes


@given(
    steps=st.integers(1, 100),
    schedule=st.sampled_from(sorted(SCHEDULES)),
    dial=st.sampled_from(sorted(DIALS)),
    strength=st.floats(0, 1),
)
def test_every_dial_takes_every_strength(steps, schedule, dial, strength):
    part = DIALS[dial](steps, strength, SCHEDULES[schedule], TRAINED)
    assert 0 <= part.schedule.steps <= steps
    assert np.isfinite([part.image, part.noise, part.noise_share]).all()
    assert 0 <= part.noise_share <= 1


@given(steps=st.integers(1, 100), schedule=st.sampled_from(sorted(SCHEDULES)), strength=st.floats(0, 1))
def test_stability_counts_the_other_way(steps, schedule, strength):
    theirs = DIALS["stability"](steps, strength, SCHEDULES[schedule], TRAINED)
    ours = continuous(steps, 1 - strength, SCHEDULES[schedule], TRAINED)
    assert theirs.schedule.sigmas.tolist() == ours.schedule.sigmas.tolist()
    assert (theirs.image, theirs.noise) == (ours.image, ours.noise)


@given(
    steps=st.integers(1, 100),
    schedule=st.sampled_from(sorted(SCHEDULES)),
    dial=st.sampled_from(sorted(DIALS)),
    strength=st.floats(0, 1),
)
def test_a_matching_strength_starts_at_the_same_noise(steps, schedule, dial, strength):
    there = DIALS[dial](steps, strength, SCHEDULES[schedule], TRAINED).schedule.sigmas[0]
    found = matching(float(there), steps, SCHEDULES[schedule], TRAINED)
    assert 0 <= found <= 1
    here = continuous(steps, found, SCHEDULES[schedule], TRAINED).schedule.sigmas[0]
    full = SCHEDULES[schedule](TRAINED, steps).sigmas[0]
    assert here == pytest.approx(min(there, full), rel=1e-5, abs=1e-6)


def test_match_is_the_same_through_the_front_door():
    found = partway.match("comfyui", 0.5, schedule="karras", steps=20)
    theirs = partway.plan(dial="comfyui", strength=0.5, schedule="karras", steps=20)
    assert partway.plan(strength=found, schedule="karras", steps=20).start_sigma == pytest.approx(theirs.start_sigma)
    with pytest.raises(partway.InputError, match="dial"):
        partway.match("nobody", 0.5)
