"""What a place stands for: names, masks, sizes; and what a killed process left."""

import os
import time
from pathlib import Path

from PIL import Image

from batches import Drawn
from partway.batch.sources import found, size_of
from partway.support.files import remove_leftovers


def test_names_begin_at_the_folder_or_at_the_first_wildcard(drawn: Drawn):
    for name in ("a.png", "x/b.png", "y/c.jpg", ".hidden.png"):
        drawn(name)
    out = Path("out")
    assert [one.name for one in found("rooms", out)] == ["a.png", "x/b.png", "y/c.jpg"]
    assert [one.name for one in found("rooms/*/b*", out)] == ["x/b.png"]
    assert [one.name for one in found("rooms/**/*.png", out)] == ["a.png", "x/b.png"]
    assert [one.name for one in found("rooms/x/b.png", out)] == ["b.png"]


def test_a_file_whose_name_looks_like_a_pattern_is_that_file(drawn: Drawn):
    drawn("a[1].png")
    assert [one.name for one in found("rooms/a[1].png", Path("out"))] == ["a[1].png"]


def test_masks_are_no_pictures(drawn: Drawn):
    for name in ("a.png", "masks/a.png", "x/b.jpg", "x/masks/b.jpg.png"):
        drawn(name)
    by_stem = found("rooms", Path("out"), "masks/{stem}.png")
    assert [one.name for one in by_stem] == ["a.png", "x/b.jpg", "x/masks/b.jpg.png"]
    assert by_stem[0].mask == Path("rooms/masks/a.png")
    by_name = found("rooms/x", Path("out"), "masks/{name}.png")
    assert [(one.name, one.mask) for one in by_name] == [("b.jpg", Path("rooms/x/masks/b.jpg.png"))]


def test_sizes_are_those_of_upright_pictures(drawn: Drawn):
    path, exif = drawn("a.png"), Image.Exif()
    exif[0x0112] = 8
    Image.open(path).save("turned.jpg", exif=exif)
    Path("none.png").write_bytes(b"none")
    assert [size_of(Path(name)) for name in (path, "turned.jpg", "none.png")] == [(40, 24), (24, 40), (0, 0)]


def test_only_old_leftovers_are_removed(tmp_path: Path):
    old, new, other = (tmp_path / name for name in (".partway-1.part", ".partway-2.part", "a.part"))
    for path in (old, new, other):
        path.touch()
    for path in (old, other):
        os.utime(path, (time.time() - 7200,) * 2)
    remove_leftovers(tmp_path)
    assert sorted(tmp_path.iterdir()) == [new, other]
