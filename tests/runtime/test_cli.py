"""Every command as a user runs it, on a toy model; and every mistake a user can make is one line and exit code 2."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

import partway
import toy
from partway import metadata, sizes
from partway.cli import main
from partway.engines import onnxruntime as engine


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return toy.build(tmp_path_factory.mktemp("toy"), shallow=True)


@pytest.fixture(autouse=True)
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in an empty folder that holds one picture, room.png."""
    monkeypatch.chdir(tmp_path)
    y, x = np.mgrid[:40, :52]
    Image.fromarray(np.stack([4 * x, 6 * y, 2 * (x + y)], axis=2).astype(np.uint8)).save("room.png")
    return tmp_path


Captured = pytest.CaptureFixture[str]


def run(capsys: Captured, *arguments: object) -> tuple[int, str, str]:
    code = main([str(argument) for argument in arguments])
    out, err = capsys.readouterr()
    return code, out, err


def files(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def pixels(name: str) -> np.ndarray:
    with Image.open(name) as image:
        return np.asarray(image)


# --- making pictures


def test_img2img_gives_what_the_library_gives(capsys: Captured, model: Path, desk: Path) -> None:
    code, out, err = run(
        capsys, "img2img", "room.png", "a cat", "-m", model, "--strength", 0.45, "--steps", 8, "--seed", 5
    )
    assert (code, err) == (0, "")
    assert out.splitlines()[0] == "room-partway-0001.png  52x40, seed 5"
    assert "strength 0.45: 4 of 8 steps of plms (leading)" in out
    pipe = partway.load(model)
    expected = pipe.img2img("room.png", "a cat", strength=0.45, steps=8, seed=5).image
    np.testing.assert_array_equal(pixels("room-partway-0001.png"), np.asarray(expected))
    assert files(desk) == {"room.png", "room-partway-0001.png"}


def test_every_setting_reaches_the_run_and_the_record(capsys: Captured, model: Path) -> None:
    given = {
        "strength": 0.7,
        "steps": 6,
        "guidance_scale": 3.5,
        "guidance_rescale": 0.25,
        "guidance_zero_star": True,
        "guidance_mimic": 2.5,
        "negative_prompt": "dog",
        "guidance_min_sigma": 0.2,
        "guidance_max_sigma": 9.0,
        "seed": 2**40,
        "variation_seed": 3,
        "variation_strength": 0.1,
        "sampler": "ddim",
        "schedule": "karras",
        "dial": "comfyui",
        "eta": 0.5,
        "rng": "torch-cuda",
        "colour_match": 0.5,
        "tile": 32,
        "tile_overlap": 8,
        "reuse": 0.1,
        "vae_tile": 32,
    }
    others = {name: None for name in (*sizes.BASE, *sizes.REFINER, "denoising_start", "denoising_end", "deadline")}
    others |= {"image_guidance_scale": 1.5, "vae": "own"}  # for instruct alone; the toy has no tiny one
    assert given.keys() | others.keys() == set(partway.Options.__annotations__)  # the toy is told no sizes
    flags = [part for name, value in given.items() for part in ("--" + name.replace("_", "-"), value)]
    flags.remove(True)  # a switch has no value
    assert run(capsys, "img2img", "room.png", "a cat", "-m", model, "-o", "out.png", *flags)[0] == 0
    assert metadata.read_parameters("out.png")["settings"] == given | others
    expected = partway.load(model).img2img("room.png", "a cat", **given).image
    np.testing.assert_array_equal(pixels("out.png"), np.asarray(expected))


def test_load_options_reach_the_engine(capsys: Captured, model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: dict[str, Any] = {}
    load = partway.load
    monkeypatch.setattr(partway, "load", lambda name, **options: (seen.update(options), load(model))[1])
    flags = [
        "--engine",
        "onnxruntime",
        "--device",
        "CPU",
        "--threads",
        "1",
        "--precision",
        "fp32",
        "--cache-dir",
        "c",
        "--static",
        "--batch",
        "1",
    ]
    assert run(capsys, "txt2img", "a cat", "-m", "any", "--steps", 2, *flags)[0] == 0
    assert seen == {
        "engine": "onnxruntime",
        "device": "CPU",
        "threads": 1,
        "precision": "fp32",
        "cache_dir": "c",
        "static": True,
        "batch": 1,
    }
    recorded = metadata.read_parameters("partway-0001.png")["load"]
    assert recorded == {name: value for name, value in seen.items() if name not in ("threads", "cache_dir")}


def test_txt2img_makes_the_size_asked_for(capsys: Captured, model: Path) -> None:
    code, out, _ = run(
        capsys, "txt2img", "a cat", "-m", model, "--steps", 2, "--width", 72, "--height", 50, "-o", "cat.webp"
    )
    assert code == 0
    assert out.startswith("cat.webp  72x50, seed 0")
    with Image.open("cat.webp") as image:
        assert (image.format, image.size) == ("WEBP", (72, 50))


def test_count_makes_one_picture_a_seed_equal_to_single_runs(capsys: Captured, model: Path, desk: Path) -> None:
    base = ("img2img", "room.png", "a cat", "-m", model, "--steps", 2, "-q")
    code, out, _ = run(capsys, *base, "--seed", 7, "--count", 3, "-o", "many.png")
    assert code == 0
    names = [f"many-000{i}.png" for i in (1, 2, 3)]
    assert out.splitlines() == [f"{name}  52x40, seed {seed}" for name, seed in zip(names, (7, 8, 9), strict=True)]
    for name, seed in zip(names, (7, 8, 9), strict=True):
        run(capsys, *base, "--seed", seed, "-o", "single.png")
        np.testing.assert_array_equal(pixels(name), pixels("single.png"))
        assert metadata.read_parameters(name)["settings"]["seed"] == seed


def test_names_chosen_here_never_overwrite(capsys: Captured, model: Path, desk: Path) -> None:
    (desk / "room-partway-0001.png").write_bytes(b"mine")
    run(capsys, "img2img", "room.png", "a cat", "-m", model, "--steps", 2, "--count", 2)
    assert (desk / "room-partway-0001.png").read_bytes() == b"mine"
    assert {"room-partway-0002.png", "room-partway-0003.png"} <= files(desk)


def test_strength_0_returns_the_input_pixel_for_pixel(capsys: Captured, model: Path) -> None:
    Image.fromarray(np.arange(52 * 40, dtype=np.uint16).reshape(40, 52) * 31).save("deep.png")
    code, out, _ = run(capsys, "img2img", "deep.png", "a cat", "-m", model, "--strength", 0, "-o", "out.png")
    assert code == 0
    assert "nothing to run" in out
    np.testing.assert_array_equal(pixels("out.png"), pixels("deep.png"))


def test_quiet_says_only_where_the_picture_is(capsys: Captured, model: Path) -> None:
    code, out, err = run(capsys, "img2img", "room.png", "a", "-m", model, "--steps", 2, "--quiet", "-o", "x.png")
    assert (code, out, err) == (0, "x.png  52x40, seed 0\n", "")


def test_a_prompt_that_is_too_long_is_named(capsys: Captured, model: Path) -> None:
    prompt = "x " * 100 + "lost"
    code, _, err = run(capsys, "img2img", "room.png", prompt, "-m", model, "--steps", 2)
    assert code == 0
    assert err.count("\n") == 1
    assert "lost" in err


# --- replay


def test_a_replay_is_exact(capsys: Captured, model: Path) -> None:
    flags = ["--sampler", "euler_a", "--strength", 0.37, "--steps", 7, "--seed", 2**63, "--negative-prompt", "a,\nb"]
    run(capsys, "img2img", "room.png", 'a: "cat"', "-m", model, "-o", "first.png", *flags)
    code, _, err = run(capsys, "img2img", "--from-png", "first.png", "room.png", "-o", "again.png")
    assert (code, err) == (0, "")
    assert Path("again.png").read_bytes() == Path("first.png").read_bytes()


def test_a_replay_keeps_sampler_and_size_and_lets_flags_win(capsys: Captured, model: Path) -> None:
    run(capsys, "txt2img", "cat", "-m", model, "--steps", 2, "--width", 72, "--height", 40, "-o", "a.jpg")
    run(capsys, "txt2img", "--from-png", "a.jpg", "--seed", 9, "-o", "b.png")
    first, second = (metadata.read_parameters(name) for name in ("a.jpg", "b.png"))
    assert first["settings"]["sampler"] == "plms"
    assert second["settings"] == first["settings"] | {"seed": 9}
    assert (second["width"], second["height"], second["prompt"]) == (72, 40, "cat")


def test_a_replay_on_another_picture_warns_in_one_line(capsys: Captured, model: Path) -> None:
    run(capsys, "img2img", "room.png", "a cat", "-m", model, "--steps", 2, "-o", "first.png")
    Image.open("room.png").save("same.bmp")
    Image.open("room.png").rotate(180).save("other.png")
    replay = ("img2img", "--from-png", "first.png", "-o", "again.png")
    assert run(capsys, *replay, "same.bmp")[2] == ""
    code, _, err = run(capsys, *replay, "other.png")
    assert code == 0
    assert err == "partway: warning: the input is not the picture that this was made from\n"


@pytest.mark.parametrize(
    "change",
    [
        {"settings": {"strength": "high"}},
        {"settings": {"seed": None}},
        {"settings": {"negative_prompt": 3}},
        {"settings": {"steps": [1]}},
        {"settings": {"unheard_of": 1}},
        {"edit": {"then": "b"}},
        {"edit": {"then": [3]}},
        {"load": {"device": 3}},
        {"load": {"threads": 1.5}},
        {"load": {"batch": "2"}},
        {"load": {"__class__": 3}},
        {"prompt": 3},
        {"model": {}},
        {"model": []},
        {"task": "txt2img"},
    ],
)
def test_damaged_records_are_one_line(capsys: Captured, model: Path, change: dict[str, Any]) -> None:
    run(capsys, "img2img", "room.png", "a cat", "-m", model, "--steps", 2, "-o", "first.png")
    record = metadata.read_parameters("first.png") | change
    info = PngInfo()
    info.add_text("partway", json.dumps(record))
    Image.open("room.png").save("bad.png", pnginfo=info)
    refused(capsys, "img2img", "room.png", "--from-png", "bad.png")


# --- sweep


def test_sweep_lays_out_every_strength(capsys: Captured, model: Path, desk: Path) -> None:
    code, out, err = run(
        capsys, "sweep", "room.png", "a cat", "-m", model, "--steps", 4, "--strengths", "0,0.5,1", "-o", "s.png"
    )
    assert (code, err) == (0, "")
    assert out.splitlines()[-1].startswith("s.png  ")
    assert "3 strengths" in out
    assert [line.split(":")[0] for line in out.splitlines()[:-1]] == ["strength 0", "strength 0.5", "strength 1"]
    assert files(desk) == {"room.png", "s.png"}
    with Image.open("s.png") as sheet:
        assert sheet.width > 4 * 224
        assert json.loads(sheet.info["partway"])["strengths"] == [0, 0.5, 1]


def test_sweep_saves_each_as_img2img_would(capsys: Captured, model: Path, desk: Path) -> None:
    base = ("-m", model, "--steps", 4, "--seed", 3, "-q")
    run(capsys, "sweep", "room.png", "a cat", *base, "--strengths", "0.25,1", "--save-each", "-o", "s.png")
    assert files(desk) == {"room.png", "s.png", "s-0.25.png", "s-1.png"}
    for strength in ("0.25", "1"):
        run(capsys, "img2img", "room.png", "a cat", *base, "--strength", strength, "-o", "one.png")
        assert Path("one.png").read_bytes() == Path(f"s-{strength}.png").read_bytes()


def test_sweep_never_writes_over_its_input(capsys: Captured, model: Path) -> None:
    Path("room.png").rename("s-0.5.png")
    flags = ("-m", model, "--strengths", "0.5,1", "--save-each", "-o", "s.png")
    assert "is the input itself" in refused(capsys, "sweep", "s-0.5.png", "a cat", *flags)


# --- plan, lists, info, devices


def test_plan_needs_no_model(capsys: Captured) -> None:
    code, out, _ = run(capsys, "plan", "--strength", 0.45, "--steps", 20)
    assert code == 0
    assert "9 steps run" in out
    assert len(out.splitlines()) == 3 + 1 + 9


def test_plan_as_json_is_the_plan(capsys: Captured, model: Path) -> None:
    _, out, _ = run(capsys, "plan", "--steps", 5, "--sampler", "heun", "--json")
    assert json.loads(out) == json.loads(json.dumps(partway.plan(steps=5, sampler="heun").as_dict()))
    _, out, _ = run(capsys, "plan", "--steps", 5, "--json", "--model", model, "--txt2img")
    assert json.loads(out) == json.loads(json.dumps(partway.load(model).plan(steps=5, image=False).as_dict()))


def test_plan_compare_has_a_row_for_every_dial(capsys: Captured) -> None:
    _, out, _ = run(capsys, "plan", "--compare", "--steps", 10, "--strength", 0.55)
    rows = {line.split()[0]: line.split() for line in out.splitlines()[2:]}
    assert set(rows) == set(partway.DIALS)
    for dial, row in rows.items():
        plan = partway.plan(steps=10, strength=0.55, dial=dial)
        assert [int(row[1]), int(row[2])] == [plan.steps_run, plan.network_calls]
        assert float(row[3]) == pytest.approx(plan.start_sigma, abs=1e-4)
    assert run(capsys, "plan", "--compare", "--strength", 0)[0] == 0


@pytest.mark.parametrize(
    ("command", "names"),
    [("samplers", partway.SAMPLERS), ("schedules", partway.SCHEDULES), ("dials", partway.DIALS)],
)
def test_lists_name_everything_with_a_description(capsys: Captured, command: str, names: dict[str, Any]) -> None:
    code, out, _ = run(capsys, command)
    assert code == 0
    rows = [line.split(maxsplit=1) for line in out.splitlines() if not line.startswith("name ")]
    assert [row[0] for row in rows] == list(names)
    assert all(len(row[1]) > 10 for row in rows)


def test_info_says_what_a_folder_holds(capsys: Captured, model: Path) -> None:
    code, out, _ = run(capsys, "info", model)
    assert code == 0
    for words in ("StableDiffusionPipeline", "ONNX", "epsilon", "plms sampler", "no partway.json", "unet/model.onnx"):
        assert words in out


def test_info_shows_the_manifest(capsys: Captured, tmp_path: Path) -> None:
    folder = toy.build(tmp_path / "toy")
    manifest = {"source": "someone/model", "revision": "abc", "licence": "mit", "weights": "int8"}
    (folder / "partway.json").write_text(json.dumps(manifest))
    _, out, _ = run(capsys, "info", folder)
    for words in ("someone/model at abc", "mit", "int8"):
        assert words in out


def test_devices_lists_the_cpu(capsys: Captured) -> None:
    code, out, _ = run(capsys, "devices")
    assert code == 0
    assert ["onnxruntime", "CPU"] in [line.split()[:2] for line in out.splitlines()]


# --- doctor


@pytest.fixture
def exported(tmp_path: Path) -> Path:
    """A toy folder with checksums and goldens, as partway export leaves them."""
    folder = toy.build(tmp_path / "exported")
    pipe = partway.load(folder)
    rng = np.random.default_rng(0)
    goldens = {}
    (folder / "goldens").mkdir()
    for network in pipe.package.networks:
        ports = pipe.engine.signature(network).inputs
        inputs = {
            name: rng.normal(size=[size or (77 if "ids" in name else 16) for size in port.shape]).astype(port.dtype)
            if "int" not in port.dtype
            else np.ones([size or 77 for size in port.shape], port.dtype)
            for name, port in ports.items()
        }
        for name, port in ports.items():
            if port.shape and port.shape[0] is None:
                inputs[name] = inputs[name][:1]
        outputs = pipe.engine.run(network, inputs)
        arrays = {f"inputs/{name}": value for name, value in inputs.items()}
        arrays |= {f"outputs/{name}": value for name, value in outputs.items()}
        goldens[network] = f"goldens/{network}.npz"
        np.savez(folder / goldens[network], **arrays)
    described = {
        str(path.relative_to(folder)): {"sha256": metadata.file_hash(path), "bytes": path.stat().st_size}
        for path in folder.rglob("*")
        if path.is_file()
    }
    verification = {network: {"psnr": 100.0, "gate": 70.0} for network in goldens}
    manifest = {"files": described, "goldens": goldens, "verification": verification}
    (folder / "partway.json").write_text(json.dumps(manifest))
    return folder


def checks(out: str) -> dict[str, bool]:
    lines = [line.split() for line in out.splitlines() if line.startswith(("ok ", "FAIL "))]
    return {name: word == "ok" for word, name, *_ in lines}


@pytest.mark.parametrize("engine_name", ["onnxruntime", "openvino"])
def test_doctor_passes_a_whole_folder(capsys: Captured, exported: Path, engine_name: str) -> None:
    pytest.importorskip(engine_name)
    code, out, _ = run(capsys, "doctor", exported, "--engine", engine_name)
    found = checks(out)
    assert (code, all(found.values())) == (0, True)
    assert {"unet/model.onnx", "goldens/unet.npz", "unet", "vae_encoder", "vae_decoder", "text_encoder"} <= set(found)
    assert "expected" in out


def test_doctor_finds_changed_and_missing_files(capsys: Captured, exported: Path) -> None:
    vocabulary = exported / "tokenizer/vocab.json"
    vocabulary.write_bytes(vocabulary.read_bytes().replace(b"!", b"?", 1))
    (exported / "tokenizer/merges.txt").write_text("")
    (exported / "tokenizer/special_tokens_map.json").unlink()
    code, out, _ = run(capsys, "doctor", exported)
    assert code == 1
    assert {name for name, passed in checks(out).items() if not passed} == {
        "tokenizer/vocab.json",
        "tokenizer/merges.txt",
        "tokenizer/special_tokens_map.json",
    }


def test_doctor_finds_a_network_that_computes_something_else(capsys: Captured, exported: Path) -> None:
    golden = exported / "goldens/vae_decoder.npz"
    with np.load(golden) as arrays:
        changed = {name: array + (0.05 if name.startswith("outputs/") else 0) for name, array in arrays.items()}
    np.savez(golden, **changed)
    (exported / "goldens/unet.npz").write_bytes(b"not an archive")
    code, out, _ = run(capsys, "doctor", exported)
    failed = {name for name, passed in checks(out).items() if not passed}
    assert code == 1
    assert {"vae_decoder", "unet"} <= failed
    assert failed <= {"vae_decoder", "unet", "goldens/vae_decoder.npz", "goldens/unet.npz"}


def test_doctor_without_goldens_loads_the_networks(capsys: Captured, model: Path) -> None:
    code, out, _ = run(capsys, "doctor", model)
    assert code == 0
    assert "no partway.json" in out
    assert set(checks(out)) == {"text_encoder", "unet", "unet_shallow", "vae_encoder", "vae_decoder"}


def test_doctor_reports_a_network_cut_short(capsys: Captured, tmp_path: Path) -> None:
    folder = toy.build(tmp_path / "cut")
    network = folder / "unet/model.onnx"
    network.write_bytes(network.read_bytes()[:200])
    code, out, _ = run(capsys, "doctor", folder)
    assert code == 1
    assert [name for name, passed in checks(out).items() if not passed] == ["unet"]


# --- mistakes


def refused(capsys: Captured, *arguments: object) -> str:
    """Run, and check that it is refused in one line with exit code 2, with nothing written."""
    before = files(Path())
    code, out, err = run(capsys, *arguments)
    assert code == 2
    assert out == ""
    assert err.startswith("partway: error: ")
    assert err.count("\n") == 1
    assert files(Path()) == before
    return err


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ("--strength 1.2", "between 0 and 1"),
        ("--strength -0.1", "between 0 and 1"),
        ("--strength nan", "between 0 and 1"),
        ("--steps 0", "between 1 and"),
        ("--steps 100000", "between 1 and"),
        ("--sampler best", "choose one of: ddim"),
        ("--schedule best", "karras"),
        ("--dial best", "continuous"),
        ("--rng best", "torch-cpu"),
        ("--guidance-scale -1", "between 0 and 1000"),
        ("--guidance-scale nan", "between 0 and 1000"),
        ("--guidance-scale 1e39", "between 0 and 1000"),
        ("--guidance-rescale 2", "between 0 and 1"),
        ("--seed 99999999999999999999", "seed"),
        ("--sampler euler --eta 0.5", "eta"),
        ("--batch 0", "batch"),
        ("--threads 0", "threads"),
        ("--precision int3", "fp32"),
        ("--engine tensorrt", "onnxruntime"),
        ("--device TPU", "TPU"),
        ("--engine onnxruntime --device GPU", "GPU"),
        ("--model nothing-here", "nothing-here"),
        ("-o missing/out.png", "no folder missing"),
        ("-o .", "is a folder"),
        ("-o out.tiff", "choose one of: .jpeg"),
        ("-o out", "choose one of: .jpeg"),
        ("-o room.png", "is the input itself"),
    ],
)
@pytest.mark.parametrize("command", ["img2img", "sweep"])
def test_bad_flags(capsys: Captured, model: Path, command: str, flags: str, words: str) -> None:
    base = [] if "--model" in flags else ["-m", model]
    assert words in refused(capsys, command, "room.png", "a cat", *base, *flags.split())


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ("--count 0", "count"),
        ("--from-png nothing.png", "no such picture"),
        ("--from-png room.png", "no partway settings"),
    ],
)
def test_bad_flags_of_img2img(capsys: Captured, model: Path, flags: str, words: str) -> None:
    assert words in refused(capsys, "img2img", "room.png", "a cat", "-m", model, *flags.split())


