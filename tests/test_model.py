from dataclasses import asdict
from types import ModuleType

import numpy as np
import pytest
from helpers import (
    CELL_OPTIONS,
    CONFIGURATIONS,
    MODELS,
    Options,
    arrays_in,
    assert_close,
    assert_equal,
    label,
    make_model,
    minibatch,
    snapshot,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from naive import NaiveModel

import minigrid.nn.model
from minigrid import CharModel, UserError

V, H, L = 5, 4, 2

every_configuration = pytest.mark.parametrize("options", CONFIGURATIONS, ids=label)
every_cell = pytest.mark.parametrize("options", CELL_OPTIONS, ids=label)
every_model = pytest.mark.parametrize("model", MODELS)


# -- what it computes


@every_configuration
@pytest.mark.parametrize("sizes", [{}, {"layers": 1}, {"layers": 3, "hidden": 2}], ids=str)
def test_the_naive_twin(options, sizes):
    model = make_model(**options, **sizes)
    case = minibatch(model)
    twin = NaiveModel(asdict(model.options), {name: p.tolist() for name, p in model.params.items()})
    logits, states = twin.run(
        case.x.tolist(),
        {name: s.tolist() for name, s in case.state.items()},
        {name: mask.tolist() for name, mask in (case.masks or {}).items()},
    )
    our_logits, our_state, _ = model.forward(case.x, case.state, case.masks)
    assert_close(our_logits, logits, 1e-12)
    assert_close(our_state, {name: s[-1] for name, s in states.items()}, 1e-12)

    state = case.state
    for t in range(len(case.x)):
        masks = None if case.masks is None else {name: mask[t : t + 1] for name, mask in case.masks.items()}
        _, state, _ = model.forward(case.x[t : t + 1], state, masks)
        assert_close(state, {name: s[t] for name, s in states.items()}, 1e-12)


@every_configuration
@pytest.mark.parametrize("cut", [1, 3])
def test_two_chunks_are_one_sequence(options, cut):
    """Forward with the state carried on; backward with the second chunk's dstate0 as the dstate of the first."""
    model = make_model(**options)
    case = minibatch(model, steps=5)

    def masks(part):
        return None if case.masks is None else {name: mask[part] for name, mask in case.masks.items()}

    first, second = slice(None, cut), slice(cut, None)
    logits, state, cache = model.forward(case.x, case.state, case.masks)
    grads, dstate0 = model.backward(cache, case.dlogits, case.dstate)

    logits_1, between, cache_1 = model.forward(case.x[first], case.state, masks(first))
    logits_2, last, cache_2 = model.forward(case.x[second], between, masks(second))
    assert_close(np.concatenate([logits_1, logits_2]), logits, 1e-12)
    assert_close(last, state, 1e-12)

    grads_2, dbetween = model.backward(cache_2, case.dlogits[second], case.dstate)
    grads_1, dfirst = model.backward(cache_1, case.dlogits[first], dbetween)
    assert_close(grads_1.flat + grads_2.flat, grads.flat, 1e-12)
    assert_close(dfirst, dstate0, 1e-12)


@every_cell
def test_losses_of_two_chunks_average_to_the_whole(options):
    model = make_model(**options)
    case = minibatch(model, steps=6)
    y = np.abs(case.y)  # all counted
    whole, last = model.loss(case.x, y, case.state)
    first, state = model.loss(case.x[:2], y[:2], case.state)
    second, state = model.loss(case.x[2:], y[2:], state)
    assert float(whole) == pytest.approx((2 * float(first) + 4 * float(second)) / 6, rel=1e-12)
    assert_close(state, last, 1e-12)


@every_configuration
def test_loss_is_the_mean_over_the_counted_targets(options):
    model = make_model(**options)
    case = minibatch(model)
    loss, _, state = model.loss_and_grads(case.x, case.y, case.state, case.masks or {})
    logits, state_of_forward, _ = model.forward(case.x, case.state, case.masks)
    log_p = logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))
    counted = [-log_p[place][y] for place, y in np.ndenumerate(case.y) if y >= 0]
    assert 0 < len(counted) < case.y.size
    assert np.shape(loss) == ()
    assert float(loss) == pytest.approx(np.mean(counted), rel=1e-13)
    assert_equal(state, state_of_forward)


