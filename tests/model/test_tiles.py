"""Tiles: every pixel covered, no seam, the same as a whole picture where that can be known, bounded memory."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

import partway
import toy
from partway.model.package import open_package
from partway.model.tiles import UNTILED, WHOLE, Tiling, Tilings, blended, fitting, starts, window


@given(length=st.integers(1, 300), side=st.integers(2, 64), share=st.floats(0, 0.5))
def test_tiles_cover_everything_and_overlap_enough(length, side, share):
    overlap = int(side * share)
    places = starts(length, side, overlap)
    assert places[0] == 0 and places == sorted(set(places))
    if length <= side:
        assert places == [0]
        return
    assert places[-1] + side == length
    assert all(b - a <= side - overlap for a, b in pairwise(places))


@pytest.mark.parametrize(
    ("size", "side", "tiles"),
    [
        ((512, 512), 512, 1),
        ((576, 576), 576, 1),  # one larger tile rather than four
        ((960, 960), 512, 4),
        ((1024, 1024), 576, 4),  # rather than nine of 512
        ((1024, 512), 576, 2),
        ((2048, 2048), 576, 16),  # rather than twenty-five
    ],
)
def test_chosen_tiles_are_the_least_work(size, side, tiles):
    assert fitting(*size, 512, 64, 64) == side
    assert Tiling(side, side, 64).needed(*size) == tiles


def test_a_chosen_tile_is_in_the_settings_of_the_result(pipe, picture):
    large = picture.resize((pipe.package.size[0] * 3, pipe.package.size[1] * 2))
    short = {"steps": 2, "strength": 1.0, "sampler": "euler"}
    made = pipe.img2img(large, "a room", tile=0, **short)
    own = min(pipe.package.size)
    assert own <= made.settings.tile <= own * 5 // 4 and made.settings.tile_overlap == own // 8
    assert made.plan == pipe.plan(width=large.width, height=large.height, tile=0, **short)
    again = pipe.img2img(large, "a room", tile=made.settings.tile, tile_overlap=made.settings.tile_overlap, **short)
    assert again.image.tobytes() == made.image.tobytes()


@pytest.mark.parametrize("shape", [(1, 3, 40, 56), (2, 4, 17, 33), (1, 1, 16, 90)])
@pytest.mark.parametrize(("reads", "writes"), [(1, 1), (8, 1), (1, 8)])
def test_a_network_that_looks_at_single_pixels_gives_the_same_tiled(shape, reads, writes):
    rng = np.random.default_rng(0)
    batch, channels, height, width = shape
    x = rng.normal(size=(batch, channels, height * reads, width * reads)).astype(np.float32)

    def run(part):
        if reads > 1:
            h, w = part.shape[2] // reads, part.shape[3] // reads
            part = part.reshape(batch, channels, h, reads, w, reads).mean((3, 5))
        return np.tanh(part).repeat(writes, 2).repeat(writes, 3)

    tiled = blended(run, x, Tiling(16, 16, 4), reads=reads, writes=writes)
    np.testing.assert_allclose(tiled, run(x), atol=1e-6)


def test_tiles_that_disagree_meet_without_a_step():
    """Each tile answers with a constant of its own: between tiles the result slopes, and no step is a jump."""
    answers = iter([0.0, 1.0, 0.0])
    x = np.zeros((1, 1, 16, 40), np.float32)
    row = blended(lambda part: np.full_like(part, next(answers)), x, Tiling(16, 16, 4))[0, 0, 8]
    assert row.min() == 0 and row.max() == 1
    assert np.abs(np.diff(row)).max() <= 0.3
    assert window(16, 16, 4).min() > 0


def test_networks_of_fixed_size_are_given_exactly_that():
    seen = set()

    def run(part):
        seen.add(part.shape)
        return part

    for side in (5, 16, 23):
        x = np.random.default_rng(side).normal(size=(1, 2, side, side)).astype(np.float32)
        np.testing.assert_allclose(blended(run, x, Tiling(16, 16, 4, exact=True)), x, atol=1e-6)
    assert seen == {(1, 2, 16, 16)}


@pytest.fixture
def largest(counted, monkeypatch):
    """A pipeline, and the largest input its networks were given."""
    pipe, engine = counted
    most = {}
    run = engine.run

    def watched(network, inputs):
        for value in inputs.values():
            if value.ndim == 4:
                most[network] = max(most.get(network, 0), value.shape[2] * value.shape[3])
        return run(network, inputs)

    monkeypatch.setattr(engine, "run", watched)
    return pipe, engine, most


def test_networks_never_see_more_than_a_tile(largest):
    pipe, engine, most = largest
    cell, multiple = pipe.package.vae_scale_factor, pipe.package.multiple
    tile = 4 * multiple
    big = Image.fromarray(np.random.default_rng(1).integers(0, 256, (6 * multiple + 3, 9 * multiple, 3), np.uint8))
    settings = {"tile": tile, "strength": 0.5, "steps": 4, "sampler": "euler"}
    run = pipe.stream("a room", big, **settings)
    assert run.plan == pipe.plan(width=big.width, height=big.height, **settings)
    result = run.result()
    assert result.image.size == big.size
    assert most["vae_encoder"] == tile**2
    assert most["unet"] == most["vae_decoder"] == (tile // cell) ** 2
    assert {name: engine.calls[name] for name in ("unet", "vae_encoder", "vae_decoder")} == {
        name: run.plan.calls[name] for name in ("unet", "vae_encoder", "vae_decoder")
    }
    assert run.plan.calls["unet"] > 2 and run.plan.network_calls == run.plan.calls["unet"]


def test_a_picture_of_one_tile_is_the_whole_picture(pipe, picture):
    whole = pipe.img2img(picture, "a room", strength=0.6, steps=4)
    tile = 8 * pipe.package.multiple
    assert pipe.img2img(picture, "a room", strength=0.6, steps=4, tile=tile).image.tobytes() == whole.image.tobytes()


def test_upscale_is_larger_and_still_the_picture(pipe):
    y, x = np.mgrid[:32, :48] / 12
    smooth = Image.fromarray(np.uint8(127 + 60 * np.stack([np.sin(x), np.cos(y), np.sin(x + y)], -1)))
    made = pipe.upscale(smooth, "a room", scale=2.5, steps=4, strength=0.01)
    assert made.image.size == (120, 80)
    assert made.settings.tile is not None
    assert (
        pipe.upscale(smooth, scale=1.5, strength=0).image.tobytes()
        == smooth.resize((72, 48), Image.Resampling.LANCZOS).tobytes()
    )


def test_the_contract_holds_in_tiles(pipe, picture):
    tile = {"tile": 2 * pipe.package.multiple, "steps": 4, "sampler": "euler_a"}
    size = {"width": picture.width, "height": picture.height}
    assert pipe.img2img(picture, "a room", strength=0, **tile).image.tobytes() == picture.tobytes()
    one = pipe.img2img(picture, "a room", strength=1, **tile).image
    assert one.tobytes() == pipe.txt2img("a room", **size, **tile).image.tobytes()


def test_tiles_that_cannot_be(pipe, picture):
    for settings, words in (
        ({"tile": 3}, "tile must be between"),
        ({"tile": pipe.package.multiple * 2 + 1}, "multiple of"),
        ({"tile": 64, "tile_overlap": 40}, "tile_overlap must be between"),
    ):
        with pytest.raises(partway.InputError, match=words):
            pipe.img2img(picture, "a room", **settings)
    for scale in (0.5, 1e9, "2"):
        with pytest.raises(partway.InputError):
            pipe.upscale(picture, scale=scale)


@pytest.fixture(scope="module")
def fixed_folder(tmp_path_factory):
    """The toy model with graphs that take 64x64 pixels, 8x8 latents, and nothing else."""
    return toy.build(tmp_path_factory.mktemp("fixed"), size=(8, 8))


def test_a_network_s_own_size_is_its_tile(pipe, tmp_path):
    settings = partway.Settings()
    assert Tilings.of(pipe.package, settings) == UNTILED == (WHOLE, WHOLE, WHOLE)
    fixed = open_package(toy.build(tmp_path / "toy", size=(8, 12), batch=2))
    own = Tiling(8, 12, 2, exact=True)
    for wanted in (settings, partway.Settings(tile=32), partway.Settings(vae_tile=16)):
        assert Tilings.of(fixed, wanted) == (own, own, own)
    assert Tilings.of(fixed, partway.Settings(tile_overlap=8)).unet == Tiling(8, 12, 1, exact=True)
    # at most half of it, as of a tile that is asked for
    assert Tilings.of(fixed, partway.Settings(tile_overlap=64)).unet == Tiling(8, 12, 4, exact=True)


@pytest.mark.parametrize("engine", ["onnxruntime", "openvino"])
@pytest.mark.parametrize("size", [(128, 96), (64, 64), (40, 24), (72, 33)])
def test_graphs_of_fixed_size_run_pictures_of_any(pipe, fixed_folder, engine, size):
    pytest.importorskip(engine)
    fixed = partway.load(fixed_folder, engine=engine)
    source = Image.fromarray(np.random.default_rng(2).integers(0, 256, (size[1], size[0], 3), np.uint8))
    settings = {"strength": 0.6, "steps": 4, "sampler": "euler"}
    run = fixed.stream("a room", source, **settings)
    made = run.result().image
    assert made.size == size
    assert run.plan.calls["unet"] == run.plan.network_calls
    if min(size) >= 64:  # smaller ones are extended, which the tiles of a graph of any size are not
        tiled = pipe.img2img(source, "a room", tile=64, tile_overlap=16, **settings).image
        assert np.abs(np.asarray(made, int) - np.asarray(tiled, int)).max() <= 1
