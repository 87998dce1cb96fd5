"""What a plan says is what runs: the same plan, and every network called as often as it says."""

import re
from dataclasses import replace
from importlib.util import find_spec

import numpy as np
import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st
from PIL import Image

import partway
import toy
from counting import calls
from partway.budget import memory
from partway.engines import EngineOptions
from partway.engines.timed import Timed
from partway.model import tiles
from partway.pictures import images, masks
from partway.run import starts

KINDS = {
    "free": {},
    "fixed": {"size": (8, 8), "tiny": True},
    "fixed, oblong": {"size": (4, 6), "batch": 2, "shallow": True},
    "split, tiny": {"shallow": True, "tiny": True},
    "segments": {"segments": True},
    "inpainting": {"inpaint": True},
    "instructions": {"instruct": True, "shallow": True},
    "guidance inside": {"guidance_width": 6},
}
SIZES = [(40, 24), (64, 64), (72, 33), (100, 70)]
TILES = [None, 0, 16, 32, 64]


@pytest.fixture(scope="module", autouse=True)
def small_tiles():
    """As for models of 512 pixels, whose VAE may work in tiles of a quarter of that."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(memory, "LEAST_TILE", 16)
        yield


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    return {kind: toy.build(tmp_path_factory.mktemp("toy"), **about) for kind, about in KINDS.items()}


@pytest.fixture(scope="module")
def loaded(folders):
    """Pipelines by kind of model and preset, each made once."""
    made = {}

    def load(kind, preset):
        if (kind, preset) not in made:
            made[kind, preset] = partway.load(folders[kind], preset=preset)
        return made[kind, preset]

    return load


@st.composite
def runs(draw):
    """A kind of model, a preset, a task, its settings, and the share of the plain run's peak that is its limit."""
    kind = draw(st.sampled_from(sorted(KINDS)))
    task = {"inpainting": ["mask"], "instructions": ["picture"]}.get(
        kind, ["text", "picture", "mask", "latents", "result", "first part", "second part"]
    )
    chosen = {
        "steps": draw(st.integers(1, 4)),
        "strength": draw(st.sampled_from([0, 0.3, 0.55, 1])),
        "sampler": draw(st.sampled_from(["euler", "heun", "plms", "dpmpp_2s", "restart"])),
        "guidance_scale": draw(st.sampled_from([1, 4])),
        "guidance_max_sigma": draw(st.sampled_from([None, 3.0])),
        "negative_prompt": draw(st.sampled_from(["", "dark"])),
        "seed": tuple(range(draw(st.integers(1, 3)))),
        "tile": draw(st.sampled_from(TILES)),
        "vae_tile": draw(st.sampled_from([tile for tile in TILES if tile != 0])),
    }
    if chosen["tile"] is None or chosen["tile"] > 16:
        chosen["tile_overlap"] = draw(st.sampled_from([None, 0, 8, 16]))
    if KINDS[kind].get("shallow"):
        chosen["reuse"] = draw(st.sampled_from([0.0, 0.4]))
    if KINDS[kind].get("tiny"):
        chosen["vae"] = draw(st.sampled_from(["own", "tiny", "tiny-decoder"]))
    return {
        "kind": kind,
        "preset": draw(st.sampled_from([None, "tiny", *(["balanced", "fast"] if find_spec("openvino") else [])])),
        "task": draw(st.sampled_from(task)),
        "size": draw(st.sampled_from(SIZES)),
        "decode": draw(st.booleans()),
        "batch": draw(st.sampled_from([None, 1, 2])),
        "limit": draw(st.sampled_from([None, None, 1.0, 0.999, 0.99, 0.97, 0.9])),
        "chosen": chosen,
    }