@every_configuration
def test_loss_and_predict_agree_with_the_rest(options):
    """`loss` is loss_and_grads' loss without dropout, `predict` is forward's logits."""
    model = make_model(**options)
    case = minibatch(model)
    expected, _, state = model.loss_and_grads(case.x, case.y, case.state, {})
    loss, state_of_loss = model.loss(case.x, case.y, case.state)
    assert np.shape(loss) == ()
    assert float(loss) == float(expected)
    assert_equal(state_of_loss, state)
    logits, state_of_predict = model.predict(case.x, case.state)
    assert np.array_equal(logits, model.forward(case.x, case.state)[0])
    assert_equal(state_of_predict, state)


@every_model
def test_targets_that_do_not_count_change_nothing(model):
    made = make_model(model=model)
    case = minibatch(made)
    y = np.full_like(case.y, -1)
    loss, grads, _ = made.loss_and_grads(case.x, y, case.state)
    assert float(loss) == 0
    assert not grads.flat.any()


@every_model
def test_the_gradient_of_a_batch_is_the_mean_of_its_elements(model):
    made = make_model(model=model)
    case = minibatch(made, batch=3)
    y = np.abs(case.y)
    whole = made.loss_and_grads(case.x, y, case.state)[1].flat
    parts = [
        made.loss_and_grads(case.x[:, [b]], y[:, [b]], {name: s[[b]] for name, s in case.state.items()})[1].flat
        for b in range(3)
    ]
    assert_close(whole, np.mean(parts, axis=0), 1e-12)


@every_configuration
def test_a_missing_dstate_is_zero(options):
    model = make_model(**options)
    case = minibatch(model)
    _, _, cache = model.forward(case.x, case.state, case.masks)

    def backward(dstate):
        return snapshot(list(model.backward(cache, case.dlogits, dstate)))

    zeros = {name: np.zeros_like(d) for name, d in case.dstate.items()}
    assert_equal(backward(None), backward(zeros))
    assert_equal(backward({}), backward(zeros))
    name = model.state_names()[-1]
    assert_equal(backward({name: case.dstate[name]}), backward(zeros | {name: case.dstate[name]}))
    assert not np.array_equal(
        model.backward(cache, case.dlogits, case.dstate)[0].flat, model.backward(cache, case.dlogits)[0].flat
    )


@pytest.mark.parametrize("name", ["layer.1", "top"])
@every_model
def test_a_missing_mask_is_no_mask(model, name):
    made = make_model(model=model, dropout=0.4)
    case = minibatch(made)
    ones = {key: np.ones_like(mask) for key, mask in case.masks.items()}
    expected = made.loss_and_grads(case.x, case.y, case.state, ones | {name: case.masks[name]})
    loss, grads, state = made.loss_and_grads(case.x, case.y, case.state, {name: case.masks[name]})
    assert_equal({"loss": loss, **grads, **state}, {"loss": expected[0], **expected[1], **expected[2]})
    assert float(loss) != float(made.loss(case.x, case.y, case.state)[0])


@every_model
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_all_numbers_are_of_one_type(model, dtype):
    made = CharModel(model, vocab_size=V, hidden=H, dtype=dtype, dropout=0.4)
    case = minibatch(made)
    results = [made.forward(case.x, case.state, case.masks), made.loss(case.x, case.y, case.state)]
    results += [
        made.loss_and_grads(case.x, case.y, case.state),
        made.backward(results[0][2], case.dlogits, case.dstate),
    ]
    results += [made.predict(case.x, case.state), made.initial_state(3), made.params.flat, made.draw_masks(2, 3, 0)]
    floats = {a.dtype for a in arrays_in(results).values() if a.dtype.kind == "f"}
    assert floats == {np.dtype(dtype)}
    for loss in (made.loss(case.x, case.y, case.state)[0], made.loss_and_grads(case.x, case.y, case.state)[0]):
        assert isinstance(loss, np.ndarray)
        assert (loss.shape, loss.dtype) == ((), dtype)


