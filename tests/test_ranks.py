"""What ranks do together. They are threads, see thread_ranks.py."""

import json
import platform
import threading
import time
from functools import partial

import numpy as np
import pytest
from thread_ranks import DesertedError, on_ranks

from minigrid import UserError
from minigrid.backend.ranks import ALONE, Ranks, Requests, is_agreed

COUNTS = (2, 3, 5)
every_count = pytest.mark.parametrize("count", COUNTS)

METHODS = ("first", "each", "first_then_others")
every_method = pytest.mark.parametrize("method", METHODS)


# -- doing what may fail


@every_count
def test_what_the_first_rank_does_is_done_once_and_known_to_all(count):
    done = []

    def compute(ranks):
        return ranks.first(lambda a, b: done.append(ranks.number) or {"sum": a + b}, 2, 3)

    assert on_ranks(count, compute) == [{"sum": 5}] * count
    assert done == [0]


@every_count
@pytest.mark.parametrize("method", ["each", "first_then_others"])
def test_what_each_rank_does_is_known_to_itself(count, method):
    def compute(ranks):
        return getattr(ranks, method)(lambda a, b: (a * ranks.number + b, threading.Lock()), 10, 1)[0]

    assert on_ranks(count, compute) == [10 * number + 1 for number in range(count)]


@every_count
def test_the_others_begin_when_the_first_has_finished(count):
    events = []
    others = threading.Barrier(count - 1, timeout=10)

    def work(number):
        events.append(f"{number} begins")
        if number == 0:
            time.sleep(0.02)
        else:
            others.wait()  # all of them work at the same time
        events.append(f"{number} ends")

    on_ranks(count, lambda ranks: ranks.first_then_others(work, ranks.number))
    assert events[:2] == ["0 begins", "0 ends"]
    assert len(events) == 2 * count


@every_method
def test_alone_they_only_call(method):
    def fail():
        raise UserError("no such text")

    assert getattr(ALONE, method)(lambda a, b: a - b, 5, 2) == 3
    with pytest.raises(UserError, match=r"^no such text$") as caught:
        getattr(ALONE, method)(fail)
    assert not is_agreed(caught.value)
    assert not hasattr(caught.value, "__notes__")


# -- errors


def errors(count, method, fail):
    """Let every rank call ``fail(number)``; return what each raises, and which of them called it."""
    called = []

    def call(number):
        called.append(number)
        fail(number)

    def of_rank(ranks):
        raised = None
        try:
            getattr(ranks, method)(call, ranks.number)
        except Exception as error:
            raised = error
        assert not isinstance(raised, DesertedError)
        assert ranks.any(ranks.number == 0)  # they still understand each other
        return raised

    return on_ranks(count, of_rank), sorted(called)


def fail_on(failing, make):
    def fail(number):
        if number == failing:
            raise make()

    return fail


@every_count
@pytest.mark.parametrize(("method", "callers"), [("first", [0]), ("each", None), ("first_then_others", [0])])
def test_a_users_mistake_on_the_first_rank_is_told_in_its_words(count, method, callers):
    found, called = errors(count, method, fail_on(0, lambda: UserError("`data` is empty: choose another text")))
    assert called == (list(range(count)) if callers is None else callers)
    for error in found:
        assert type(error) is UserError
        assert str(error) == "`data` is empty: choose another text"
        assert is_agreed(error)


@every_count
@pytest.mark.parametrize("method", ["each", "first_then_others"])
def test_a_users_mistake_on_another_rank_is_told_with_its_machine(count, method, monkeypatch):
    monkeypatch.setattr(platform, "node", lambda: "node7")
    found, _ = errors(count, method, fail_on(count - 1, lambda: UserError("cannot read a.txt: no such file")))
    for error in found:
        assert type(error) is UserError
        assert str(error) == f"on node7 (process {count - 1}): cannot read a.txt: no such file"
        assert is_agreed(error)


def test_a_mistake_that_all_ranks_make_is_told_once_without_a_machine():
    def fail(number):
        raise UserError("`hidden` must be at least 1, not 0")

    found, _ = errors(3, "each", fail)
    assert {str(error) for error in found} == {"`hidden` must be at least 1, not 0"}


@pytest.mark.parametrize(("method", "failing"), [("first", 0), ("each", 0), ("each", 2), ("first_then_others", 1)])
def test_an_unexpected_error_brings_its_traceback_along(method, failing):
    def stumble():
        return 1 / 0

    found, _ = errors(3, method, fail_on(failing, stumble))
    for error in found:
        assert type(error) is ZeroDivisionError
        assert str(error) == "division by zero"
        assert is_agreed(error)
        (note,) = error.__notes__
        assert "in stumble\n" in note
        assert note.endswith("ZeroDivisionError: division by zero\n")


class TwoPartsError(Exception):
    """Cannot be unpickled: pickle knows only the message."""

    def __init__(self, what, why):
        super().__init__(f"{what}: {why}")


@pytest.mark.parametrize(("method", "failing"), [("first", 0), ("each", 1), ("first_then_others", 2)])
def test_an_error_that_cannot_be_sent_is_told_all_the_same(method, failing):
    found, _ = errors(3, method, fail_on(failing, lambda: TwoPartsError("the disk", "full")))
    for error in found:
        assert str(error) == "TwoPartsError: the disk: full"
        assert is_agreed(error)
        assert any("in fail\n" in note for note in error.__notes__)


