"""Where each tool cuts a long prompt: counts worked out with the tools' own code and CLIP's vocabulary."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from partway.model.vocabulary import clip_tokenizer
from partway.prompts import comfyui
from partway.prompts.pieces import Vector
from partway.prompts.syntaxes import SYNTAXES, marked

TOKENIZER = clip_tokenizer()


def words(count):
    return " ".join(["cat"] * count)


def chunks(syntax, text, **vectors):
    reading = SYNTAXES[syntax].read(text, TOKENIZER.vocabulary(vectors))
    return [chunk for segment in reading.segments for chunk in segment.terms[0].chunks]


def sizes(syntax, text, **vectors):
    return [len(chunk) for chunk in chunks(syntax, text, **vectors)]


@pytest.mark.parametrize(
    ("text", "a1111", "comfyui"),
    [
        ("", [0], [0]),
        (words(75), [75], [75]),
        (words(76), [75, 1], [75, 1]),
        (f"{words(60)} , {words(20)}", [61, 20], [75, 6]),
        (f"{words(54)} , {words(25)}", [75, 5], [75, 5]),
        (f"{words(55)} , {words(25)}", [56, 25], [75, 6]),
        (f"{words(75)} , {words(5)}", [75, 6], [75, 6]),
        ("a BREAK b", [1, 1], None),
        ("a BREAK", [1], None),
        ("BREAK", [0], None),
        ("BREAK BREAK a", [0, 0, 1], None),
        (f"{words(73)} (cat cat cat:1.2)", [75, 1], [73, 3]),
        (words(200), [75, 75, 50], [75, 75, 50]),
    ],
)
def test_how_many_tokens_each_chunk_has(text, a1111, comfyui):
    assert sizes("a1111", text) == a1111
    assert comfyui is None or sizes("comfyui", text) == comfyui


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        (f"{words(30)}. {words(60)}", [31, 60]),
        (f"{words(30)}. {words(10)}, {words(60)}", [31, 71]),
        (f"{words(60)}, {words(30)}", [61, 30]),
        (words(80), [75, 5]),
        (words(75), [75]),
    ],
)
def test_compel_cuts_behind_sentences_then_phrases_then_words(text, wanted):
    assert sizes("compel", text) == wanted


def test_plain_text_is_one_chunk_of_its_beginning():
    assert chunks("plain", words(90)) == chunks("a1111", words(75))
    assert [token.weight for token in chunks("plain", "(cat:1.5)")[0]] == [1.0] * 7


def test_a_piece_is_tokenised_by_itself():
    ids = [token.item for token in chunks("a1111", "un(believ:1.2)able")[0]]
    assert (
        ids == [*TOKENIZER.ids("un"), *TOKENIZER.ids("believ"), *TOKENIZER.ids("able")] != TOKENIZER.ids("unbelievable")
    )


def test_embeddings_stand_where_their_names_do():
    vectors = [Vector("old paint", 0), Vector("old paint", 1)]
    for syntax, text in (("plain", "a old paint cat"), ("a1111", "a Old  PAINT cat"), ("compel", "a old paint cat")):
        (chunk,) = chunks(syntax, text, **{"old paint": 2})
        assert [token.item for token in chunk] == [*TOKENIZER.ids("a"), *vectors, *TOKENIZER.ids("cat")]
    (chunk,) = chunks("comfyui", "a (embedding:film/Paint.pt:1.2) cat, embedding:paint, b", paint=1)
    assert [token.weight for token in chunk if token.item == Vector("paint", 0)] == [1.2, 1.0]
    assert [token.item for token in chunk][-2:] == [*TOKENIZER.ids(","), *TOKENIZER.ids("b")]
    assert comfyui.unread("a embedding:none b", ["paint"]) == ("embedding:none",)


def test_longer_names_come_first():
    (chunk,) = chunks("a1111", "paint drop", **{"paint": 1, "paint drop": 2})
    assert [token.item for token in chunk] == [Vector("paint drop", 0), Vector("paint drop", 1)]


def test_where_an_embedding_does_not_fit():
    assert sizes("a1111", f"{words(74)} paint", paint=4) == [74, 4]
    assert sizes("a1111", f"{words(10)} paint", paint=75) == [10, 75]
    assert sizes("comfyui", f"{words(74)} embedding:paint", paint=4) == [74, 4]
    assert sizes("comfyui", f"{words(70)} embedding:paint", paint=8) == [75, 3]


def test_what_counts_less_is_left_out_of_another_term_by_compel():
    reading = SYNTAXES["compel"].read("a (b)0.5 (c)1.5", TOKENIZER.vocabulary({}))
    (segment,) = reading.segments
    whole, without = segment.terms
    assert (whole.share, without.share) == pytest.approx((0.5, 0.5))
    assert [token.weight for token in whole.chunks[0]] == [1, 0.5, 1.5]
    assert [token.weight for token in without.chunks[0]] == [1, 1.5]


@pytest.mark.parametrize(("text", "wanted"), [("a cat", False), ("(a)", True), ("a BREAK b", True), ("a [b]", True)])
def test_what_has_a_meaning_somewhere(text, wanted):
    assert marked(text) == wanted


@pytest.mark.parametrize("syntax", SYNTAXES)
@given(
    st.lists(st.sampled_from(["cat", " ", ",", ".", "(", ")", ":1.2)", "BREAK", "embedding:paint", "\n"]), max_size=90)
)
def test_no_chunk_is_too_long(syntax, parts):
    text = "".join(parts)
    assert all(size <= 75 for size in sizes(syntax, text, paint=20))
