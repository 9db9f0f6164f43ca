import numpy as np
import pytest
from helpers import CELL_OPTIONS, MODELS, arrays_in, assert_close, assert_equal, label, make_model, minibatch, snapshot

from minigrid import CharModel, UserError, trace, trace_text
from minigrid.analysis.trace import kept_between, kept_to_end
from minigrid.data.vocabulary import Vocabulary

EMBEDDINGS = [
    cell | {"layers": 3, "embedding": embedding}
    for cell in CELL_OPTIONS
    for embedding in ((None,) if cell["model"] == "grid" else (None, 0, 3))
]
LSTM_NAMES = ["a_i", "a_f", "a_o", "a_g", "i", "f", "o", "g", "c", "h", "c_prev"]
NAMES = {
    "grid": [f"{kind}.{name}" for kind in ("time", "depth") for name in LSTM_NAMES] + ["time.h_prev"],
    "lstm": [f"lstm.{name}" for name in [*LSTM_NAMES, "h_prev"]],
    "gru": [f"gru.{name}" for name in ("a_z", "a_r", "a_n", "z", "r", "n", "h", "h_prev")],
    "rnn": [f"rnn.{name}" for name in ("a", "h", "h_prev")],
}


def sigmoid(a):
    return 1 / (1 + np.exp(-a))


def traced(options, steps=4):
    model = make_model(**options)
    batch = minibatch(model, steps)
    return model, batch, trace(model, batch.x, batch.state)


def top_kind(model):
    """The LSTM (or cell) whose h the layer above reads."""
    return "depth" if model.cell.prefix == "time" else model.cell.prefix


def inputs(model, x, made):
    """The inputs of each layer, (T, B, N): the embedding, then the h of the layer below."""
    table = model.params.get("embedding.weight", np.eye(model.vocab_size))
    return [table[x], *made[f"{top_kind(model)}.h"][:-1]]


def pre_activations(model, kind, x, h):
    """Pre-activations of every layer of an LSTM, packed [i | f | o | g]: a list of (T, B, 4H)."""
    W_x, W_h = ("W_x", "W_h") if kind == "lstm" else ("W_depth", "W_time")
    return [
        x_l @ w[f"{kind}.{W_x}"] + h_l @ w[f"{kind}.{W_h}"] + w[f"{kind}.bias"]
        for w, x_l, h_l in zip(model.weights_by_layer(), x, h, strict=True)
    ]


def check_lstm(model, made, kind, x, h):
    """Check every equation of an LSTM, for all layers and steps at once."""
    this = {name.removeprefix(f"{kind}."): array for name, array in made.items() if name.startswith(f"{kind}.")}
    packed = np.concatenate([this[f"a_{gate}"] for gate in "ifog"], axis=-1)
    assert_close(packed, np.stack(pre_activations(model, kind, x, h)), 1e-12, f"{kind}.a")
    for gate in "ifo":
        assert_close(this[gate], sigmoid(this[f"a_{gate}"]), 1e-12, gate)
    assert_close(this["g"], np.tanh(this["a_g"]), 1e-12)
    assert_close(this["c"], this["f"] * this["c_prev"] + this["i"] * this["g"], 1e-12)
    paper = model.options.lstm_output == "paper"
    h_expected = np.tanh(this["o"] * this["c"]) if paper else this["o"] * np.tanh(this["c"])
    assert_close(this["h"], h_expected, 1e-12)


def check_recurrence(made, state, kind, names):
    """Check that each update starts from the state after the previous step."""
    for name in names:
        assert_equal({"prev": made[f"{kind}.{name}_prev"][:, 1:]}, {"prev": made[f"{kind}.{name}"][:, :-1]})
        first = np.stack([state[f"{kind}.{layer}.{name}"] for layer in range(len(made[f"{kind}.{name}"]))])
        assert_equal({"first": made[f"{kind}.{name}_prev"][:, 0]}, {"first": first})


@pytest.mark.parametrize("options", EMBEDDINGS, ids=label)
def test_the_equations_hold_between_the_arrays(options):
    model, batch, made = traced(options)
    x, kind = inputs(model, batch.x, made), model.cell.prefix
    check_recurrence(made, batch.state, kind, model.cell.states)
    if kind == "time":
        check_lstm(model, made, "time", x, made["time.h_prev"])
        read = made["time.h" if model.options.priority == "depth" else "time.h_prev"]
        check_lstm(model, made, "depth", x, read)
        assert not made["depth.c_prev"][0].any()
        assert_equal({"c": made["depth.c_prev"][1:]}, {"c": made["depth.c"][:-1]})
    elif kind == "lstm":
        check_lstm(model, made, "lstm", x, made["lstm.h_prev"])
    else:
        {"gru": check_gru, "rnn": check_rnn}[kind](model, made, x)


def check_gru(model, made, x):
    z, r, n, h, h_prev = (made[f"gru.{name}"] for name in ("z", "r", "n", "h", "h_prev"))
    for layer, w in enumerate(model.weights_by_layer()):
        W, U, b = (np.split(w[f"gru.{name}"], 3, axis=-1) for name in ("W_x", "W_h", "bias"))
        read = (h_prev[layer], h_prev[layer], r[layer] * h_prev[layer])
        for k, gate in enumerate("zrn"):
            assert_close(made[f"gru.a_{gate}"][layer], x[layer] @ W[k] + read[k] @ U[k] + b[k], 1e-12, gate)
    assert_close(z, sigmoid(made["gru.a_z"]), 1e-12)
    assert_close(r, sigmoid(made["gru.a_r"]), 1e-12)
    assert_close(n, np.tanh(made["gru.a_n"]), 1e-12)
    assert_close(h, z * n + (1 - z) * h_prev, 1e-12)


