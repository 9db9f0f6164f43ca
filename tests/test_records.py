import pytest

from minigrid import UserError
from minigrid.runs.records import checked_record

RECORD = {"split": "val", "step": 10, "loss": 2.5, "sample": "abc"}


@pytest.mark.parametrize("changes", [{}, {"step": 0}, {"step": 2**53}, {"loss": 3}, {"loss": -3.4e38}])
def test_records(changes):
    assert checked_record(RECORD | changes) == RECORD | changes


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (3, "3 is not a record"),
        ([], r"\[\] is not a record"),
        ({"split": "val", "step": 1}, "is not a record"),
        ({name: "x" * 100 for name in RECORD if name != "loss"}, r"\.\.\. is not a record"),
        (RECORD | {"step": 1.0}, "the step 1.0 is not a whole number"),
        (RECORD | {"step": True}, "the step True is not"),
        (RECORD | {"step": -1}, "the step -1 is not"),
        (RECORD | {"step": 2**53 + 1}, "is not a whole number"),
        (RECORD | {"loss": "2"}, "the loss '2' is not a finite number"),
        (RECORD | {"loss": None}, "the loss None is not"),
        (RECORD | {"loss": float("nan")}, "the loss nan is not"),
        (RECORD | {"loss": 1e39}, r"the loss 1e\+39 is not"),
        (RECORD | {"loss": 10**400}, "is not a finite number"),
    ],
)
def test_what_is_not_a_record(value, words):
    with pytest.raises(UserError, match=words) as problem:
        checked_record(value)
    assert len(str(problem.value)) < 120