@pytest.mark.parametrize(("method", "failing"), [("first", 0), ("each", 1), ("first_then_others", 2)])
def test_an_error_that_chooses_what_is_pickled_is_agreed_too(method, failing):
    found, _ = errors(3, method, fail_on(failing, lambda: json.JSONDecodeError("no comma", "[1 2]", 3)))
    for error in found:
        assert type(error) is json.JSONDecodeError
        assert error.pos == 3
        assert is_agreed(error)


def test_an_error_keeps_what_it_knows():
    found, _ = errors(2, "each", fail_on(1, lambda: FileNotFoundError(2, "No such file or directory", "a.txt")))
    for error in found:
        assert (type(error), error.errno, error.filename) == (FileNotFoundError, 2, "a.txt")


def test_an_error_of_one_rank_alone_is_not_agreed():
    def fail(ranks):
        if ranks.number == 1:
            raise UserError("the disk is full")
        ranks.each(int)

    with pytest.raises(UserError, match=r"^the disk is full$") as caught:  # not that of the rank that waited
        on_ranks(3, fail)
    assert not is_agreed(caught.value)


# -- agreeing


@every_count
def test_any(count):
    for raised in [set(), {0}, {count - 1}, set(range(count))]:
        assert on_ranks(count, lambda ranks, raised=raised: ranks.any(ranks.number in raised)) == [bool(raised)] * count
    assert ALONE.any(True) is True
    assert ALONE.any(False) is False


@pytest.mark.parametrize("dtype", [float, "int32", bool])
def test_rows(dtype):
    found = on_ranks(3, lambda ranks: ranks.rows(np.array([ranks.number, 1], dtype)))
    for rows in found:
        assert np.array_equal(rows, np.array([[0, 1], [1, 1], [2, 1]], dtype))
        assert rows.dtype == dtype


def test_a_sum_is_computed_in_the_order_of_the_ranks_on_all_of_them():
    own = [np.array([1e16, 0.1]), np.array([-1e16, 0.2]), np.array([1.0, 0.3]), np.array([1e-3, -0.6])]
    expected = ((own[0] + own[1]) + own[2]) + own[3]
    assert not np.array_equal(expected, own[3] + own[2] + own[1] + own[0])
    for found in on_ranks(4, lambda ranks: ranks.sum(own[ranks.number])):
        assert np.array_equal(found, expected)
    assert ALONE.sum(own[0]) is own[0]


@pytest.mark.parametrize("batch", [1, 2, 5, 7, 50])
@pytest.mark.parametrize("count", [1, *COUNTS])
def test_ranks_share_the_columns_of_a_batch(batch, count):
    columns = on_ranks(count, lambda ranks: ranks.columns(batch))
    assert np.concatenate([np.arange(batch)[own] for own in columns]).tolist() == list(range(batch))
    widths = [own.stop - own.start for own in columns]
    assert max(widths) - min(widths) <= 1


def test_more_ranks_than_columns_are_refused():
    def refused(ranks):
        ranks.require_columns(3)
        with pytest.raises(UserError) as caught:
            ranks.require_columns(2)
        return str(caught.value)

    message = (
        "`batch` 2 is too small for 3 processes, which share its sequences: start at most 2, or use a larger `batch`"
    )
    assert on_ranks(3, refused) == [message] * 3
    ALONE.require_columns(1)


def test_alone_a_process_does_what_it_asks_for_now():
    ranks = Ranks()
    assert ranks.requested() == Requests(stop=False, save=False)
    ranks.requests = lambda: Requests(save=True)
    assert ranks.requested() == Requests(save=True)


def test_among_others_a_process_does_what_was_asked_for_in_the_last_step():
    def requested(ranks):
        ranks.requests = lambda: Requests(stop=True, save=True)
        before = ranks.requested()  # nothing has been heard yet
        ranks.hear(np.array([[0.0, 0.0], [0.0, 1.0]]))
        save = ranks.requested()
        ranks.hear(np.array([[1.0, 0.0], [0.0, 0.0]]))
        return before, save, ranks.requested()

    expected = Requests(), Requests(save=True), Requests(stop=True)
    assert on_ranks(2, requested) == [expected] * 2


@pytest.mark.parametrize(
    ("machines", "expected"),
    [
        ("aaa", [("012", 0), ("012", 1), ("012", 2)]),
        ("aabb", [("01", 0), ("01", 1), ("23", 0), ("23", 1)]),
        ("abab", [("02", 0), ("13", 0), ("02", 1), ("13", 1)]),
        ("abc", [("0", 0), ("1", 0), ("2", 0)]),
    ],
)
def test_neighbours_are_the_ranks_on_the_same_machine(machines, expected, monkeypatch):
    here = threading.local()
    monkeypatch.setattr(platform, "node", lambda: here.name)

    def neighbours(ranks):
        here.name = machines[ranks.number]
        return ranks.neighbours(str(ranks.number))

    found = on_ranks(len(machines), neighbours)
    assert [("".join(values), place) for values, place in found] == expected
    assert ALONE.neighbours("value") == (["value"], 0)


def test_what_must_be_the_same_on_all_ranks():
    same = {"`lr`": 0.1, "the text": "a"}
    ALONE.require_same(same)
    on_ranks(3, lambda ranks: ranks.require_same(same))
    for odd, name in (({"the text": "b"}, "the text"), ({"`lr`": 0.2, "the text": "b"}, "`lr`"), ({"more": 1}, "more")):
        errors = on_ranks(3, partial(error_of_differing, same=same, odd=odd))
        assert all(str(error).startswith(f"{name} is not the same in process 2 as in process 0: ") for error in errors)
        assert all(map(is_agreed, errors))


def error_of_differing(ranks, same, odd):
    with pytest.raises(UserError) as caught:
        ranks.require_same(same | odd if ranks.number == 2 else same)
    return caught.value
