import dataclasses
import itertools
import math

import numpy as np
import pytest
from run_fixtures import TEXT

from minigrid import CharModel, UserError
from minigrid.data.vocabulary import Vocabulary
from minigrid.errors import NotFiniteError
from minigrid.runs import sampling
from minigrid.runs.sampling import Sampler, generate, generate_ids

LETTERS = Vocabulary.from_text(TEXT)
LOGITS = np.array([0.3, -1.2, 2.0, 1.1, 0.0], np.float32)


def opinionated(kind="grid"):
    """A model whose predictions depend on what it has read."""
    model = CharModel(kind, vocab_size=len(LETTERS), hidden=8, seed=5)
    model.params.flat[...] *= 20
    return model


@pytest.fixture(scope="module")
def model():
    return opinionated()


def written(model, length=30, vocabulary=LETTERS, **options):
    return "".join(generate(model, vocabulary, length, **options))


def choices(sampler, count=4000, logits=LOGITS):
    generator = np.random.default_rng(0)
    return np.array([sampler.choose(logits, generator) for _ in range(count)])


# -- choosing


@pytest.mark.parametrize("temperature", [0.3, 1.0, 2.5])
def test_choices_follow_the_softmax(temperature):
    expected = np.exp(LOGITS.astype(float) / temperature)
    expected *= 4000 / expected.sum()
    seen = np.bincount(choices(Sampler(temperature=temperature)), minlength=5)
    usual = expected >= 5
    chi_square = ((seen - expected) ** 2 / expected)[usual].sum()
    assert chi_square < 18.5  # 1 in 1000 for 4 degrees of freedom
    assert (seen[~usual] <= 15).all()


@pytest.mark.parametrize("top_k", [1, 2, 3, 5, 99])
def test_top_k_leaves_the_k_most_likely(top_k):
    most_likely = np.argsort(-LOGITS)[:top_k]
    seen = choices(Sampler(top_k=top_k))
    assert set(seen) == set(most_likely.tolist())
    share = np.exp(LOGITS[2].astype(float)) / np.exp(LOGITS[most_likely].astype(float)).sum()
    assert (seen == 2).mean() == pytest.approx(share, abs=0.03)


@pytest.mark.filterwarnings("error")  # of NumPy, about an overflow
@pytest.mark.parametrize("temperature", [1e-3, 1e-300, 5e-324])
def test_no_temperature_is_too_low(temperature):
    assert set(choices(Sampler(temperature=temperature), 50)) == {2}


def test_a_high_temperature_makes_all_equally_likely():
    seen = np.bincount(choices(Sampler(temperature=1e300)), minlength=5)
    assert (np.abs(seen - 800) < 120).all()


def test_argmax_needs_no_random_numbers():
    assert Sampler(argmax=True).choose(LOGITS, None) == 2


def test_logits_far_apart_do_not_overflow():
    with np.errstate(all="raise", under="ignore"):
        assert set(choices(Sampler(temperature=0.1), 20, np.array([3e38, -3e38, 0], np.float32))) == {0}


@pytest.mark.parametrize(("drawn", "chosen"), [(0.0, 2), (1 - 2**-53, 3)])
def test_extreme_random_numbers_choose_among_the_k_most_likely_too(drawn, chosen):
    class Chance:
        def random(self):
            return drawn

    assert Sampler(top_k=2).choose(LOGITS, Chance()) == chosen


def test_choosing_leaves_the_logits_unchanged():
    logits = LOGITS.copy()
    choices(Sampler(temperature=0.5, top_k=2), 3, logits)
    assert (logits == LOGITS).all()


# -- writing


def test_a_seed_decides_the_text(model):
    assert written(model, seed=3) == written(model, seed=3)
    assert written(model, seed=[1, 2]) == written(model, seed=[1, 2])
    assert len({written(model, seed=seed) for seed in range(5)}) == 5


def test_argmax_is_the_limit_of_low_temperature_and_of_top_1(model):
    texts = {
        written(model, sampler=sampler, seed=seed)
        for sampler in (Sampler(argmax=True), Sampler(temperature=1e-6), Sampler(top_k=1))
        for seed in (0, 1)
    }
    assert len(texts) == 1


@pytest.mark.parametrize("kind", ["grid", "lstm", "gru", "rnn"])
@pytest.mark.parametrize("prime", ["c", "é 😀 café"])
def test_a_prime_is_read_as_the_model_would_read_it(kind, prime):
    model = opinionated(kind)
    text, sampler, generator = prime, Sampler(temperature=0.8), np.random.default_rng(4)
    for _ in range(12):  # by hand: read the whole text again for every character
        logits, _, _ = model.forward(LETTERS.encode(text)[:, None], model.initial_state(1))
        text += LETTERS.decode([sampler.choose(logits[-1, 0], generator)])
    assert prime + written(model, 12, prime=prime, sampler=sampler, seed=4) == text


def test_without_a_prime_it_starts_as_if_after_a_line_break(model):
    assert written(model) == written(model, prime="\n")


def test_a_vocabulary_without_a_line_break_or_a_space():
    vocabulary = Vocabulary.from_text("abc")
    model = CharModel(vocab_size=3, hidden=4, seed=1)
    texts = {written(model, 8, vocabulary, seed=seed) for seed in range(10)}
    assert set("".join(texts)) <= set("abc")
    assert all(len(text) == 8 for text in texts)


def test_a_vocabulary_of_one_character():
    assert written(CharModel(vocab_size=1, hidden=2), 5, Vocabulary.from_text("a")) == "aaaaa"