@every_cell
def test_float32_is_float64_rounded(options):
    exact = make_model(**options)
    rough = make_model(**options, dtype="float32")
    assert np.array_equal(rough.params.flat, exact.params.flat.astype("float32"))
    case = minibatch(exact, steps=10, batch=3)
    state = {name: s.astype("float32") for name, s in case.state.items()}
    loss, grads, last = rough.loss_and_grads(case.x, case.y, state)
    expected, expected_grads, expected_last = exact.loss_and_grads(case.x, case.y, case.state)
    assert_close(loss, expected, 1e-6)
    assert_close(grads, expected_grads, 1e-5)
    assert_close(last, expected_last, 1e-5)


@pytest.mark.parametrize("dtype", ["uint8", "int8", "int32", "int64", "uint64"])
def test_characters_may_be_any_kind_of_integer(dtype):
    model = make_model()
    case = minibatch(model)
    loss, _ = model.loss(case.x.astype(dtype), np.abs(case.y).astype(dtype), case.state)
    assert float(loss) == float(model.loss(case.x, np.abs(case.y), case.state)[0])


@given(st.integers(1, 4), st.integers(1, 3), st.integers(0, 1000))
@settings(max_examples=20)
def test_the_future_does_not_reach_back(steps, batch, seed):
    model = make_model()
    case = minibatch(model, steps + 1, batch, seed)
    x = case.x.copy()
    x[-1] = (x[-1] + 1) % V
    assert np.array_equal(model.predict(x, case.state)[0][:-1], model.predict(case.x, case.state)[0][:-1])


# -- nothing is changed, nothing is shared


@every_configuration
def test_nothing_that_was_given_is_changed(options):
    model = make_model(**options)
    case = minibatch(model)
    given = {"case": case, "params": model.params.flat}
    before = snapshot(given)
    _, _, cache = model.forward(case.x, case.state, case.masks)
    kept = snapshot(cache)
    model.backward(cache, case.dlogits, case.dstate)
    model.loss_and_grads(case.x, case.y, case.state, case.masks)
    model.loss_and_grads(case.x, case.y, case.state)
    model.loss(case.x, case.y, case.state)
    model.predict(case.x, case.state)
    assert_equal(snapshot(given), before)
    assert_equal(snapshot(cache), kept)


@every_configuration
def test_a_second_backward_pass_gives_the_same(options):
    model = make_model(**options)
    case = minibatch(model)
    _, _, cache = model.forward(case.x, case.state, case.masks)
    first = model.backward(cache, case.dlogits, case.dstate)
    kept = snapshot(list(first))
    second = model.backward(cache, case.dlogits, case.dstate)
    assert_equal(snapshot(list(second)), kept)
    assert_equal(snapshot(list(first)), kept)


@every_configuration
def test_results_are_fresh_arrays(options):
    """No result shares memory with what was given, with the parameters or with another call's result."""
    model = make_model(**options)
    case = minibatch(model)

    def results():
        logits, state, cache = model.forward(case.x, case.state, case.masks)
        grads, dstate0 = model.backward(cache, case.dlogits, case.dstate)
        loss, grads_2, state_2 = model.loss_and_grads(case.x, case.y, case.state, case.masks)
        loss_2, state_3 = model.loss(case.x, case.y, case.state)
        return arrays_in([logits, state, grads.flat, dstate0, loss, grads_2.flat, state_2, loss_2, state_3])

    first, second = results(), results()
    for name, array in first.items():
        for other in [*arrays_in(case).values(), model.params.flat, *second.values()]:
            assert not np.shares_memory(array, other), name


