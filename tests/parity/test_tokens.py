"""Token ids against transformers' CLIPTokenizer, on a small trained vocabulary in folders of every kind."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unicodedata import category

import numpy as np
import pytest
import tokenizers
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from tokenizers import models, normalizers, pre_tokenizers, trainers
from transformers import CLIPTokenizer, CLIPTokenizerFast

from partway.model import tokens
from partway.model.tokens import load_tokenizer

BEGIN, END = "<|startoftext|>", "<|endoftext|>"

CORPUS = """
A photo of a cozy scandinavian living room, warm light, wooden floor, soft shadows, a sofa and two chairs.
The painter's studio at dawn: it's bright, they're painting, we've seen it, I'm sure she'll like what he'd do.
Ein gemütliches Wohnzimmer, große Fenster, weiße Wände. Un salon chaleureux, éclairé à la bougie, élégant.
Уютная гостиная с тёплым светом. Ένα ζεστό σαλόνι με φως.
リビングルーム 温かい光 木の床. 客厅 暖光. 따뜻한 거실.
masterpiece, best quality, 8k, highly detailed!!! (oil on canvas:1.2), trending on artstation... <lora:room:1>
"""

# fmt: off
FRAGMENTS = [
    "<|startoftext|>", "<|endoftext|>", "<|ENDOFTEXT|>", "<|", "|>", "<|startof", "text|>", "<cat-toy>",
    "<CAT-TOY>", "<new>", "!", "!!", "!!!", "!!!!", "'s", "'S", "'ſ", "'re", "'", "ſ", "K", "İ", "ΑΣ", "ß",
    "é", "e\u0301", "\u0345", "温かい", "客厅", "거실", "𠀀", "豈", "👩\u200d👩\u200d👧", "🏠", "\u200d",
    "\ufe0f", "\x00", "\x1f", "\x85", "\ufffd", "\ud800", "\ue000", " ", "  ", "\t", "\n", "\r\n", "\u00a0",
    "\u2028", "\u3000", "<b>bold</b>", "&amp;", "&lt;", "http://a.b/c?d=1", "1", "½", "²", "Ⅷ", "٣", "1234",
    "...", "living room", "Scandinavian", "light", "_", "-", "(room:1.2)",
]
# fmt: on

TEXTS = st.one_of(
    st.text(max_size=120),
    st.lists(st.one_of(st.sampled_from(FRAGMENTS), st.text(max_size=4)), max_size=60).map("".join),
    st.lists(st.sampled_from(CORPUS.split()), max_size=120).map(" ".join),
)


def spelled(content: str) -> dict[str, Any]:
    return {"content": content, "lstrip": False, "normalized": True, "rstrip": False, "single_word": False}


def write(folder: Path, name: str, record: Any) -> None:
    (folder / name).write_text(json.dumps(record), encoding="utf-8")


def write_vocabulary(folder: Path) -> None:
    """Train byte pairs and write them in CLIP's order: letters, letters at word ends, pairs, specials."""
    trained = tokenizers.Tokenizer(models.BPE(end_of_word_suffix="</w>"))
    trained.normalizer = normalizers.Lowercase()
    trained.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(
        vocab_size=1112, initial_alphabet=letters, end_of_word_suffix="</w>", show_progress=False
    )
    trained.train_from_iterator(CORPUS.replace(" ", "\n").split("\n"), trainer)
    merges = [tuple(pair) for pair in json.loads(trained.to_str())["model"]["merges"]]
    assert len(merges) > 300
    words = [*letters, *(f"{letter}</w>" for letter in letters), *map("".join, merges), BEGIN, END]
    write(folder, "vocab.json", {word: number for number, word in enumerate(dict.fromkeys(words))})
    lines = ["#version: 0.2", *map(" ".join, merges), ""]
    (folder / "merges.txt").write_text("\n".join(lines), encoding="utf-8")


def stable_diffusion_1(folder: Path) -> None:
    """The folder of Stable Diffusion 1.5, as transformers wrote it before 4.34."""
    write_vocabulary(folder)
    config: dict[str, Any] = {"model_max_length": 77, "do_lower_case": True, "pad_token": END}
    config |= {name: {"__type": "AddedToken", **spelled(END)} for name in ("eos_token", "unk_token")}
    config["bos_token"] = {"__type": "AddedToken", **spelled(BEGIN)}
    write(folder, "tokenizer_config.json", config)
    special = {"bos_token": spelled(BEGIN), "eos_token": spelled(END), "unk_token": spelled(END)}
    write(folder, "special_tokens_map.json", special | {"pad_token": END})


def stable_diffusion_2(folder: Path) -> None:
    """The folder of Stable Diffusion 2.1: special_tokens_map.json names another padding than the config."""
    stable_diffusion_1(folder)
    special = json.loads((folder / "special_tokens_map.json").read_text())
    write(folder, "special_tokens_map.json", special | {"pad_token": "!"})


def with_unknown_letters(folder: Path) -> None:
    """A vocabulary that lacks some letters, as one trained on captions alone may."""
    stable_diffusion_1(folder)
    words = json.loads((folder / "vocab.json").read_text())
    merged = {part for line in (folder / "merges.txt").read_text("utf-8").splitlines() for part in line.split()}
    for word in [word for word in words if len(word.removesuffix("</w>")) == 1 and word not in merged][::2]:
        del words[word]
    write(folder, "vocab.json", words)


