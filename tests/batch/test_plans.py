"""What a batch takes: how many pictures memory has room for, and what actors ask a cluster for."""

from dataclasses import replace
from pathlib import Path

import pytest

import partway
from partway.batch import plans
from partway.batch.fleet import Crew, resources
from partway.errors import EngineError


def test_memory_limits_how_many_run_at_once(monkeypatch: pytest.MonkeyPatch):
    plan = partway.plan(strength=0.5)
    monkeypatch.setattr(plans, "free_memory", lambda: 5_000)

    def fitting(peak: int | None) -> int:
        group = plans.Group((8, 8), 1, replace(plan, peak_bytes=peak))
        return plans.fitting([group], 4)

    assert [fitting(peak) for peak in (None, 1_000, 1_500, 9_000)] == [4, 4, 3, 1]


def crew(**load: object) -> Crew:
    return Crew(None, load, Path("out"), Path(), 1)


def test_an_actor_has_all_of_the_smallest_node():
    found, wanted, count = resources(crew(), [{"CPU": 8.0}, {"CPU": 17.0}, {"memory": 1.0}])
    assert (found.at_once, wanted, count) == (8, {"num_cpus": 8.0}, 3)


def test_what_releases_networks_runs_one_at_a_time():
    found, wanted, count = resources(crew(memory_limit="2GB"), [{"CPU": 4.0}])
    assert (found.at_once, wanted, count) == (1, {"num_cpus": 1.0, "memory": 2e9}, 4)
    assert resources(crew(preset="tiny"), [{"CPU": 4.0}])[0].at_once == 1


def test_an_actor_a_gpu():
    assert resources(crew(device="gpu"), [{"CPU": 4.0, "GPU": 2.0}])[1:] == ({"num_gpus": 1.0}, 2)


@pytest.mark.parametrize("load", [{}, {"device": "GPU"}])
def test_a_cluster_without_room_is_refused(load: dict):
    with pytest.raises(EngineError):
        resources(crew(**load), [{"memory": 1.0}])
