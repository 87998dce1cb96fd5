"""Token ids worked out by hand from a small vocabulary in CLIP's format."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tokenizers
from tokenizers import models, pre_tokenizers

from partway.errors import PackageError
from partway.model.tokens import load_tokenizer

MERGES = [("c", "a"), ("ca", "t</w>"), ("d", "o"), ("do", "g</w>")]
LETTERS = sorted(pre_tokenizers.ByteLevel.alphabet())  # "!" comes first, as in CLIP
WORDS = [*LETTERS, *(f"{letter}</w>" for letter in LETTERS), *map("".join, MERGES)]
WORDS += ["<|startoftext|>", "<|endoftext|>"]
ID = {word: number for number, word in enumerate(WORDS)}
BEGIN, END = ID["<|startoftext|>"], ID["<|endoftext|>"]
CAT, DOG = ID["cat</w>"], ID["dog</w>"]


def write(folder: Path, name: str, record: Any) -> None:
    (folder / name).write_text(json.dumps(record), encoding="utf-8")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write(tmp_path, "vocab.json", ID)
    lines = ["#version: 0.2", *map(" ".join, MERGES), ""]
    (tmp_path / "merges.txt").write_text("\n".join(lines), encoding="utf-8")
    write(tmp_path, "tokenizer_config.json", {"model_max_length": 77, "tokenizer_class": "CLIPTokenizer"})
    return tmp_path


def ids(folder: Path, text: str) -> list[int]:
    """Return the ids between begin and the first end."""
    begin, *row = map(int, load_tokenizer(folder)([text])[0])
    assert begin == BEGIN
    return row[: row.index(END)]


def test_a_row_is_begin_text_end_and_padding(folder: Path) -> None:
    rows = load_tokenizer(folder)(["a Cat", ""])
    assert rows.shape == (2, 77)
    assert rows.dtype == np.int64
    assert rows[0].tolist() == [BEGIN, ID["a</w>"], CAT, *[END] * 74]
    assert rows[1].tolist() == [BEGIN, *[END] * 76]
    assert load_tokenizer(folder)([]).shape == (0, 77)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("cat dog", [CAT, DOG]),
        (" \t cat\r\n\n dog　", [CAT, DOG]),
        ("catdog", [ID["ca"], ID["t"], DOG]),
        ("CAT's", [CAT, ID["'"], ID["s</w>"]]),
        ("cat12", [CAT, ID["1</w>"], ID["2</w>"]]),
        ("cat?!dog", [CAT, ID["?"], ID["!</w>"], DOG]),
        ("c\x00a\x1f\u200dt\ufffd", [CAT]),
        ("é", [ID["Ã"], ID["©</w>"]]),
        ("e\u0301", [ID["Ã"], ID["©</w>"]]),
        ("cat\u4e2ddog", [CAT, ID["ä"], ID["¸"], ID["Ń</w>"], DOG]),
        ("<cat>", [ID["<</w>"], CAT, ID["></w>"]]),
        ("cat<|startoftext|>dog", [CAT, BEGIN, DOG]),
        ("cat <|STARTOFTEXT|> dog", [CAT, BEGIN, DOG]),
        ("\ud800cat", [CAT]),
    ],
)
def test_ids_of_a_text(folder: Path, text: str, expected: list[int]) -> None:
    assert ids(folder, text) == expected


def test_a_long_text_is_cut_and_the_rest_is_named(folder: Path) -> None:
    tokenizer = load_tokenizer(folder)
    text = " ".join(["cat"] * 74 + ["dog", "Café!", "cat"])
    assert tokenizer([text])[0].tolist() == [BEGIN, *[CAT] * 74, DOG, END]
    assert tokenizer.truncated(text) == "café ! cat"
    assert tokenizer.truncated(" ".join(["cat"] * 75)) == ""
    assert tokenizer.truncated("") == ""
    assert tokenizer(["cat " * 100_000])[0].tolist() == [BEGIN, *[CAT] * 75, END]


def test_stable_diffusion_2_pads_with_an_exclamation_mark(folder: Path) -> None:
    write(folder, "tokenizer_config.json", {"model_max_length": 77, "pad_token": "<|endoftext|>"})
    write(folder, "special_tokens_map.json", {"pad_token": "!", "eos_token": {"content": "<|endoftext|>"}})
    rows = load_tokenizer(folder)(["cat! dog?!"])
    # An added token is found in any place, so a "!" of the prompt is 0 too and never ends a word.
    assert rows[0].tolist() == [BEGIN, CAT, 0, DOG, ID["?</w>"], 0, END, *[0] * 70]


def test_added_tokens_in_the_settings_win_over_older_files(folder: Path) -> None:
    stored = {str(END): {"content": "<|endoftext|>"}, "900": {"content": "<cat-toy>"}}
    write(folder, "tokenizer_config.json", {"added_tokens_decoder": stored})
    write(folder, "special_tokens_map.json", {"pad_token": "!"})
    write(folder, "added_tokens.json", {"dog": 901})
    assert load_tokenizer(folder)(["dog <cat-toy>dog"])[0, :6].tolist() == [BEGIN, DOG, 900, DOG, END, END]


def test_added_tokens_of_older_files(folder: Path) -> None:
    write(folder, "added_tokens.json", {"<cat-toy>": 900})
    write(folder, "special_tokens_map.json", {"additional_special_tokens": ["<new>"]})
    expected = [CAT, 900, len(WORDS) + 1, DOG]
    assert ids(folder, "cat<cat-toy><new>dog") == expected


@pytest.mark.parametrize(("stated", "length"), [(20, 20), (int(1e30), 77), (None, 77)])
def test_the_length_is_the_folders_own(folder: Path, stated: int | None, length: int) -> None:
    write(folder, "tokenizer_config.json", {"model_max_length": stated})
    assert load_tokenizer(folder)(["cat " * 100]).tolist() == [[BEGIN, *[CAT] * (length - 2), END]]


def test_tokenizer_json_alone_will_do(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    alone = tmp_path_factory.mktemp("alone")
    pairs = models.BPE(ID, MERGES, unk_token="<|endoftext|>", end_of_word_suffix="</w>")
    tokenizers.Tokenizer(pairs).save(str(alone / "tokenizer.json"))
    texts = ["a Cat's dog!", "é\u4e2d<|endoftext|>"]
    assert (load_tokenizer(alone)(texts) == load_tokenizer(folder)(texts)).all()


@pytest.mark.parametrize("name", ["vocab.json", "merges.txt"])
def test_a_missing_file_is_named_with_a_remedy(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(PackageError, match=r"lacks .*vocab\.json and merges\.txt; fetch"):
        load_tokenizer(folder)


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(PackageError, match="nowhere lacks"):
        load_tokenizer(tmp_path / "nowhere")


@pytest.mark.parametrize("name", ["vocab.json", "merges.txt", "tokenizer.json"])
@pytest.mark.parametrize("content", [b"{", b"#version: 0.2\nx y z\n", b"[1, 2]", b"\xff\xfe"])
def test_a_broken_vocabulary_is_refused(folder: Path, name: str, content: bytes) -> None:
    (folder / name).write_bytes(content)
    with pytest.raises(PackageError, match=r"is broken .*; fetch its files again") as caught:
        load_tokenizer(folder)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["tokenizer_config.json", "special_tokens_map.json", "added_tokens.json"])
@pytest.mark.parametrize("content", [b"{", b"[1, 2]", b"\xff\xfe", rb'{"pad_token": "\ud800"}'])
def test_broken_settings_are_refused(folder: Path, name: str, content: bytes) -> None:
    (folder / name).write_bytes(content)
    with pytest.raises(PackageError, match=rf"{name} .*; fetch it again"):
        load_tokenizer(folder)


def test_a_special_token_without_text_is_refused(folder: Path) -> None:
    write(folder, "tokenizer_config.json", {"pad_token": {"id": 3}})
    with pytest.raises(PackageError, match="has no text; fetch"):
        load_tokenizer(folder)


def test_the_tokenizer_of_another_kind_of_model_is_refused(tmp_path: Path) -> None:
    tokenizers.Tokenizer(models.WordLevel({"a": 0}, unk_token="a")).save(str(tmp_path / "tokenizer.json"))
    with pytest.raises(PackageError, match="is not CLIP's"):
        load_tokenizer(tmp_path)


def test_the_module_loads_without_the_tokenizers_library() -> None:
    code = "import sys, partway.model.tokens; sys.exit('tokenizers' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