def test_bad_sizes(capsys: Captured, model: Path) -> None:
    for flags in ("--width 0", "--height 50000", "--width -8"):
        assert "between 8 and" in refused(capsys, "txt2img", "cat", "-m", model, *flags.split())


def test_bad_strengths(capsys: Captured, model: Path) -> None:
    for strengths in ("", "0,high", "0,1.5", "0,nan"):
        refused(capsys, "sweep", "room.png", "cat", "-m", model, "--strengths", strengths)


def test_bad_pictures(capsys: Captured, model: Path) -> None:
    Path("text.png").write_text("no picture")
    Path("cut.png").write_bytes(Path("room.png").read_bytes()[:80])
    Image.new("1", (16_385, 1)).save("long.png")
    Image.new("1", (12_000, 12_000)).save("bomb.png")
    for name, words in (
        ("missing.png", "no such picture"),
        ("text.png", "not a picture"),
        ("cut.png", "cut.png"),
        ("long.png", "from 1 to 16384"),
        ("bomb.png", "million pixels"),
        (".", "folder"),
    ):
        assert words in refused(capsys, "img2img", name, "cat", "-m", model)


def test_missing_words(capsys: Captured, model: Path) -> None:
    assert "which prompt?" in refused(capsys, "img2img", "room.png", "-m", model)


