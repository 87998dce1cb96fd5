"""Presets: named options and settings, under what the user gives."""

from importlib.util import find_spec

import pytest

import partway
from partway import cli
from partway.budget import presets
from partway.engines import table
from partway.engines.frugal import Frugal


@pytest.mark.parametrize("name", sorted(partway.PRESETS))
def test_every_preset_runs_and_says_so_in_its_plan(split_folder, picture, name):
    pipe = partway.load(split_folder, preset=name)
    result = pipe.img2img(picture, "a room", strength=0.6)
    assert result.image.size == picture.size
    assert result.plan.calls == pipe.plan(strength=0.6).calls
    assert ("unet_shallow" in result.plan.calls) == (name in ("balanced", "fast"))


def test_faster_presets_do_less(split_folder):
    plans = [partway.plan(split_folder, preset=name, strength=0.6) for name in ("exact", "balanced", "fast")]
    whole = [plan.calls["unet"] for plan in plans]
    assert whole == sorted(whole, reverse=True) and len(set(whole)) == 3


def test_what_the_user_sets_wins(split_folder, picture):
    pipe = partway.load(split_folder, preset="fast", engine="onnxruntime", threads=1)
    assert type(pipe.engine).__name__ == "OnnxRuntime"
    assert "unet_shallow" not in pipe.plan(strength=0.6, reuse=0).calls


def test_what_the_model_cannot_do_is_left_out(toy_folder, picture):
    pipe = partway.load(toy_folder, preset="fast")
    assert pipe.package.defaults == {}
    assert pipe.img2img(picture, "a room", strength=0.4).image.size == picture.size


def test_the_engine_is_the_presets_only_where_it_is_installed(split_folder, monkeypatch):
    if find_spec("openvino") is not None:
        assert presets.options("exact", {})[0] == "openvino"
    monkeypatch.setattr(table, "find_spec", lambda name: None)
    engine, options = presets.options("exact", {"threads": 1})
    assert (engine, options.static, options.threads) == ("auto", True, 1)


def test_tiny_releases_networks_between_stages(split_folder, picture, monkeypatch):
    released = []
    monkeypatch.setattr(Frugal, "_enter", lambda self, network: released.append(network))
    partway.load(split_folder, preset="tiny").img2img(picture, "a room", strength=0.4)
    assert {"text_encoder", "unet", "vae_decoder"} <= set(released)


def test_an_unknown_preset_is_one_line(split_folder, capsys):
    assert cli.main(["plan", "-m", str(split_folder), "--preset", "turbo"]) == 2
    assert "unknown preset 'turbo'; choose one of: balanced, exact, fast, tiny" in capsys.readouterr().err


def test_the_command_line_lists_and_plans_them(split_folder, capsys):
    assert cli.main(["presets"]) == 0
    listed = capsys.readouterr().out
    assert all(name in listed for name in partway.PRESETS)
    assert cli.main(["plan", "-m", str(split_folder), "--preset", "balanced", "--strength", "0.6"]) == 0
    assert "unet_shallow" in capsys.readouterr().out