def with_embeddings(folder: Path) -> None:
    """The folder of Stable Diffusion 2.1 with textual inversions, in the old files."""
    stable_diffusion_2(folder)
    size = len(json.loads((folder / "vocab.json").read_text()))
    write(folder, "added_tokens.json", {"<cat-toy>": size, "!!!": size + 1})
    special = json.loads((folder / "special_tokens_map.json").read_text())
    write(folder, "special_tokens_map.json", special | {"additional_special_tokens": ["<new>"]})


def saved_anew(folder: Path) -> None:
    """Stable Diffusion 2.1 with a textual inversion, saved by the transformers of today."""
    stable_diffusion_2(folder)
    tokenizer = CLIPTokenizer.from_pretrained(folder)
    tokenizer.add_tokens("<cat-toy>")
    tokenizer.save_pretrained(folder)
    assert "added_tokens_decoder" in json.loads((folder / "tokenizer_config.json").read_text())


def saved_fast(folder: Path) -> None:
    """Stable Diffusion 2.1 saved by CLIPTokenizerFast, which adds tokenizer.json."""
    stable_diffusion_2(folder)
    CLIPTokenizerFast.from_pretrained(folder).save_pretrained(folder)
    assert (folder / "tokenizer.json").exists()


def tokenizer_json_without_settings(folder: Path) -> None:
    saved_fast(folder)
    (folder / "tokenizer_config.json").unlink()


FOLDERS = [
    *[stable_diffusion_1, stable_diffusion_2, with_unknown_letters, with_embeddings],
    *[saved_anew, saved_fast, tokenizer_json_without_settings],
]


@pytest.fixture(scope="module", autouse=True)
def _without_ftfy() -> Iterator[None]:
    """Keep the references from mending text with ftfy, should it be installed."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "ftfy", None)
        yield


@pytest.fixture(scope="module", params=FOLDERS, ids=lambda make: make.__name__)
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("tokenizer")
    request.param(made)
    return made


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("plain")
    stable_diffusion_1(made)
    return made


def padded(tokenizer: Any, texts: list[str]) -> NDArray[np.int64]:
    """Tokenize as diffusers' pipelines do."""
    ids: NDArray[np.int64] = tokenizer(
        texts, padding="max_length", max_length=77, truncation=True, return_tensors="np"
    ).input_ids
    return ids


def test_any_text_equals_clip_tokenizer(folder: Path) -> None:
    ours, theirs = load_tokenizer(folder), CLIPTokenizer.from_pretrained(folder)
    assert not theirs.is_fast

    @settings(deadline=None, max_examples=300)
    @given(TEXTS)
    @example("")
    @example(" \n")
    @example("cozy room! " * 500)
    @example("x" * 5000)
    @example("".join(FRAGMENTS))
    @example("".join(reversed(FRAGMENTS)))
    def check(text: str) -> None:
        np.testing.assert_array_equal(ours([text]), padded(theirs, [text]))

    check()


def test_a_batch_equals_clip_tokenizer(folder: Path) -> None:
    texts = [*CORPUS.splitlines(), *FRAGMENTS]
    expected = padded(CLIPTokenizer.from_pretrained(folder), texts)
    np.testing.assert_array_equal(load_tokenizer(folder)(texts), expected)


def test_what_was_cut_is_what_diffusers_warns_of(plain: Path) -> None:
    ours, theirs = load_tokenizer(plain), CLIPTokenizer.from_pretrained(plain)
    for text in (CORPUS, CORPUS * 3, "room", "", "🏠 é" * 100):
        ids = theirs(text).input_ids
        assert ours.truncated(text) == theirs.decode(ids[76:-1])


def test_every_character_is_cleaned_and_split_as_by_clip_tokenizer(plain: Path) -> None:
    theirs = CLIPTokenizer.from_pretrained(plain)
    for code in range(sys.maxunicode + 1):
        char = chr(code)
        kind = category(char)
        if code % 16 and (kind in ("Cn", "Co", "Cs") or (kind == "Lo" and code > 0x3400)):
            continue  # 1.1 million unassigned characters and ideographs: one in 16 will do
        text = f"{char}z{char}1{char}'{char}"
        cleaned = " ".join(theirs.nlp.tokenize(text))
        assert tokens._clean(text) == cleaned, ascii(char)
        assert list(tokens._words(cleaned)) == theirs.pat.findall(cleaned), ascii(char)


def test_the_fast_tokenizer_agrees_on_plain_text(plain: Path) -> None:
    ours, fast = load_tokenizer(plain), CLIPTokenizerFast.from_pretrained(plain)
    assert fast.is_fast

    @settings(deadline=None, max_examples=300)
    @given(st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=200))
    def check(text: str) -> None:
        if "<|" not in text:
            np.testing.assert_array_equal(ours([text]), padded(fast, [text]))

    check()


@pytest.mark.parametrize("text", ["ro\x00om", "暖光", "room!<|ENDOFTEXT|>", "it'ſ"])
def test_where_fast_and_slow_disagree_the_slow_one_is_followed(plain: Path, text: str) -> None:
    slow, fast = CLIPTokenizer.from_pretrained(plain), CLIPTokenizerFast.from_pretrained(plain)
    assert not np.array_equal(padded(slow, [text]), padded(fast, [text]))
    np.testing.assert_array_equal(load_tokenizer(plain)([text]), padded(slow, [text]))
