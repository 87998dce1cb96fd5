"""Adapters that a prompt names as A1111 does."""

import pytest

from partway.errors import InputError
from partway.loras import Lora, in_prompt


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "styles").mkdir()
    for name in ("film.safetensors", "styles/ink v2.safetensors"):
        (tmp_path / name).write_bytes(b"")
    return tmp_path


@pytest.mark.parametrize(
    ("tag", "text", "unet"),
    [
        ("<lora:film>", 1, 1),
        ("<lora:film:0.8>", 0.8, 0.8),
        ("<lora:film:0:1>", 0, 1),
        ("<lora:film:te=0.5:unet=-1>", 0.5, -1),
        ("<lora:film:unet=0.3>", 1, 0.3),
        ("<LYCO:film:1.5>", 1.5, 1.5),
    ],
)
def test_it_is_taken_out_of_the_prompt(folder, tag, text, unet):
    assert in_prompt(f"a room {tag}", folder) == ("a room", (Lora(str(folder / "film.safetensors"), unet, text),))


def test_several_are_taken_in_order_and_folders_below_are_searched(folder):
    rest, loras = in_prompt("<lora:ink v2:0.4>a room, <lora:film:0.8> warm", folder)
    assert rest == "a room,  warm"
    assert [(one.name, one.unet) for one in loras] == [("ink v2", 0.4), ("film", 0.8)]


@pytest.mark.parametrize(
    "text", ["<lora:film:strong>", "<lora:>", "<lora:film", "<hypernet:film:1>", "<lora:film:1:1:8>"]
)
def test_what_is_written_otherwise_stays_text(folder, text):
    assert in_prompt(text, folder) == (text, ())


def test_a_name_that_is_not_there_is_one_line_with_those_that_are(folder):
    with pytest.raises(InputError, match=r"<lora:fil> is not in .*, which has film, ink v2$"):
        in_prompt("a room <lora:fil:1>", folder)