def source(pipe, run):
    """What the task starts from, for `stream` and `plan` alike, and its settings."""
    width, height = run["size"]
    task, chosen = run["task"], run["chosen"]
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8))
    if task == "mask":
        half = np.zeros((height, width), np.uint8)
        half[:, width // 2 :] = 255
        return masks.edit(images.read(picture), half), chosen
    plain = {"steps": 3, "schedule": "trailing", "sampler": "euler", "seed": chosen["seed"]}
    if task in ("latents", "result"):
        made = pipe.img2img(picture, "first", strength=0.5, decode=task == "result", **plain)
        return (made if task == "result" else made.latents), chosen
    if task == "first part":
        return picture, chosen | plain | {"strength": 1, "denoising_end": 0.5}
    if task == "second part":
        handed_on = pipe.img2img(picture, "first", strength=1, denoising_end=0.5, **plain).latents
        return handed_on, chosen | plain | {"denoising_start": 0.5}
    return (None if task == "text" else picture), chosen


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(runs())
def test_what_a_plan_says_is_what_runs(loaded, folders, run):
    base, decode = loaded(run["kind"], run["preset"]), run["decode"] or run["task"] == "mask"
    image, chosen = source(base, run)
    asked = {"width": run["size"][0], "height": run["size"][1]} if image is None else {}
    options = replace(base.planner.options, batch=run["batch"] or base.planner.options.batch)
    if run["limit"] is not None:
        peak = base.plan(image=image, decode=decode, **asked, **chosen).peak_bytes
        options = replace(options, memory_limit=int(peak * run["limit"]))
    engine = Timed(base.engine)
    engine.batch = options.batch
    pipe = partway.Pipeline(base.package, engine, base.tokenizers, replace(base.planner, options=options))

    def plan():
        return pipe.plan(image=image, decode=decode, **asked, **chosen)

    def stream():
        instruct = run["kind"] == "instructions"
        return pipe.stream("a room", image, instruct=instruct, decode=decode, **asked, **chosen)

    try:
        said = plan()
    except partway.InputError as refused:
        event("refused")
        with pytest.raises(partway.InputError) as also:
            stream()
        assert str(also.value) == str(refused)
        return
    event(re.sub(r"\d+", "N", said.memory))
    assert engine.seconds == {}, "a plan loads nothing"
    streamed = stream()
    assert engine.seconds == {}, "nothing loads before the first step"
    result = streamed.result()
    assert said == streamed.plan == result.plan and str(said) == str(result.plan)
    start = starts.imagined(image, pipe.package, **asked)
    planned = pipe.planner.planned(pipe.package, pipe.package.settings(chosen), start, decode=decode)
    assert planned.plan == said and planned.settings == result.settings
    batch = planned.loading.batch if planned.loading.release else engine.batch
    fixed, reuse = KINDS[run["kind"]].get("batch"), planned.settings.reuse > 0
    expected = calls(planned.plan, planned.pictures, reuse=reuse, fixed=fixed, batch=batch)
    if planned.loading.segments:
        expected |= dict.fromkeys(planned.loading.segments, expected.pop("unet", 0))
    assert engine.calls == {name: count for name, count in expected.items() if count}

    if run["task"] in ("text", "picture") and decode:
        size = {"width": run["size"][0], "height": run["size"][1]}
        imagined = {"image": run["task"] == "picture", **size, **chosen}
        assert pipe.plan(**imagined) == said
        name = base.planner.engine
        assert (
            partway.plan(folders[run["kind"]], preset=run["preset"], engine=name, options=options, **imagined) == said
        )


def test_a_graph_of_fixed_size_is_planned_as_it_runs(loaded, folders):
    """Three tiles of 64 across a picture of 100, two down one of 70: six calls of the UNet for each of its steps."""
    pipe, size = loaded("fixed", None), {"width": 140, "height": 70}
    chosen = {"steps": 3, "strength": 1, "sampler": "euler", "guidance_scale": 1}
    plan = partway.plan(folders["fixed"], **size, **chosen)
    made = pipe.img2img(Image.new("RGB", (140, 70)), "a room", **chosen)
    assert plan == pipe.plan(**size, **chosen) == made.plan
    assert plan.calls == {"text_encoder": 1, "vae_encoder": 0, "unet": 18, "vae_decoder": 6}


def test_what_a_run_refuses_a_plan_refuses(loaded):
    picture = Image.new("RGB", (40, 24))
    for image, chosen, words in (
        (True, {"tile": 24}, "tile must be a multiple of 16"),
        (picture, {"vae_tile": 24}, "vae_tile must be a multiple of 16"),
        (picture, {"denoising_start": 0.5}, "another run's latents"),
        (picture, {"width": 64}, "keeps the picture's size"),
        (picture, {"reuse": 0.2}, "no shallow graph"),
    ):
        with pytest.raises(partway.InputError, match=words):
            loaded("free", None).plan(image=image, **chosen)


@pytest.mark.parametrize("fixed", [False, True])
def test_a_vae_of_fixed_size_gets_no_tiles_to_save_memory(monkeypatch, fixed):
    """They would save nothing, and the record would tell of what was not done."""
    pipe = partway.load()
    wide = starts.imagined(True, pipe.package, width=768, height=768)
    if fixed:
        monkeypatch.setattr(tiles, "fixed_size", lambda file: (96, 96) if file.parent.name == "vae_decoder" else None)

    def planned(**options):
        planner = replace(pipe.planner, options=EngineOptions(**options))
        return planner.planned(pipe.package, partway.Settings(), wide)

    peak = planned(release=True, batch=1).plan.peak_bytes
    assert planned(memory_limit=peak).settings.vae_tile is None
    if fixed:
        with pytest.raises(partway.InputError, match="of memory at the least"):
            planned(memory_limit=peak - 1)
    else:
        assert planned(memory_limit=peak - 1).settings.vae_tile == 256


def test_a_tile_is_no_help_to_a_graph_of_fixed_size(loaded):
    large = {"width": 640, "height": 640}
    for kind, words in (("free", "a smaller picture, tile=64, a package"), ("fixed", "a smaller picture, a package")):
        pipe = loaded(kind, None)
        planner = replace(pipe.planner, options=EngineOptions(memory_limit="1MB"))
        with pytest.raises(partway.InputError, match=words):
            replace(pipe, planner=planner).plan(**large)