@every_configuration
def test_arrays_that_are_used_again_make_no_difference(options):
    model = make_model(**options)
    workspace = model.workspace(reuse=True)

    def results(case, workspace):
        logits, state, cache = model.forward(case.x, case.state, case.masks, workspace=workspace)
        grads, dstate0 = model.backward(cache, case.dlogits, case.dstate, workspace=workspace)
        loss, _ = model.loss(case.x, case.y, case.state, workspace=workspace)
        return snapshot({"logits": logits, "state": state, "grads": grads, "dstate0": dstate0, "loss": loss})

    for seed, steps, batch in [(0, 3, 2), (1, 3, 2), (2, 4, 1), (3, 3, 2)]:
        case = minibatch(model, steps, batch, seed)
        assert_equal(results(case, workspace), results(case, None))


@every_cell
def test_a_state_may_be_changed_after_it_was_used(options):
    """What happens to the given and to the returned state does not reach the cache."""
    model = make_model(**options)
    case = minibatch(model)
    _, state, cache = model.forward(case.x, case.state)
    expected = snapshot(list(model.backward(cache, case.dlogits, case.dstate)))
    for s in [*state.values(), *case.state.values()]:
        s[...] = np.nan
    assert_equal(snapshot(list(model.backward(cache, case.dlogits, case.dstate))), expected)


# -- names, shapes and counts


def expected_shapes(options: Options, V: int, H: int, L: int) -> dict[str, tuple[int, ...]]:
    """Every parameter's name and shape, written out."""
    model, N = options["model"], options.get("embedding", H)
    N = H if N is None else N
    shapes = {"decoder.weight": (H, V), "decoder.bias": (V,)}
    if N:
        shapes["embedding.weight"] = (V, N)
    gates = {"grid": 4, "lstm": 4, "gru": 3, "rnn": 1}[model]
    shared = {"depth": ["depth"], "layers": ["depth", "time"], "none": []}[options.get("tie", "none")]
    for layer in range(L):
        for kind in ("time", "depth") if model == "grid" else (model,):
            name = kind if kind in shared else f"{kind}.{layer}"
            below, along = ("W_depth", "W_time") if model == "grid" else ("W_x", "W_h")
            shapes[f"{name}.{below}"] = (H if layer else N or V, gates * H)
            shapes[f"{name}.{along}"] = (H, gates * H)
            shapes[f"{name}.bias"] = (gates * H,)
    return shapes


@every_configuration
@pytest.mark.parametrize("layers", [1, 3])
def test_names_and_shapes_of_parameters_and_states(options, layers):
    model = CharModel(**options, vocab_size=V, hidden=H, layers=layers)
    expected = expected_shapes(options, V, H, layers)
    assert {name: p.shape for name, p in model.params.items()} == expected
    assert model.params.flat.size == sum(int(np.prod(shape)) for shape in expected.values())

    kind, names = {"grid": ("time", "hc"), "lstm": ("lstm", "hc")}.get(options["model"], (options["model"], "h"))
    expected_states = [f"{kind}.{layer}.{name}" for layer in range(layers) for name in names]
    assert model.state_names() == expected_states
    state = model.initial_state(batch=3)
    assert {name: s.shape for name, s in state.items()} == dict.fromkeys(expected_states, (3, H))
    assert not any(s.any() for s in state.values())


@every_configuration
def test_gradients_and_states_have_the_same_names_and_shapes(options):
    model = make_model(**options)
    case = minibatch(model)
    logits, state, cache = model.forward(case.x, case.state)
    grads, dstate0 = model.backward(cache, case.dlogits)
    assert logits.shape == (*case.x.shape, V)
    assert list(grads) == list(model.params)
    assert {name: g.shape for name, g in grads.items()} == {name: p.shape for name, p in model.params.items()}
    for states in (state, dstate0):
        assert {name: s.shape for name, s in states.items()} == {name: s.shape for name, s in case.state.items()}


def test_parameters_and_gradients_are_views_into_flat_vectors():
    model = make_model()
    case = minibatch(model)
    _, grads, _ = model.loss_and_grads(case.x, case.y, case.state)
    for vector in (model.params, grads):
        vector.flat[...] = np.arange(vector.flat.size)
        assert vector["embedding.weight"][0, 1] == 1
        vector["decoder.bias"][-1] = -7
        assert (vector.flat == -7).sum() == 1


