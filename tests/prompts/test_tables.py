"""What each tool makes of a prompt: tables worked out with the tools themselves."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from partway.prompts import a1111, comfyui, compel, editing
from partway.prompts.pieces import MOST

HOUSE = "a (((house:1.3)) [on] a (hill:0.5), sun, (((sky)))."
UP = {2: 1.21, 3: 1.331, 4: 1.4641}

A1111 = {
    "(word)": [("word", 1.1)],
    "((word))": [("word", 1.21)],
    "[word]": [("word", 0.909091)],
    "[[word]]": [("word", 0.826446)],
    "(word:1.3)": [("word", 1.3)],
    "(word: 1.3 )": [("word", 1.3)],
    "(word:1.3": [("word:1.3", 1.1)],
    "((word:1.3))": [("word", 1.43)],
    "((word):1.3)": [("word", 1.43)],
    "(a (b:1.5) c:2)": [("a ", 2), ("b", 3), (" c", 2)],
    "(a [b] c:0.5)": [("a ", 0.5), ("b", 0.454545), (" c", 0.5)],
    "[a:1.5]": [("a:1.5", 0.909091)],
    "a:1.3": [("a:1.3", 1)],
    "a: 1.3 ) b": [("a: 1.3 ) b", 1)],
    "(a:b:1.2)": [("a:b", 1.2)],
    "(a:-1)": [("a", -1)],
    "(a:0)": [("a", 0)],
    "(a:.5)": [("a", 0.5)],
    "(a:1.3.2)": [("a:1.3.2", 1.1)],  # an error there
    "(a:1e1)": [("a:1e1", 1.1)],
    r"\(literal\)": [("(literal)", 1)],
    r"(\(x\):1.2)": [("(x)", 1.2)],
    r"\\(a)": [("\\", 1), ("a", 1.1)],
    "(unbalanced": [("unbalanced", 1.1)],
    "unbalanced)": [("unbalanced)", 1)],
    "a) (b": [("a) ", 1), ("b", 1.1)],
    "(a)(b)": [("ab", 1.1)],
    "()": [("", 1)],
    "(:1.2)": [("", 1)],
    "aBREAK b": [("aBREAK b", 1)],
    "{a:1.2}": [("{a:1.2}", 1)],
    HOUSE: [
        ("a ", 1), ("house", 1.573), (" ", 1.1), ("on", 1), (" a ", 1.1), ("hill", 0.55), (", sun, ", 1.1),
        ("sky", 1.4641), (".", 1.1),
    ],
}  # fmt: skip


@pytest.mark.parametrize("text", A1111)
def test_a1111s_weights(text):
    (found,) = a1111.groups(text)
    assert [(piece.text, pytest.approx(piece.weight, abs=1e-6)) for piece in found] == A1111[text]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("a BREAK b", [[("a", 1)], [("b", 1)]]),
        ("(a BREAK b:1.3)", [[("a", 1.3)], [("b", 1.3)]]),  # there the word BREAK, weighing -1.3
        ("BREAKx", [[("BREAKx", 1)]]),
    ],
)
def test_a_break_begins_a_group(text, wanted):
    assert [[tuple(piece) for piece in group] for group in a1111.groups(text)] == wanted


COMFYUI = {
    "(word)": [("word", 1.1)],
    "((word))": [("word", 1.21)],
    "[word]": [("[word]", 1)],
    "(word:1.3)": [("word", 1.3)],
    "(word: 1.3 )": [("word", 1.3)],
    "(word:1.3": [("(word:1.3", 1)],
    "((word:1.3))": [("word", 1.3)],
    "((word):1.3)": [("word", 1.43)],
    "(a (b:1.5) c:2)": [("a ", 2), ("b", 1.5), (" c", 2)],
    "(a [b] c:0.5)": [("a [b] c", 0.5)],
    "[a:1.5]": [("[a:1.5]", 1)],
    "a:1.3": [("a:1.3", 1)],
    "(a:b:1.2)": [("a:b", 1.2)],
    "(a:-1)": [("a", -1)],
    "(a:0)": [("a", 0)],
    "(a:.5)": [("a", 0.5)],
    "(a:1.3.2)": [("a:1.3.2", 1.1)],
    "(a:1e1)": [("a", 10)],
    "(a:inf)": [("a:inf", 1.1)],  # infinity there
    r"\(literal\)": [("(literal)", 1)],
    r"(\(x\):1.2)": [("(x)", 1.2)],
    r"\\(a)": [(r"\(a)", 1)],
    "(unbalanced": [("(unbalanced", 1)],
    "unbalanced)": [("unbalanced)", 1)],
    "a) (b": [("a) (b", 1)],
    "(a)(b)": [("a", 1.1), ("b", 1.1)],
    "()": [],
    "(:1.2)": [(":1.2", 1.1)],
    "(a BREAK b:1.3)": [("a BREAK b", 1.3)],
    "a BREAK b": [("a BREAK b", 1)],
    "{a:1.2}": [("{a:1.2}", 1)],
    "": [],
}


@pytest.mark.parametrize("text", COMFYUI)
def test_comfyuis_weights(text):
    assert [(piece.text, pytest.approx(piece.weight)) for piece in comfyui.pieces(text)] == COMFYUI[text]


def test_what_does_not_add_up_is_text_for_comfyui():
    assert {piece.weight for piece in comfyui.pieces(HOUSE)} == {1}
    assert "".join(piece.text for piece in comfyui.pieces(HOUSE)) == HOUSE


SCHEDULES = {
    "[b:3]": [(3, ""), (10, "b")],
    "[a:b:0.5]": [(5, "a"), (10, "b")],
    "[a::5]": [(5, "a"), (10, "")],
    "[a:b:1]": [(1, "a"), (10, "b")],
    "[a:b:1.0]": [(10, "a")],
    "[a:b:0]": [(10, "b")],
    "[a:b:-1]": [(10, "b")],
    "[a:b:12]": [(10, "a")],
    "[a:b: 0.5 ]": [(5, "a"), (10, "b")],
    "[[a:b:3]:c:6]": [(3, "a"), (6, "b"), (10, "c")],
    "[a:b]": [(10, "[a:b]")],
    "[a:b:c:0.5]": [(10, "[a:b:c:0.5]")],
    r"\[a:b:3\]": [(10, r"\[a:b:3\]")],
    "x [a:(b:1.2):0.5] y": [(5, "x a y"), (10, "x (b:1.2) y")],
    "[a:b:1e999]": [(10, "[a:b:1e999]")],
    "(a [b:c:5]": [(5, "(a b"), (10, "(a c")],
    "[a (b:c:5]": [(10, "[a (b:c:5]")],
    "]a[": [(10, "]a[")],
}


@pytest.mark.parametrize("text", SCHEDULES)
def test_what_changes_from_step_to_step(text):
    found = editing.at_steps(text, 10)
    runs = [(step, now) for step, now in enumerate(found, 1) if step == 10 or found[step] != now]
    assert runs == SCHEDULES[text]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [("[a|b]", "abab"), ("[a|b|c]x", ["ax", "bx", "cx", "ax"]), ("[a|]x", ["ax", "x", "ax", "x"])],
)
def test_taking_turns(text, wanted):
    assert list(editing.at_steps(text, 4)) == list(wanted)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("a cat :1.2 AND a dog:-0.5", [("a cat", 1.2), (" a dog", -0.5)]),
        ("(a:1.5) AND b", [("(a:1.5)", 1), (" b", 1)]),
        ("a:1.5", [("a", 1.5)]),
        ("BAND AND", [("BAND", 1), ("", 1)]),
    ],
)
def test_prompts_that_are_joined(text, wanted):
    assert [tuple(one) for one in editing.joined(text)] == wanted


COMPEL = {
    "word+": [("word", 1.1)],
    "word++": [("word", 1.21)],
    "word-": [("word", 0.9)],
    "word--": [("word", 0.81)],
    "(big cat)1.3": [("big cat", 1.3)],
    "(big cat)+": [("big cat", 1.1)],
    "(big (cat)1.5)0.8": [("big", 0.8), ("cat", 1.2)],
    "(cat:1.3)": [("cat:1 . 3", 1)],
    'a "cat".swap("dog")': [("a cat", 1)],
    "(unbalanced": [("(unbalanced", 1)],
    "[cat]": [("[cat]", 1)],
    "well-known": [("well-known", 1)],
    "c++": [("c", 1.21)],
    "a,b": [("a, b", 1)],
    "a, (b c)1.2 d": [("a,", 1), ("b c", 1.2), ("d", 1)],
    '"quoted text"+ x': [("quoted text", 1.1), ("x", 1)],
    "x (y)1.2.": [("x", 1), ("y", 1.2), (".", 1)],
    "(a, b. c)1.5": [("a , b . c", 1.5)],
    r"a\(b\) c": [("a(b) c", 1)],
    "()": [("", 1)],
    "a (b) + c": [("a b + c", 1)],
    "a (b)-0.5": [("a", 1), ("b", 0.9), ("0.5", 1)],
    "(1.5)2": [("1 . 5", 2)],
    "mountain (man)0.5, river+": [("mountain", 1), ("man", 0.5), (",", 1), ("river", 1.1)],
    'x ("a","b").and()': [("x a , b .and()", 1)],
    "(a b)1.": [("a b", 1)],
    "(a b).5": [("a b", 0.5)],
    "word+word": [("word+word", 1)],
    "++": [("++", 1)],
    "- a -b": [("- a -b", 1)],
    "(a)+(b)": [("a", 1.1), ("b", 1)],
    '""': [("", 1)],
    '"a': [('"a', 1)],
    "(it's)1.2": [("it's", 1.2)],
    "(a -b)1.1": [("a -b", 1.1)],
    "(cat).attend(1.2)": [("cat", 1.2)],
    "cat.attend(++)": [("cat", 1.21)],
    "(a+ b)+": [("a", 1.21), ("b", 1.1)],
    '(a b, "c").and(1,2)': [("a b , c .and(1, 2)", 1)],
    "(((deep)1.1)1.1)1.1": [("deep", 1.331)],
    "(a)) b": [("a ) b", 1)],
    "((a) b+": [("((a)", 1), ("b", 1.1)],
    "(a b)1.5e0": [("a b", 1.5), ("e0", 1)],
    "(a=b)1.2": [("(a=b)1.2", 1)],
    "(x)+,y": [("x", 1.1), (", y", 1)],
    '(very ("nested q")1.2)+': [("very", 1.1), ("nested q", 1.32)],
    "": [("", 1)],
}


@pytest.mark.parametrize("text", COMPEL)
def test_compels_weights(text):
    (blend,) = compel.conjunction(text).blends
    (found,) = blend.texts
    assert [(piece.text, pytest.approx(piece.weight)) for piece in found] == COMPEL[text]


@pytest.mark.parametrize(
    ("text", "texts", "weights", "normal"),
    [
        ('("a", "b").blend(0.3, 0.7)', ["a", "b"], (0.3, 0.7), True),
        ('("a","b").blend(1,1,no_normalize)', ["a", "b"], (1, 1), False),
        ('("a, b", "c d").blend(0.5, 0.5)', ["a , b", "c d"], (0.5, 0.5), True),
    ],
)
def test_compels_blends(text, texts, weights, normal):
    (blend,) = compel.conjunction(text).blends
    assert [pieces[0].text for pieces in blend.texts] == texts
    assert (blend.weights, blend.normal) == (weights, normal)


def test_compels_conjunctions():
    found = compel.conjunction('("a", "b").and(1, 0.5)')
    assert [blend.texts[0][0].text for blend in found.blends] == ["a", "b"]
    assert found.weights == (1, 0.5)
    assert compel.conjunction('a "cat".swap("dog") withLora(film)').unread == ('.swap("dog")', "withLora(film)")


@pytest.mark.parametrize("text", ['("a","b").blend(1)', '("a","b").blend(1,-1)', '("a","b").blend(x,y)'])
def test_numbers_that_do_not_go_with_the_texts_leave_them_text(text):
    (blend,) = compel.conjunction(text).blends
    assert len(blend.texts) == 1


SYNTAX = st.sampled_from([*"ab ()[]:|,.\"'\\+-0159e\n", "BREAK", "AND", ".blend(", "(a:1.3)"])


@given(st.lists(SYNTAX, max_size=40).map("".join) | st.text())
def test_any_text_is_a_prompt(text):
    weights = [piece.weight for group in a1111.groups(text) for piece in group]
    weights += [piece.weight for piece in comfyui.pieces(text)]
    meant = compel.conjunction(text)
    weights += [piece.weight for blend in meant.blends for one in blend.texts for piece in one]
    weights += [joined.weight for joined in editing.joined(text)]
    assert all(abs(weight) <= MOST for weight in weights)
    assert len(editing.at_steps(text, 3)) == 3
    assert meant.blends and all(blend.texts and all(blend.texts) for blend in meant.blends)


@pytest.mark.parametrize("mark", ["(", "[", ")", '("', "(a ", "[a|", "[a:", "(((a:9)", "a+", "\\"])
def test_very_many_marks_are_read_too(mark):
    text = mark * 3000
    a1111.groups(text), comfyui.pieces(text), compel.conjunction(text)
    assert len(editing.at_steps(text, 2)) == 2
