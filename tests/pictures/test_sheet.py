"""The contact sheet shows every picture, undistorted, with its label under it."""

import numpy as np
import pytest
from PIL import Image

from partway.pictures.sheet import contact_sheet

COLOURS = [(200, 30, 30), (30, 200, 30), (30, 30, 200), (200, 200, 30), (200, 30, 200), (30, 200, 200), (9, 9, 9)]


def blocks(count: int, size: tuple[int, int] = (300, 200)) -> list[Image.Image]:
    return [Image.new("RGB", size, colour) for colour in COLOURS[:count]]


def box(sheet: Image.Image, colour: tuple[int, int, int]) -> tuple[int, int, int, int]:
    """Left, top, right, bottom (exclusive) of the pixels of one colour."""
    rows, columns = np.nonzero((np.asarray(sheet) == colour).all(axis=2))
    return columns.min(), rows.min(), columns.max() + 1, rows.max() + 1


@pytest.mark.parametrize(("count", "columns"), [(1, 1), (3, 3), (4, 4), (5, 3), (7, 4)])
def test_every_picture_is_shown_whole_in_rows(count: int, columns: int) -> None:
    sheet = contact_sheet(blocks(count), [str(i) for i in range(count)], title="a room", details="seed 1")
    boxes = [box(sheet, colour) for colour in COLOURS[:count]]
    assert {(right - left, bottom - top) for left, top, right, bottom in boxes} == {(300, 200)}
    assert len({left for left, *_ in boxes}) == min(count, columns)
    assert [top for _, top, *_ in boxes] == sorted(top for _, top, *_ in boxes)
    assert max(right for *_, right, _ in boxes) < sheet.width
    assert max(bottom for *_, bottom in boxes) < sheet.height


def test_each_label_stands_centred_under_its_picture() -> None:
    with_labels = contact_sheet(blocks(3), ["original", "", "strength 0.5"], title="a room")
    without = contact_sheet(blocks(3), ["", "", ""], title="a room")
    changed = (np.asarray(with_labels) != np.asarray(without)).any(axis=2)
    for index, labelled in enumerate([True, False, True]):
        left, _, right, bottom = box(without, COLOURS[index])
        columns = np.nonzero(changed[bottom:, left:right].any(axis=0))[0]
        assert (columns.size > 0) == labelled
        if labelled:
            assert abs((columns.min() + columns.max()) / 2 - (right - left) / 2) < 3
    assert not changed[: box(without, COLOURS[0])[3]].any()


def test_long_titles_wrap_inside_the_sheet_and_end_in_dots() -> None:
    short = contact_sheet(blocks(2), ["a", "b"], title="cat")
    for title in ("many words " * 12, "x" * 120, "words " * 500):
        sheet = contact_sheet(blocks(2), ["a", "b"], title=title)
        assert sheet.width == short.width
        assert sheet.height > short.height
        margin = np.asarray(sheet)[:, -8:]
        assert (margin == margin[0, 0]).all()
    assert sheet.height < 2 * short.height


def test_small_pictures_are_enlarged_and_large_ones_reduced() -> None:
    for size, shown in (((16, 16), (224, 224)), ((3000, 1500), (512, 256))):
        left, top, right, bottom = box(contact_sheet(blocks(1, size), ["x"], title="t"), COLOURS[0])
        assert (right - left, bottom - top) == shown


def test_pictures_of_other_sizes_and_modes_keep_proportions_and_depth() -> None:
    tall, wide = Image.new("RGB", (100, 300), COLOURS[0]), Image.new("RGB", (300, 100), COLOURS[1])
    deep = Image.fromarray(np.full((300, 300), 200 * 257, np.uint16))
    sheet = contact_sheet([tall, wide, deep], ["a", "b", "c"], title="t")
    left, top, right, bottom = box(sheet, COLOURS[0])
    assert (right - left, bottom - top) == (100, 300)
    left, top, right, bottom = box(sheet, (200, 200, 200))
    assert (right - left, bottom - top) == (300, 300)


def test_transparent_pictures_show_the_background() -> None:
    sheet = contact_sheet([Image.new("RGBA", (300, 300), (255, 0, 0, 0))], [""], title="")
    assert len(sheet.getcolors() or []) == 1


def test_accents_are_shown_as_base_letters_not_as_boxes() -> None:
    plain = contact_sheet(blocks(1), ["x"], title="canape creme")
    accented = contact_sheet(blocks(1), ["x"], title="canapé crème")
    np.testing.assert_array_equal(np.asarray(accented), np.asarray(plain))