class StopHereError(Exception):
    """The shapes are known; nothing needs to be drawn."""


def count(monkeypatch, **options) -> int:
    """Count a model's parameters, without having it draw them."""
    found = {}

    def note(shapes, seed):
        found.update(shapes)
        raise StopHereError

    with monkeypatch.context() as patch:
        patch.setattr(minigrid.nn.model, "initial_values", note)
        with pytest.raises(StopHereError):
            CharModel(**options)
    return sum(int(np.prod(shape)) for shape in found.values())


@pytest.mark.parametrize(("tie", "lstms"), [("layers", 2), ("depth", 7), ("none", 12)])
def test_parameters_of_six_grid_layers_of_a_thousand_units(monkeypatch, tie, lstms):
    """V (2 H + 1) + K (8 H^2 + 4 H): embedding and decoder, and K LSTMs of two (H, 4 H) matrices and a bias each.

    K is 2 where all layers share both LSTMs, L + 1 where they share the one along depth, 2 L where they share none.
    """
    V, H = 205, 1000
    expected = V * (2 * H + 1) + lstms * (8 * H**2 + 4 * H)
    assert count(monkeypatch, model="grid", tie=tie, vocab_size=V, hidden=H, layers=6) == expected
    if tie == "layers":
        assert expected == 16_418_205


@pytest.mark.parametrize(("model", "gates"), [("lstm", 4), ("gru", 3), ("rnn", 1)])
@pytest.mark.parametrize("embedding", [None, 0, 64])
def test_parameters_of_six_stacked_layers_of_a_thousand_units(monkeypatch, model, gates, embedding):
    """V N + (H + 1) V + G H (M + (L - 1) H + L H + L): embedding, decoder, and G gates per layer.

    Layer 1 reads M = N numbers, or M = V where there is no embedding (N = 0); every higher one reads H.
    """
    V, H, L, N = 205, 1000, 6, 1000 if embedding is None else embedding
    expected = V * N + (H + 1) * V + gates * H * ((N or V) + (L - 1) * H + L * H + L)
    assert count(monkeypatch, model=model, embedding=embedding, vocab_size=V, hidden=H, layers=L) == expected


def test_counting_without_drawing_counts_right(monkeypatch):
    for options in CONFIGURATIONS:
        sizes = {"vocab_size": V, "hidden": H, "layers": 3}
        assert count(monkeypatch, **options, **sizes) == CharModel(**options, **sizes).params.flat.size


# -- initialisation


@every_cell
def test_the_seed_decides_the_parameters(options):
    first, again, other = (CharModel(**options, vocab_size=V, hidden=H, seed=seed) for seed in (3, 3, 4))
    assert np.array_equal(first.params.flat, again.params.flat)
    assert not np.array_equal(first.params.flat, other.params.flat)


@every_cell
def test_forget_gates_begin_open_and_the_rest_is_small(options):
    model = CharModel(**options, vocab_size=V, hidden=32, layers=3, dtype="float64")
    for name, p in model.params.items():
        if name.endswith(".bias") and name.split(".")[0] in ("lstm", "time", "depth"):
            p = p.reshape(4, 32).copy()
            assert p[1].min() >= 0.92
            assert p[1].max() < 1.08
            p[1] -= 1
        assert np.abs(p).max() <= 0.08
        assert np.abs(p).max() > 0.04


@every_cell
def test_float32_parameters_are_float64_ones_rounded(options):
    rough, exact = (CharModel(**options, vocab_size=V, hidden=H, dtype=dtype) for dtype in ("float32", "float64"))
    assert rough.params.flat.dtype == np.float32
    assert np.array_equal(rough.params.flat, exact.params.flat.astype(np.float32))


@every_configuration
def test_the_options_build_the_same_model_again(options):
    model = CharModel(**options, vocab_size=V, hidden=H, seed=5)
    again = CharModel.from_options(model.options)
    assert again.options == model.options
    assert_equal(dict(again.params), dict(model.params))


