import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from minigrid.data.batches import LONG, split_text, whole_text
from minigrid.errors import UserError

LOADER = json.loads((Path(__file__).parent / "data" / "loader.json").read_text())

sizes = {
    "length": st.integers(2, 400),
    "batch": st.integers(1, 6),
    "steps": st.integers(1, 7),
    "split": st.sampled_from(["tail", "stripes"]),
    "val": st.sampled_from([0.0, 0.05, 0.1, 0.3]),
    "test": st.sampled_from([0.0, 0.1, 0.25]),
}


def epoch(part):
    return [part.minibatch(0, index) for index in range(len(part))]


@pytest.mark.parametrize("case", LOADER, ids=[case["name"] for case in LOADER])
def test_stripes_are_the_torch_programs(case):
    ids = np.unique(case["text_bytes"], return_inverse=True)[1]
    splits = split_text(ids, case["batch_size"], case["seq_length"], "stripes", case["val_frac"], case["test_frac"])
    for name, part in splits._asdict().items():
        assert (0 if part is None else len(part)) == case[f"n{name}"]
        for number, expected in enumerate(case[name]):  # continues into the next epoch
            x, y = part.minibatch(number // len(part), number % len(part))
            assert (x.T + 1).tolist() == expected["x"]
            assert (y.T + 1).tolist() == expected["y"]


def test_stripes_of_tinyshakespeares_size():
    splits = split_text(np.zeros(1_115_394, np.uint8), 50, 50, "stripes")
    assert (len(splits.train), len(splits.val), splits.test) == (423, 23, None)


@given(**sizes)
def test_what_comes_out_is_the_text_in_order(length, batch, steps, split, val, test):
    ids = np.arange(length)  # each character's id is its position
    try:
        splits = split_text(ids, batch, steps, split, val, test)
    except UserError:
        assume(False)
    assert (splits.val is None) == (val == 0)
    assert (splits.test is None) == (test == 0)
    cut = length // (batch * steps) * batch * steps
    seen = []
    for part in splits:
        if part is None:
            continue
        assert len(part) >= 1
        minibatches = epoch(part)
        for x, y in minibatches:
            assert x.shape == y.shape == (part.steps, part.batch)
            assert x.dtype == y.dtype == np.int32
            assert x.flags.c_contiguous
            assert y.flags.c_contiguous
            successor = (x + 1) % cut if split == "stripes" else x + 1
            np.testing.assert_array_equal(y, successor)
            np.testing.assert_array_equal(x[1:], y[:-1])
        for (_, y), (x, _) in pairwise(minibatches):
            np.testing.assert_array_equal(x[0], y[-1])
        seen.append(np.concatenate([x.ravel() for x, _ in minibatches]))
    everything = np.concatenate(seen)
    assert len(set(everything.tolist())) == len(everything)  # no character is read twice
    if split == "stripes":
        assert len(everything) == cut


@given(**sizes)
def test_the_parts_of_a_tail_split_share_no_character(length, batch, steps, split, val, test):
    try:
        splits = split_text(np.arange(length), batch, steps, "tail", val, test)
    except UserError:
        assume(False)
    last = -1
    for part in splits:
        if part is not None:
            touched = [array for pair in epoch(part) for array in pair]
            assert min(array.min() for array in touched) > last
            last = max(array.max() for array in touched)
    assert last < length


def test_tail_holds_out_the_end():
    train, val, test = split_text(np.arange(1000), 3, 5, "tail", 0.1, 0.2)
    assert train.minibatch(0, 0)[0][0, 0] == 0
    assert val.minibatch(0, 0)[0][0, 0] == 700
    assert test.minibatch(0, 0)[0][0, 0] == 800
    assert len(train) == 46  # 46 * 15 = 690 targets of 699


def test_every_epoch_and_every_order_gives_the_same_minibatches():
    train = split_text(np.arange(300), 2, 7).train
    there = [train.minibatch(0, index)[0].tolist() for index in range(len(train))]
    back = [train.minibatch(5, index)[0].tolist() for index in reversed(range(len(train)))]
    assert there == back[::-1]
    assert train.carries_state


def test_writing_into_y_leaves_x_alone():
    x, y = split_text(np.arange(300), 2, 7).train.minibatch(0, 0)
    before = x.copy()
    y[:] = -1
    np.testing.assert_array_equal(x, before)


@pytest.mark.parametrize("index", [-1, 20])
def test_no_minibatch_outside_the_epoch(index):
    train = split_text(np.arange(301), 3, 5, val_fraction=0).train
    assert len(train) == 20
    with pytest.raises(IndexError):
        train.minibatch(0, index)


@pytest.mark.parametrize(("held_out", "batch", "steps"), [(51, 5, 10), (50, 4, 10), (11, 1, 10), (8, 1, 7), (2, 1, 1)])
def test_a_short_held_out_part_is_read_in_fewer_streams(held_out, batch, steps):
    val = split_text(np.arange(1000), 5, 10, "tail", held_out / 1000).val
    assert (val.batch, val.steps, len(val)) == (batch, steps, 1)
    assert epoch(val)[0][0][0, 0] == 1000 - held_out


def test_too_short_a_text_says_what_would_fit():
    with pytest.raises(UserError) as problem:
        split_text(np.zeros(855), 50, 50)
    assert str(problem.value) == (
        "the training part has 812 characters, fewer than the 2501 that `batch` 50 and `steps` 50 need; "
        "`batch` 4 and `steps` 50 would fit."
    )
    assert len(split_text(np.zeros(855), 4, 50).train) == 4


@given(st.integers(3, 500), st.sampled_from(["tail", "stripes"]), st.sampled_from([0.0, 0.05, 0.3]))
def test_the_suggestion_fits(length, split, val_fraction):
    ids = np.zeros(length)
    with pytest.raises(UserError) as problem:
        split_text(ids, 50, 50, split, val_fraction)
    if "would fit" in str(problem.value):
        words = str(problem.value).split("; ")[1].split()
        assert split_text(ids, int(words[1]), int(words[4]), split, val_fraction).train
    else:
        assert val_fraction
        assert "validation part needs at least 2 characters" in str(problem.value)


@pytest.mark.parametrize(
    ("length", "split", "val", "test", "message"),
    [
        (1000, "tail", 1.0, 0.0, "`val_fraction` 1 and `test_fraction` 0 leave no training text"),
        (1000, "tail", -0.1, 0.0, "leave no training text"),
        (1000, "tail", float("nan"), 0.0, "leave no training text"),
        (1000, "stripes", 0.5, 0.5, "leave no training text"),
        (100, "tail", 0.01, 0.0, "validation .* at least 2 .* has 1: .* larger `val_fraction`, or set `val_fraction`"),
        (100, "tail", 0.0, 0.01, "test .* at least 2 .* has 1: .* larger `test_fraction`, or set `test_fraction`"),
        (100, "stripes", 0.01, 0.1, "`val_fraction` 0.01 of 10 minibatches is less than one"),
        (1, "tail", 0.0, 0.0, "give a longer text"),
        (1, "stripes", 0.05, 0.0, "give a longer text"),
        (1000, "middle", 0.05, 0.0, "tail or stripes"),
    ],
)
def test_what_cannot_be_split(length, split, val, test, message):
    with pytest.raises(UserError, match=message):
        split_text(np.zeros(length), 2, 5, split, val, test)


@pytest.mark.parametrize(("batch", "steps"), [(0, 5), (5, 0), (-1, 5)])
def test_sizes_are_positive(batch, steps):
    with pytest.raises(UserError, match="at least 1"):
        split_text(np.zeros(100), batch, steps)


@pytest.mark.parametrize("length", [0, 1])
def test_a_whole_text_needs_two_characters(length):
    with pytest.raises(UserError, match="fewer than 2 characters that the model knows: give a longer one"):
        whole_text(np.zeros(length, int), 2, 5)


@given(length=st.integers(2, 12 * LONG), batch=st.integers(1, 9), steps=st.integers(1, 700))
def test_of_a_whole_text_every_character_but_the_first_is_predicted_once(length, batch, steps):
    ids = np.arange(length)
    text = whole_text(ids, batch, steps)
    assert text.batch <= batch
    assert text.batch == 1 or length > text.batch * LONG
    x, y = (np.concatenate([minibatch[k] for minibatch in epoch(text)]) for k in (0, 1))  # (T, B)
    counted = y.T >= 0
    assert y.T[counted].tolist() == list(range(1, length))
    assert x.T[counted].tolist() == list(range(length - 1))
    assert ((x >= 0) & (x < length)).all()
