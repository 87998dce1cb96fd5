"""The built-in model: the first command that anybody runs, offline, with nothing but the package."""

import json
import socket
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import partway
import partway_rooms
import toy
from partway.cli import main
from partway.model.catalog import entries
from partway.pictures import metadata


@pytest.fixture(autouse=True)
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder, on a machine without a network."""

    def unreachable(*arguments: object) -> None:
        raise OSError("no network here")

    monkeypatch.setattr(socket.socket, "connect", unreachable)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_demo_draws_a_room_and_restyles_it(desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["demo", "--strengths", "0,0.5", "--steps", "4", "-o", "sheet.png", "--save-each", "-q"]) == 0
    out = capsys.readouterr().out
    assert "never seen" in out and "next: partway img2img" in out
    assert {path.name for path in desk.iterdir()} == {"room-29-0001.png", "sheet.png", "sheet-0.png", "sheet-0.5.png"}
    room, kept, half = (np.asarray(Image.open(n)) for n in ("room-29-0001.png", "sheet-0.png", "sheet-0.5.png"))
    assert (room == np.asarray(partway_rooms.room(29).picture)).all()
    assert (kept == room).all() and (half != room).any()
    assert metadata.read_parameters(Path("sheet-0.5.png"))["model"]["name"] == "rooms"


def test_nothing_is_left_of_a_demo_that_could_not_run(desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in (["--steps", "0"], ["--strengths", "2"], ["--room", "-1"], ["-m", "missing"], ["-o", "no/x.png"]):
        assert main(["demo", *arguments]) == 2
        assert capsys.readouterr().err.count("\n") == 1
    assert not list(desk.iterdir())


def test_load_without_a_name_is_the_built_in_model(desk: Path) -> None:
    pipe = partway.load()
    assert pipe.package.root == partway_rooms.FOLDER
    assert partway.load("rooms").package.root == partway_rooms.FOLDER
    assert pipe.package.size == (256, 256)
    room = partway_rooms.room(29)
    touched = pipe.img2img(room.picture, room.caption, strength=0.1, guidance_scale=1).image
    # Weights that were never trained would leave noise: a light touch keeps the picture.
    assert np.abs(np.asarray(touched, float) - np.asarray(room.picture, float)).mean() < 20


def test_a_folder_called_rooms_wins_when_it_is_named(desk: Path) -> None:
    toy.build(desk / "rooms")
    assert partway.load("rooms").package.root == Path("rooms")
    assert partway.load().package.root == partway_rooms.FOLDER


def test_the_few_step_model_is_built_in_too(desk: Path) -> None:
    pipe, room = partway.load("rooms-lcm"), partway_rooms.room(29)
    plan = pipe.plan(strength=0.5)
    assert (plan.sampler, plan.calls["unet"], plan.guided_calls) == ("lcm", 2, 0)
    made = [pipe.img2img(room.picture, "a japandi living room", strength=s, seed=1).image for s in (0.2, 0.9)]
    light, strong = (np.abs(np.asarray(one, float) - np.asarray(room.picture, float)).mean() for one in made)
    assert light < 20 < strong


def test_the_built_in_models_keep_their_size_and_their_licence() -> None:
    models = [entry for entry in entries().values() if entry.built_in]
    folders = [partway_rooms.PACKAGES / entry.built_in for entry in models]
    files = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
    assert len(folders) == 2 and sum(path.stat().st_size for path in files) <= 60e6
    for entry, folder in zip(models, folders, strict=True):
        manifest = json.loads((folder / "partway.json").read_text())
        assert manifest["licence"].lower() == "apache-2.0" and manifest["source"] == entry.name


def test_a_room_is_the_same_for_the_same_number() -> None:
    first, again, other = (partway_rooms.room(n, size=64) for n in (5, 5, 6))
    assert first.caption == again.caption != other.caption
    assert first.picture.tobytes() == again.picture.tobytes() != other.picture.tobytes()