def test_defaults():
    options = CharModel(vocab_size=V).options
    assert asdict(options) == {
        "model": "grid",
        "vocab_size": V,
        "hidden": 128,
        "layers": 2,
        "tie": "depth",
        "priority": "depth",
        "lstm_output": "standard",
        "dropout": 0.0,
        "embedding": 128,
        "dtype": "float32",
        "backend": "numpy",
        "seed": 0,
    }


# -- dropout


def test_masks_are_where_dropout_acts():
    model = CharModel(vocab_size=V, hidden=H, layers=3, dropout=0.25)
    masks = model.draw_masks(6, 2, draw=0)
    assert {name: mask.shape for name, mask in masks.items()} == dict.fromkeys(["layer.1", "layer.2", "top"], (6, 2, H))
    assert set(CharModel(vocab_size=V, hidden=H, layers=1, dropout=0.25).draw_masks(6, 2, 0)) == {"top"}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("p", [0.1, 0.25, 0.5, 0.9])
def test_rate_and_scale_of_the_masks(p, dtype):
    masks = CharModel(vocab_size=V, hidden=100, dropout=p, dtype=dtype).draw_masks(50, 20, draw=1)
    for mask in masks.values():
        kept = mask != 0
        assert np.array_equal(np.unique(mask), [0, mask.dtype.type(1 / (1 - p))])
        deviation = np.sqrt(p * (1 - p) / mask.size)
        assert abs(kept.mean() - (1 - p)) < 5 * deviation
        assert abs(mask.mean(dtype="float64") - 1) < 5 * deviation / (1 - p)  # what is expected is preserved
        assert np.abs(kept.mean(axis=(0, 1)) - (1 - p)).max() < 6 * np.sqrt(p * (1 - p) / 1000)
    assert not np.array_equal(masks["layer.1"], masks["top"])


def test_seed_and_draw_decide_the_masks():
    def masks(seed, draw, dtype="float64"):
        return CharModel(vocab_size=V, hidden=H, dropout=0.5, seed=seed, dtype=dtype).draw_masks(4, 3, draw)

    assert_equal(masks(7, 100), masks(7, 100))
    assert_equal({name: m.astype("float32") for name, m in masks(7, 100).items()}, masks(7, 100, "float32"))
    for other in (masks(7, 101), masks(8, 100), masks(100, 7)):
        assert all(not np.array_equal(masks(7, 100)[name], other[name]) for name in other)


@every_model
def test_loss_and_grads_draws_fresh_masks_each_time_and_others_can_draw_them_again(model):
    made, twin = (make_model(model=model, dropout=0.5) for _ in range(2))
    case = minibatch(made)
    results = [made.loss_and_grads(case.x, case.y, case.state) for _ in range(3)]
    assert made.draws == 3
    assert len({float(loss) for loss, _, _ in results}) == 3
    for draw, (loss, grads, _) in enumerate(results):
        masks = twin.draw_masks(*case.x.shape, draw)
        expected, expected_grads, _ = twin.loss_and_grads(case.x, case.y, case.state, masks)
        assert float(loss) == float(expected)
        assert_equal(dict(grads), dict(expected_grads))
    assert twin.draws == 0


@every_model
def test_dropout_is_for_training_only(model):
    with_dropout, without = make_model(model=model, dropout=0.5), make_model(model=model)
    case = minibatch(without)
    assert np.array_equal(with_dropout.forward(case.x, case.state)[0], without.forward(case.x, case.state)[0])
    for _ in range(2):
        assert float(with_dropout.loss(case.x, case.y, case.state)[0]) == float(
            without.loss(case.x, case.y, case.state)[0]
        )
    assert with_dropout.draws == 0


def test_without_dropout_nothing_is_drawn():
    model = make_model()
    case = minibatch(model)
    losses = {float(model.loss_and_grads(case.x, case.y, case.state)[0]) for _ in range(2)}
    assert len(losses) == 1
    assert model.draws == 0