@pytest.mark.parametrize("length", [0, 1, 7])
def test_the_length_is_kept(model, length):
    assert len(written(model, length, prime="the ")) == length


def test_characters_appear_as_they_are_made(model, monkeypatch):
    read = []
    predict = model.predict
    monkeypatch.setattr(
        model, "predict", lambda x, *rest, **more: read.append(np.shape(x)) or predict(x, *rest, **more)
    )
    pieces = generate(model, LETTERS, 10**9, prime="cat")
    assert len("".join(itertools.islice(pieces, 3))) == 3
    assert read == [(3, 1), (1, 1), (1, 1)]


def test_the_model_is_unchanged(model):
    before = model.params.flat.copy()
    written(model)
    assert (model.params.flat == before).all()


@pytest.mark.parametrize("count", [1, 2, 3, 100])
def test_it_stops_after_the_first_occurrence_of_a_text(model, count):
    whole = written(model, 300)
    stop = whole[20 : 20 + count]
    assert written(model, 300, stop=stop) == whole[: whole.index(stop) + count]
    assert written(model, 19, stop=stop) == whole[:19][: whole.index(stop) + count if stop in whole[:19] else None]


def test_the_prime_does_not_count_as_written(model):
    text = written(model, 300, prime="cat", stop="cat")
    assert text.find("cat") in (-1, len(text) - 3)
    assert text[0] != "t" or len(text) > 1


def test_a_long_prime_is_read_in_pieces(model, monkeypatch):
    prime = (TEXT * 2)[: 2 * sampling.READ_AT_ONCE + 1]
    assert len(prime) == 2 * sampling.READ_AT_ONCE + 1
    whole = written(model, prime=prime)
    monkeypatch.setattr(sampling, "READ_AT_ONCE", 10**6)
    assert written(model, prime=prime) == whole


def test_ids_are_what_the_text_is_made_of(model):
    ids = list(generate_ids(model, LETTERS, 30, prime=LETTERS.encode("cat"), seed=2))
    assert LETTERS.decode(ids) == written(model, 30, prime="cat", seed=2)


def test_a_length_that_no_model_will_write(model):
    assert len(list(itertools.islice(generate_ids(model, LETTERS, 10**12), 3))) == 3
    with pytest.raises(UserError, match=r"^`length` must be at most 1,000,000,000,000, not 1000000000001$"):
        generate_ids(model, LETTERS, 10**12 + 1)


# -- bytes


def test_bytes_come_out_as_whole_characters():
    text = "é😀ü"
    vocabulary = Vocabulary.from_text(text, "bytes")
    model = CharModel(vocab_size=len(vocabulary), hidden=8, seed=1)
    wanted = iter(vocabulary.encode(text))

    class Next(Sampler):
        def choose(self, logits, generator):
            return int(next(wanted))

    pieces = list(generate(model, vocabulary, 8, prime="é", sampler=Next()))
    assert pieces == ["", "é", "", "", "", "😀", "", "ü"]


def test_random_bytes_still_give_text():
    vocabulary = Vocabulary("bytes", tuple(range(256)))
    text = written(CharModel(vocab_size=256, hidden=4), 200, vocabulary, prime="ß")
    assert "�" in text
    text.encode("utf-8")


# -- mistakes


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"temperature": 0}, "`temperature` must be greater than 0, not 0.0: use a small one such as 0.1, or `argmax`"),
        ({"temperature": -1.0}, "`temperature` must be greater than 0, not -1.0: use a small one"),
        ({"temperature": math.nan}, "`temperature` must be a finite number, not nan"),
        ({"temperature": math.inf}, "`temperature` must be a finite number, not inf"),
        ({"temperature": "hot"}, "`temperature` must be a number, not 'hot'"),
        ({"top_k": 0}, "`top_k` must be at least 1, not 0"),
        ({"top_k": -3}, "`top_k` must be at least 1, not -3"),
        ({"top_k": 1.5}, "`top_k` must be a whole number, not 1.5"),
        ({"argmax": 1}, "`argmax` must be true or false, not 1"),
    ],
)
def test_samplers_that_cannot_be_made(options, words):
    with pytest.raises(UserError, match=f"^{words}"):
        Sampler(**options)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"length": -1}, "`length` must be at least 0, not -1"),
        ({"seed": -1}, "`seed` must be at least 0, not -1"),
        ({"seed": [3, -1]}, r"`seed` must be at least 0, not \[3, -1\]"),
        ({"prime": "the Q & %"}, r"3 characters .*'Q' \(U\+0051\), '&' \(U\+0026\), '%' \(U\+0025\)"),
        ({"stop": ""}, "`stop` is empty: give the text to stop after"),
        ({"stop": "Q"}, r"a character .*'Q' \(U\+0051\)"),
        ({"prime": "\udce9"}, r"a character .*U\+DCE9"),
    ],
)
def test_texts_that_cannot_be_written(model, options, words):
    with pytest.raises(UserError, match=words):  # at once, not with the first character
        generate(model, LETTERS, **{"length": 5, **options})


def test_a_sampler_is_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        Sampler().temperature = 2.0


@pytest.mark.parametrize("sampler", [Sampler(), Sampler(argmax=True), Sampler(top_k=2)])
@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_logits_that_are_not_finite(sampler, bad):
    with pytest.raises(NotFiniteError, match=r"numbers that are not finite.*use another checkpoint"):
        sampler.choose(np.array([0, bad, 1], np.float32), np.random.default_rng(0))