def test_damaged_models(capsys: Captured, tmp_path: Path) -> None:
    for number, damage in enumerate(
        (
            lambda folder: (folder / "unet/model.onnx").unlink(),
            lambda folder: (folder / "unet/model.onnx").write_bytes(b""),
            lambda folder: (folder / "unet/model.onnx").write_bytes(b"cut" * 50),
            lambda folder: (folder / "model_index.json").write_text("{"),
            lambda folder: (folder / "scheduler/scheduler_config.json").unlink(),
            lambda folder: (folder / "tokenizer/vocab.json").unlink(),
            lambda folder: (folder / "tokenizer/vocab.json").write_text("{"),
        )
    ):
        folder = toy.build(tmp_path / f"toy{number}")
        damage(folder)
        refused(capsys, "img2img", "room.png", "cat", "-m", folder, "--steps", 2)


def test_an_engine_that_is_not_installed(capsys: Captured, model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)
    assert "pip install" in refused(capsys, "txt2img", "cat", "-m", model, "--engine", "openvino")


def test_export_without_its_extra(capsys: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    from partway.cli import export

    monkeypatch.setattr(export, "find_spec", lambda name: None)
    assert "pip install 'partway[export]'" in refused(capsys, "export", "model", "out", "--to", "onnx")


def test_export_hands_its_arguments_on(monkeypatch: pytest.MonkeyPatch) -> None:
    from partway.cli import export

    seen: list[object] = []

    class There:
        @staticmethod
        def main(argv: list[str]) -> int:
            seen.append(argv)
            return 3

    monkeypatch.setattr(export, "find_spec", lambda name: There)
    monkeypatch.setattr(export, "import_module", lambda name: (seen.append(name), There)[1])
    assert main(["export", "--help", "x"]) == 3
    assert seen == ["partway_export.cli", ["--help", "x"]]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "COMMAND"),
        (["nonsense"], "'nonsense'"),
        (["img2img"], "INPUT"),
        (["img2img", "a", "b", "--steps", "many"], "--steps: invalid int value: 'many'"),
        (["img2img", "a", "b", "--strength", "abc"], "see: partway img2img --help"),
        (["plan", "--json", "--compare"], "not allowed with"),
        (["devices", "extra"], "extra"),
    ],
)
def test_what_argparse_refuses_is_one_line(capsys: Captured, desk: Path, arguments: list[str], words: str) -> None:
    assert words in refused(capsys, *arguments)