@every_model
def test_recurrent_connections_are_never_dropped(model):
    """All of layer 2's input and of the decoder's can be dropped: the state of layer 1 must not notice."""
    made = make_model(model=model, dropout=0.5)
    case = minibatch(made)
    nothing = {name: np.zeros_like(mask) for name, mask in case.masks.items()}
    logits, state, _ = made.forward(case.x, case.state, nothing)
    _, undisturbed, _ = made.forward(case.x, case.state)
    for name in made.state_names():
        same = np.array_equal(state[name], undisturbed[name])
        assert same == (".0." in name)
    assert np.array_equal(logits, np.broadcast_to(made.params["decoder.bias"], logits.shape))


# -- mistakes are refused


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"model": "grd"}, r"unknown model 'grd' \(did you mean grid\?\): choose one of grid, lstm, gru, rnn"),
        ({"model": ""}, "unknown model"),
        ({"tie": "all"}, "unknown tie 'all': choose one of depth, layers, none"),
        ({"tie": ""}, "unknown tie"),
        ({"priority": "time"}, "unknown priority 'time'"),
        ({"lstm_output": "papper"}, r"unknown lstm_output 'papper' \(did you mean paper\?\)"),
        ({"dtype": "float16"}, "unknown dtype 'float16'"),
        ({"backend": "jax"}, "`backend` must be auto, numpy or cupy, not 'jax'"),
        ({"vocab_size": 0}, "vocab_size must be a whole number of at least 1, not 0"),
        ({"hidden": -3}, "hidden must be"),
        ({"hidden": 2.5}, "hidden must be"),
        ({"layers": 0}, "layers must be"),
        ({"layers": "2"}, "layers must be"),
        ({"dropout": 1}, "dropout 1"),
        ({"dropout": -0.1}, "dropout -0.1"),
        ({"dropout": float("nan")}, "dropout nan"),
        ({"embedding": 3}, "embedding 3 does not fit the grid.*4"),
        ({"embedding": 0}, "embedding 0 does not fit the grid"),
        ({"model": "lstm", "embedding": -1}, "embedding must be a whole number"),
        ({"model": "lstm", "embedding": 1.5}, "embedding must be a whole number"),
        ({"model": "lstm", "tie": "depth"}, "tie 'depth' makes no sense for the model lstm: it belongs to grid"),
        ({"model": "rnn", "priority": "depth"}, "priority 'depth' makes no sense for the model rnn"),
        ({"model": "gru", "lstm_output": "paper"}, "lstm_output 'paper' makes no sense.*gru.*grid and lstm"),
        ({"model": "rnn", "lstm_output": "standard"}, "lstm_output 'standard' makes no sense"),
        ({"seed": -1}, "seed"),
    ],
    ids=str,
)
def test_options_that_cannot_be(options, message):
    with pytest.raises(UserError, match=message):
        CharModel(**({"vocab_size": V, "hidden": H} | options))


def test_the_grids_embedding_may_be_given_if_it_fits():
    assert "embedding.weight" in CharModel(vocab_size=V, hidden=H, embedding=H).params


@pytest.mark.parametrize(
    "x",
    [
        np.array([[0, V]]),
        np.array([[0, -1]]),
        np.array([[0.0, 1.0]]),
        np.array([0, 1]),
        np.zeros((1, 2, 1), int),
        np.zeros((0, 2), int),
        np.zeros((2, 0), int),
        np.array([["a", "b"]]),
        np.array([[True, False]]),
        [[0, V]],
        [[0, -1]],
    ],
    ids=lambda x: str(x).replace("\n", ""),
)
def test_characters_that_cannot_be(x):
    model = make_model(dropout=0.5)
    state = model.initial_state(2)
    y = np.zeros((1, 2), int)
    for call in (
        lambda: model.forward(x, state),
        lambda: model.predict(x, state),
        lambda: model.loss(x, y, state),
        lambda: model.loss_and_grads(x, y, state),
    ):
        with pytest.raises(UserError):
            call()


