"""What the experiment on depth gating measures, on a small model and a short text."""

import numpy as np
import pytest

from experiments.depth_gating import run, tables
from experiments.depth_gating.measures import (
    DRAWS,
    STATES,
    along_depth,
    ask,
    best_units,
    clamped_gates,
    judged,
    losses,
    probe_states,
    traced,
)
from experiments.depth_gating.texts import IN_WIKI, WARM_UP, Reading, letters_in_a_row, spans, streams
from experiments.store import rounded
from minigrid import CharModel, trace
from minigrid.data import toywiki
from minigrid.data.vocabulary import Vocabulary

STEPS, STREAMS = 250, 12


def reading(seed, vocabulary):
    text, truth = toywiki.generate(STEPS * STREAMS + 1, seed)
    ids = vocabulary.encode(text)
    x, y, url, letters = (
        symbols[first : first + STEPS * STREAMS].reshape(STREAMS, STEPS).T
        for symbols, first in ((ids, 0), (ids, 1), (truth["in_url"], 0), (letters_in_a_row(text.encode()), 0))
    )
    return Reading(x, y, {"in_url": url}, letters)


@pytest.fixture(scope="module")
def readings():
    vocabulary = Vocabulary.from_text(toywiki.generate(20_000, 0)[0])
    return {part: reading(seed, vocabulary) for part, seed in {"fit": 1, "judge": 2}.items()}


def model_of(kind, readings):
    size = 1 + max(int(part.x.max()) for part in readings.values())
    model = CharModel(kind, vocab_size=size, hidden=12, layers=4, seed=1)
    model.params.flat[...] *= 5  # so that the gates move
    return model


def test_spans_of_urls_and_links():
    text = b"see [http://a.org/b?c=1&amp;d=2 there], {{web|https://x.net}} or [[one|two]]s"
    urls = b"".join(
        bytes([symbol]) if inside else b" " for symbol, inside in zip(text, spans(IN_WIKI["in_url"], text), strict=True)
    )
    assert urls.split() == [b"http://a.org/b?c=1&amp;d=2", b"https://x.net"]
    assert np.flatnonzero(spans(IN_WIKI["in_link"], text)).tolist() == list(range(text.index(b"[["), len(text) - 1))


def test_letters_in_a_row():
    assert letters_in_a_row(b"ab C3dEf\xc3\xa4g").tolist() == [1, 2, 0, 1, 0, 1, 2, 3, 0, 0, 1]


def test_streams_lie_side_by_side():
    ids = np.arange(501)
    made = streams(bytes(501), ids, {"fact": ids % 2 == 0}, steps=10)
    assert made.x.shape == (10, 50)
    assert made.x[:, 3].tolist() == list(range(30, 40))
    assert (made.y == made.x + 1).all()
    assert (made.facts["fact"] == (made.x % 2 == 0)).all()


@pytest.mark.parametrize("kind", ["grid", "lstm"])
def test_states_are_those_of_one_long_trace(kind, readings):
    model = model_of(kind, readings)
    name = STATES[kind][0]
    seen = traced(model, readings["fit"], (name,))[name]
    whole = trace(model, readings["fit"].x)[name][:, WARM_UP:].reshape(4, -1, 12)
    assert np.allclose(seen, whole, atol=1e-5)
    assert seen.shape[1] == judged(readings["fit"].x).size


def test_a_fact_that_is_written_into_a_state_is_found(readings):
    question = ask(**readings, letters=lambda letters: letters >= 3)
    states = []
    for part in (question.fit, question.judge):
        state = np.random.default_rng(0).standard_normal((2, part.size, 3)).astype(np.float32)
        state[1, :, 2] += 8 * part
        states.append({"some.c": state})
    accuracies = probe_states(*states, question)["some.c"]
    assert accuracies[0] < 0.65
    assert accuracies[1] > 0.95
    assert best_units(*states, question)["some.c"]["unit"][1] == 2
    assert question.fit_at.sum() == (judged(readings["fit"].letters) >= 3).sum()


def test_what_is_at_the_top_is_shared_out_among_the_layers(readings):
    model, question = model_of("grid", readings), ask(**readings)
    memory = traced(model, readings["fit"], ("depth.c",))["depth.c"]
    gates = traced(model, readings["judge"], tuple(f"depth.{gate}" for gate in "ifog"))
    measured = along_depth(gates, memory, question)
    for side in ("inside", "outside"):
        assert sum(measured["share"][side]) == pytest.approx(1)
        assert measured["kept"][side][-1] == 1
    assert [len(row) for row in measured["signal"]] == [1, 2, 3, 4]
    assert all(sum(row) == pytest.approx(1) for row in measured["signal"])


def test_the_loss_is_taken_apart_exactly(readings):
    model, part = model_of("lstm", readings), readings["judge"]
    measured = losses(model, part)
    _, state = model.predict(part.x[:WARM_UP], model.initial_state(STREAMS))
    whole, _ = model.loss(part.x[WARM_UP:], part.y[WARM_UP:], state)
    share = judged(part.facts["in_url"]).mean()
    assert share * measured["inside"] + (1 - share) * measured["outside"] == pytest.approx(float(whole), rel=1e-5)


@pytest.mark.long
def test_gates_are_clamped_in_every_way(readings):
    model, question = model_of("grid", readings), ask(**readings)
    fit = traced(model, readings["fit"], (*STATES["grid"], "time.f", "depth.f"))
    rows = clamped_gates(model, fit, question, readings["judge"])
    per_layer = 1 + 1 + DRAWS  # all, named, random
    assert len(rows) == 3 * ((1 + 4 * per_layer) + (1 + 4 * per_layer - (per_layer - 1)))
    before = losses(model, readings["judge"])
    lowest = [row for row in rows if row["gate"] == "depth.f" and row["layers"] == [0]]
    assert [row["value"] for row in lowest] == ["closed", "open", "mean"]
    assert all(row["inside"] == pytest.approx(before["inside"], rel=1e-6) for row in lowest)
    closed = next(row for row in rows if row["gate"] == "time.f" and row["value"] == "closed")
    assert closed["inside"] != pytest.approx(before["inside"], rel=1e-3)


def test_the_text_alone(readings):
    measured = run.measure_text(**readings)
    assert measured["symbols"] == judged(readings["judge"].x).size
    assert measured["facts"]["in_url"]["share"] == judged(readings["judge"].facts["in_url"]).mean()
    assert measured["facts"]["in_url"]["letters"][3] > measured["facts"]["in_url"]["letters"][1] > 0.55


def test_numbers_are_rounded_for_the_file():
    value = {1: np.array([0.123456789]), "list": (1, 2.5, True), "deep": {"x": np.float64(3)}}
    assert rounded(value, 5) == {"1": [0.12346], "list": [1, 2.5, True], "deep": {"x": 3.0}}


def test_the_page_is_made_of_the_committed_metrics():
    models = {kind: [run.read(name) for name in run.measured("toywiki", kind)] for kind in run.MODELS}
    page = tables.page(run.read("toywiki"), models)
    assert page in (run.HERE / "README.md").read_text()


def test_costs_are_means_over_draws():
    entries = [
        {"gate": "g", "layers": [1], "which": "random", "value": "open", "inside": loss, "outside": 0}
        for loss in (2, 4)
    ]
    model = {"loss": {"inside": 1.0, "outside": 0.0}, "clamped": entries}
    assert tables.costs([model], "g", [1], "random", "open", "inside") == [2.0]
    assert tables.costs([model], "g", [1], "named", "open", "inside") == []
