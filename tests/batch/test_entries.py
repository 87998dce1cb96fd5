"""`Pipeline.batch`: seeds by name, problems as results, masks, and the same pictures as one by one."""

import hashlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import partway
from batches import Drawn
from partway.errors import ImageError, InputError
from partway.run.entries import seed_of


@pytest.fixture(scope="module")
def pipe(model: Path) -> partway.Pipeline:
    return partway.load(model, threads=1)


def test_a_seed_is_the_documented_hash_of_the_name():
    digest = hashlib.sha256(b"7:a/room.png").digest()
    assert seed_of("a/room.png", 7) == int.from_bytes(digest[:4], "big")
    assert len({seed_of(name, seed) for name in ("a", "b") for seed in (0, 1)}) == 4


def test_results_come_in_order_and_are_those_of_single_runs(pipe: partway.Pipeline, drawn: Drawn):
    paths = [drawn(f"{n}.png", 9 * n, (40 + 8 * (n % 2), 24)) for n in range(5)]
    done = list(pipe.batch(paths, "warm light", at_once=2, strength=0.5, seed=3))
    assert [one.entry.name for one in done] == [path.name for path in paths]
    for one, path in zip(done, paths, strict=True):
        alone = pipe.img2img(path, "warm light", strength=0.5, seed=seed_of(path.name, 3))
        assert one.result is not None and one.problem is None
        assert np.array_equal(one.result.image, alone.image)


def test_what_cannot_be_read_is_a_problem_and_not_the_end(pipe: partway.Pipeline, drawn: Drawn):
    bad = Path("rooms/bad.png")
    items = [drawn("a.png"), bad, {"picture": drawn("b.png"), "strength": 7}, drawn("c.png")]
    bad.write_bytes(b"\x89PNG\r\n\x1a\n")
    done = list(pipe.batch(items, "warm light"))
    assert [type(one.problem) for one in done] == [type(None), ImageError, InputError, type(None)]


def test_a_mapping_has_its_own_prompt_mask_name_and_settings(pipe: partway.Pipeline, drawn: Drawn):
    path = drawn("a.png")
    Image.fromarray(np.pad(np.full((8, 16), 255, np.uint8), ((8, 8), (12, 12)))).save("mask.png")
    own = {"picture": path, "name": "x/y", "prompt": "snow", "mask": "mask.png", "mask_blur": 2, "strength": 0.8}
    (done,) = pipe.batch([own], "warm light", strength=0.2)
    alone = pipe.inpaint(path, "mask.png", "snow", mask_blur=2, strength=0.8, seed=seed_of("x/y", 0))
    assert done.result is not None and np.array_equal(done.result.image, alone.image)
    (seeded,) = pipe.batch([{"picture": path, "seed": 5}], "warm light")
    assert seeded.result is not None and seeded.result.seeds == (5,)


def test_pictures_without_a_name_go_by_their_number(pipe: partway.Pipeline, drawn: Drawn):
    picture = Image.open(drawn("a.png"))
    seeds = [one.result.seeds[0] for one in pipe.batch([picture, picture], "warm light") if one.result]
    assert seeds == [seed_of("0", 0), seed_of("1", 0)]


@pytest.mark.parametrize("settings", [{"strength": 2}, {"seed": -1}, {"seed": [1, 2]}, {"at_once": 0}])
def test_what_holds_for_all_is_refused_at_once(pipe: partway.Pipeline, settings: dict):
    with pytest.raises(InputError):
        pipe.batch([], "warm light", **settings)


def test_an_engine_that_runs_one_call_at_a_time_gets_others_beside_it(pipe: partway.Pipeline):
    crew = pipe.beside(3)
    assert crew[0] is pipe and len({id(one) for one in crew}) == 3 == len({id(one.pictures) for one in crew})
    assert pipe.beside(2) == crew[:2]
    assert all(one.engine is pipe.engine for one in crew)  # ONNX Runtime runs several
