"""The catalogue: every entry is well formed, names resolve, and its defaults hold where the user gives none."""

import re
import shutil
import tomllib
from dataclasses import replace
from importlib import resources

import pytest

import partway
import toy
from partway import SAMPLERS, SCHEDULES, PackageError, Settings, cli
from partway.model.catalog import entries, near, suited
from partway.model.families import runs
from partway.model.hub import locate
from partway.model.package import open_package


@pytest.mark.parametrize("entry", entries().values(), ids=list(entries()))
def test_every_entry_is_well_formed(entry):
    assert re.fullmatch(r"[a-z0-9-]+", entry.name)
    assert entry.title and entry.revision
    for id_ in (entry.source, entry.package or entry.source):
        assert re.fullmatch(r"[\w.-]+/[\w.-]+", id_) or entry.built_in
    assert runs(entry.family)
    assert entry.licence is None or re.fullmatch(r"[a-z0-9.+-]+", entry.licence)
    assert entry.gigabytes is None or 1 < entry.gigabytes < 30
    Settings(**entry.defaults)  # known fields, values in range
    assert entry.defaults.get("sampler", "euler") in SAMPLERS
    assert entry.defaults.get("schedule", "leading") in SCHEDULES


def test_no_two_entries_are_of_the_same_weights():
    sources = [entry.source for entry in entries().values()]
    assert len(set(sources)) == len(sources) >= 15


def test_it_is_part_of_the_package():
    text = resources.files("partway.model").joinpath("catalog.toml").read_text("utf-8")
    assert list(tomllib.loads(text)) == list(entries())


def test_a_name_is_its_ready_package(toy_folder, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    asked = []

    def download(repo_id, **wanted):
        asked.append(repo_id)
        return str(toy_folder)

    monkeypatch.setattr("huggingface_hub.snapshot_download", download)
    for entry in entries().values():
        if entry.built_in:
            assert (locate(entry.name) / "model_index.json").exists()
        elif entry.package:
            assert locate(entry.name) == toy_folder
            assert asked[-1] == entry.package
        else:
            with pytest.raises(PackageError, match=f"partway export {entry.name}$"):
                locate(entry.name)


def test_a_folder_of_that_name_wins(tmp_path, monkeypatch):
    toy.build(tmp_path / "sd-turbo")
    monkeypatch.chdir(tmp_path)
    assert partway.load("sd-turbo").package.root.resolve() == tmp_path / "sd-turbo"


@pytest.mark.parametrize(("name", "end"), [("sd-15", "did you mean sd-1-5"), ("zzzzzz", "see: partway models")])
def test_unknown_names_are_one_line_with_what_is_near(name, end, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert end in near(name)
    with pytest.raises(PackageError, match=end) as caught:
        partway.load(name)
    assert "\n" not in str(caught.value)
    assert cli.main(["txt2img", "a room", "-m", name]) == 2
    assert len(capsys.readouterr().err.strip().splitlines()) == 1


@pytest.fixture
def turbo(toy_folder, tmp_path, monkeypatch):
    """A folder that is named like a model of the catalogue."""
    shutil.copytree(toy_folder, tmp_path / "sd-turbo")
    monkeypatch.chdir(tmp_path)
    return "sd-turbo"


def test_defaults_hold_where_the_user_gives_none(turbo):
    pipe = partway.load(turbo)
    plan = pipe.plan(strength=1)
    assert (plan.steps, plan.guided_calls, plan.schedule) == (4, 0, "trailing")
    assert plan == partway.plan(turbo, strength=1)
    assert pipe.txt2img("a room").settings.guidance_scale == 0
    own = pipe.plan(strength=1, steps=7, guidance_scale=3, sampler="DPM++ 2M Karras")
    assert (own.steps, own.guided_calls, own.schedule, own.sampler) == (7, 7, "karras", "dpmpp_2m")
    assert partway.match("diffusers", 0.5, turbo) == pytest.approx(0.5, abs=1e-6)


def test_the_source_in_a_manifest_counts_before_the_folder_s_name(turbo):
    package = open_package(turbo)
    lcm = entries()["lcm-dreamshaper-7"]
    named = suited(replace(package, manifest={"source": lcm.source}), turbo)
    assert (named.sampler, named.settings({}).guidance_scale) == ("lcm", 8.5)
    other = suited(replace(package, manifest={"source": "someone/else"}), turbo)
    assert other.settings({}) == Settings()


def test_the_command_lists_them(capsys):
    assert cli.main(["models"]) == 0
    out = capsys.readouterr().out
    assert all(any(line.startswith(f"{name} ") for line in out.splitlines()) for name in entries())
    assert max(map(len, out.splitlines())) <= 140