def test_characters_may_be_lists():
    model = make_model()
    case = minibatch(model)
    loss, _ = model.loss(case.x.tolist(), case.y.tolist(), case.state)
    assert float(loss) == float(model.loss(case.x, case.y, case.state)[0])


@pytest.mark.parametrize(
    "y",
    [np.array([[0, V]]), np.array([[0, -2]]), np.array([[0.0, 1.0]]), np.zeros((2, 2), int), np.zeros(2, int)],
    ids=str,
)
def test_targets_that_cannot_be(y):
    model = make_model()
    x, state = np.zeros((1, 2), int), model.initial_state(2)
    for call in (lambda: model.loss(x, y, state), lambda: model.loss_and_grads(x, y, state)):
        with pytest.raises(UserError):
            call()


@every_model
def test_a_state_that_does_not_fit(model):
    made = make_model(model=model)
    case = minibatch(made)
    name = made.state_names()[-1]
    without = {key: s for key, s in case.state.items() if key != name}
    for state in (without, case.state | {"time.9.h": case.state[name]}, case.state | {name: case.state[name][:1]}, {}):
        with pytest.raises(UserError, match="state"):
            made.forward(case.x, state)
        with pytest.raises(UserError, match="state"):
            made.predict(case.x, state)
    _, _, cache = made.forward(case.x, case.state)
    for dstate in ({"time.9.h": case.dstate[name]}, {name: case.dstate[name][:1]}):
        with pytest.raises(UserError, match="state"):
            made.backward(cache, case.dlogits, dstate)


def test_a_gradient_of_the_logits_that_does_not_fit():
    model = make_model()
    case = minibatch(model)
    _, _, cache = model.forward(case.x, case.state)
    steps, batch, symbols = case.dlogits.shape
    for dlogits in (np.ones((steps * batch, 1, symbols)), np.ones((steps, batch, 1)), case.dlogits[0]):
        with pytest.raises(UserError, match="dlogits has shape"):
            model.backward(cache, dlogits)
    for dlogits in (case.dlogits.tolist(), 1.0):
        with pytest.raises(TypeError, match=r"dlogits is a builtins.*numpy\.ndarray"):
            model.backward(cache, dlogits)


@pytest.mark.parametrize("batch", [0, -1, 1.5])
def test_a_batch_that_cannot_be(batch):
    with pytest.raises(UserError, match="batch must be"):
        make_model().initial_state(batch)


@pytest.mark.parametrize(
    "masks", [{"layer.0": (3, 2, H)}, {"layer.2": (3, 2, H)}, {"top": (3, 2, 1)}, {"top": (1, 2, H)}]
)
def test_masks_that_do_not_fit(masks):
    model = make_model(dropout=0.5)
    case = minibatch(model)
    with pytest.raises(UserError, match="mask"):
        model.forward(case.x, case.state, {name: np.ones(shape) for name, shape in masks.items()})


# -- backends do not mix


def on_device(cupy: ModuleType, arrays: dict) -> dict:
    return {name: cupy.asarray(a) for name, a in arrays.items()}


def test_arrays_of_another_backend_are_refused(fake_cupy):
    model = make_model(dropout=0.5)
    case = minibatch(model)
    _, _, cache = model.forward(case.x, case.state, case.masks)
    for call in (
        lambda: model.forward(case.x, on_device(fake_cupy, case.state)),
        lambda: model.forward(case.x, case.state, on_device(fake_cupy, case.masks)),
        lambda: model.forward(fake_cupy.asarray(case.x), case.state),
        lambda: model.predict(case.x, on_device(fake_cupy, case.state)),
        lambda: model.loss(case.x, fake_cupy.asarray(case.y), case.state),
        lambda: model.loss_and_grads(fake_cupy.asarray(case.x), case.y, case.state, case.masks),
        lambda: model.loss_and_grads(case.x, case.y, on_device(fake_cupy, case.state), case.masks),
        lambda: model.backward(cache, fake_cupy.asarray(case.dlogits)),
        lambda: model.backward(cache, case.dlogits, on_device(fake_cupy, case.dstate)),
    ):
        with pytest.raises(TypeError):
            call()