# --- trouble on the way


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[BaseException]]:
    """Make the UNet raise the exception put into the list."""
    trouble: list[BaseException] = []
    original = engine.OnnxRuntime.run

    def run_(self: Any, network: str, inputs: Any) -> Any:
        if network == "unet":
            raise trouble[0]
        return original(self, network, inputs)

    monkeypatch.setattr(engine.OnnxRuntime, "run", run_)
    return trouble


def test_an_interrupt_is_exit_code_130_and_leaves_nothing(
    capsys: Captured, model: Path, desk: Path, failing: list[BaseException]
) -> None:
    failing.append(KeyboardInterrupt())
    code, out, err = run(capsys, "img2img", "room.png", "cat", "-m", model, "-o", "out.png")
    assert (code, out, err.strip()) == (130, "", "partway: interrupted")
    assert files(desk) == {"room.png"}


@pytest.mark.parametrize("trouble", [MemoryError(), OSError(28, "No space left on device"), OSError("odd\nlines")])
def test_trouble_of_the_machine_is_one_line(
    capsys: Captured, model: Path, failing: list[BaseException], trouble: BaseException
) -> None:
    failing.append(trouble)
    refused(capsys, "img2img", "room.png", "cat", "-m", model, "-o", "out.png")


def test_an_interrupted_count_keeps_what_is_finished(
    capsys: Captured, model: Path, desk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = partway.Pipeline.stream

    def until_seed_2(self: Any, *arguments: Any, **settings: Any) -> Any:
        if settings["seed"] == 2:
            raise KeyboardInterrupt
        return stream(self, *arguments, **settings)

    monkeypatch.setattr(partway.Pipeline, "stream", until_seed_2)
    code, _, _ = run(capsys, "img2img", "room.png", "cat", "-m", model, "--steps", 2, "--count", 5, "-o", "x.png")
    assert code == 130
    assert files(desk) == {"room.png", "x-0001.png", "x-0002.png"}


# --- the command itself


def test_the_progress_bar_is_on_stderr_and_only_on_a_terminal(
    capsys: Captured, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = ("img2img", "room.png", "cat", "-m", model, "--steps", 4, "--strength", 1, "-o", "x.png")
    assert run(capsys, *base)[2] == ""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    shown = run(capsys, *base)[2]
    assert "/4 [" in shown
    assert "step" in shown
    assert run(capsys, *base, "--quiet")[2] == ""


def python(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHONPATH": str(Path(partway.__file__).parents[1])}
    return subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, env=environment, check=False
    )


def test_version_and_help_load_no_engine_and_no_torch() -> None:
    for flag, words in (("--version", f"partway {partway.__version__}"), ("--help", "img2img")):
        done = python(
            "import sys\n"
            "from partway.cli import main\n"
            "try: main(sys.argv[1:])\n"
            "except SystemExit: pass\n"
            "heavy = {'onnxruntime', 'openvino', 'tokenizers', 'torch', 'huggingface_hub', 'tqdm'}\n"
            "print(sorted(heavy & set(sys.modules)))\n",
            flag,
        )
        assert words in done.stdout
        assert done.stdout.splitlines()[-1] == "[]"


def test_a_closed_pipe_is_no_error() -> None:
    done = python(
        "import subprocess, sys\n"
        'code = \'import sys; from partway.cli import main; sys.exit(main(["plan", "--steps", "1000"]))\'\n'
        "child = subprocess.Popen([sys.executable, '-c', code], stdout=subprocess.PIPE, stderr=subprocess.PIPE)\n"
        "child.stdout.close()\n"
        "print(child.stderr.read().decode(), child.wait())\n"
    )
    assert done.stdout.split() == ["0"]


def test_text_that_is_not_utf_8_is_no_trouble(model: Path, desk: Path) -> None:
    os.link(b"room.png", b"r\xff.png")
    code = "import sys; from partway.cli import main; sys.exit(main())"
    environment = os.environ | {"PYTHONPATH": str(Path(partway.__file__).parents[1]), "PYTHONIOENCODING": "utf-8"}
    done = subprocess.run(
        [sys.executable, "-c", code, "img2img", b"r\xff.png", b"caf\xe9", "-m", str(model)],
        capture_output=True,
        env=environment,
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.startswith(rb"r\udcff-partway-0001.png")


def test_without_stderr_the_picture_is_made_all_the_same(
    capsys: Captured, model: Path, desk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stderr", None)
    assert main(["img2img", "room.png", "cat", "-m", str(model), "-o", "out.png"]) == 0
    assert Path("out.png").exists()
