"""Work that is done ahead: order, how far ahead, errors, leaving."""

import threading
import time

import pytest

from partway.support.ahead import ahead, lending


def test_results_come_in_the_order_of_items():
    assert list(ahead(lambda n: time.sleep(0.002 * (9 - n)) or n, range(10), threads=3)) == list(range(10))


def test_without_an_order_whatever_is_ready_comes_first():
    gate = threading.Event()

    def work(number: int) -> int:
        if number == 0:
            assert gate.wait(5)
        return number

    found = ahead(work, range(6), threads=2, ordered=False)
    early = [next(found) for _ in range(3)]
    gate.set()
    assert 0 not in early
    assert sorted([*early, *found]) == list(range(6))


def test_no_more_items_are_taken_than_are_in_hand():
    taken: list[int] = []
    items = (taken.append(n) or n for n in range(100))
    found = ahead(lambda n: n, items, threads=2)
    next(found)
    assert len(taken) == 4
    found.close()
    assert len(taken) == 4


def test_an_error_comes_in_the_place_of_its_result():
    found = ahead(lambda n: 1 / n, [1, 0, 2])
    assert next(found) == 1
    with pytest.raises(ZeroDivisionError):
        next(found)


def test_a_tool_is_lent_to_one_at_a_time():
    held: list[str] = []

    def work(tool: str, number: int) -> str:
        assert tool not in held
        held.append(tool)
        time.sleep(0.001)
        held.remove(tool)
        return tool

    assert set(lending(["hammer", "saw"], work, range(40))) == {"hammer", "saw"}