def check_rnn(model, made, x):
    for layer, w in enumerate(model.weights_by_layer()):
        a = x[layer] @ w["rnn.W_x"] + made["rnn.h_prev"][layer] @ w["rnn.W_h"] + w["rnn.bias"]
        assert_close(made["rnn.a"][layer], a, 1e-12)
    assert_close(made["rnn.h"], np.tanh(made["rnn.a"]), 1e-12)


@pytest.mark.parametrize("options", EMBEDDINGS, ids=label)
def test_the_top_hidden_state_gives_the_logits_of_the_forward_pass(options):
    model, batch, made = traced(options)
    logits, state, _ = model.forward(batch.x, batch.state)
    from_trace = made[f"{top_kind(model)}.h"][-1] @ model.params["decoder.weight"] + model.params["decoder.bias"]
    assert_close(from_trace, logits, 1e-12)
    assert_equal({"logits": made.logits}, {"logits": logits})
    assert_equal(made.state, state)


@pytest.mark.parametrize("kind", MODELS)
def test_names_and_shapes(kind):
    model, _, made = traced({"model": kind, "layers": 3}, steps=5)
    assert set(made) == set(NAMES[kind])
    assert len(made) == {"grid": 23, "lstm": 12, "gru": 8, "rnn": 3}[kind]  # k in the docstring of trace
    assert {array.shape for array in made.values()} == {(3, 5, 2, model.hidden)}
    assert {array.dtype for array in made.values()} == {model.dtype}


@pytest.mark.parametrize("kind", MODELS)
def test_pieces_that_carry_the_state_equal_the_whole(kind):
    model, batch, made = traced({"model": kind}, steps=6)
    first = trace(model, batch.x[:4], batch.state)
    second = trace(model, batch.x[4:], first.state)
    assert_close({name: np.concatenate([first[name], second[name]], axis=1) for name in made}, dict(made), 1e-12)


@pytest.mark.parametrize("kind", MODELS)
def test_a_trace_changes_nothing_and_is_read_only(kind):
    model = make_model(model=kind)
    batch = minibatch(model)
    before = snapshot([batch.x, batch.state, dict(model.params)])
    made = trace(model, batch.x, batch.state)
    assert_equal(arrays_in([batch.x, batch.state, dict(model.params)]), before)
    for array in (made.logits, *made.values()):
        with pytest.raises(ValueError, match="read-only"):
            array[...] = 0
    with pytest.raises(TypeError):
        made["new"] = made.logits


def test_a_trace_uses_no_dropout():
    model, batch, made = traced({"model": "lstm", "dropout": 0.5})
    assert_equal({"logits": made.logits}, {"logits": model.predict(batch.x, batch.state)[0]})


def test_a_text_is_a_batch_of_one_that_starts_from_zeros():
    text = "hello wiki"
    vocabulary = Vocabulary.from_text(text)
    model = CharModel("grid", vocab_size=len(vocabulary), hidden=4)
    made = trace_text(model, vocabulary, text)
    assert made["depth.f"].shape == (2, len(text), 1, 4)
    assert_equal(made, trace(model, vocabulary.encode(text)[:, None], model.initial_state(1)))


@pytest.mark.parametrize(("text", "words"), [("", "no text"), ("hi\u00e9", "'é' (U+00E9)")])
def test_texts_that_cannot_be_traced(text, words):
    vocabulary = Vocabulary.from_text("hi")
    with pytest.raises(UserError) as error:
        trace_text(CharModel("rnn", vocab_size=2, hidden=3), vocabulary, text)
    assert words in str(error.value)


def test_the_memory_at_the_top_is_the_sum_of_what_each_layer_wrote_times_the_share_kept():
    _, _, made = traced({"model": "grid", "layers": 4})
    written = made["depth.i"] * made["depth.g"]
    kept = kept_to_end(made["depth.f"])
    assert (kept[-1] == 1).all()
    assert_close((written * kept).sum(axis=0), made["depth.c"][-1], 1e-12)


def test_a_cell_along_time_is_the_sum_of_what_was_written_times_the_share_kept():
    model = make_model(model="lstm")
    made = trace(model, minibatch(model, steps=6).x)  # from zeros
    i, f, g, c = (made[f"lstm.{name}"][1, :, 0, 2] for name in ("i", "f", "g", "c"))
    kept = kept_between(f)
    assert_close(kept, np.triu(kept), 0)
    assert kept[1, 4] == pytest.approx(f[2] * f[3] * f[4], rel=1e-12)
    assert_close((i * g) @ kept, c, 1e-12)


def test_a_closed_gate_keeps_nothing_written_before_it():
    f = np.array([0.5, 0.0, 0.5])
    assert_equal({"kept": kept_between(f)}, {"kept": np.array([[1, 0, 0], [0, 1, 0.5], [0, 0, 1]])})
    assert_equal({"kept": kept_to_end(f)}, {"kept": np.array([0, 0.5, 1])})
