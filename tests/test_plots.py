import io
import math
import warnings

import numpy as np
import pytest
from matplotlib.collections import PolyCollection

from minigrid import CharModel, UserError, plots, trace_text
from minigrid.data.vocabulary import Vocabulary
from minigrid.plots import COLOURS, grid_block, loss_curves
from minigrid.plots.style import glyph

TEXT = "See [http://a.org b]\n\t$x$ \x01"
VOCABULARY = Vocabulary.from_text(TEXT)
LAYERS, HIDDEN = 3, 6


@pytest.fixture(scope="module")
def grid():
    return trace_text(CharModel("grid", vocab_size=len(VOCABULARY), hidden=HIDDEN, layers=LAYERS), VOCABULARY, TEXT)


@pytest.fixture(scope="module")
def stacked():
    return trace_text(CharModel("lstm", vocab_size=len(VOCABULARY), hidden=5, layers=2), VOCABULARY, TEXT)


@pytest.fixture(autouse=True)
def no_warnings():
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # for a missing glyph, or an axis without room
        # an older matplotlib calls a newer pyparsing by its old names
        warnings.filterwarnings("ignore", category=DeprecationWarning, module="matplotlib|pyparsing")
        yield


def drawn(figure):
    """Draw a figure and return its axes."""
    assert figure._repr_png_().startswith(b"\x89PNG")
    return figure.axes


def tick_labels(axis):
    return [tick.get_text() for tick in axis.get_ticklabels()]


def images(figure):
    return [axes.images[0].get_array() for axes in figure.axes if axes.images]


def record(split, step, loss):
    return {"split": split, "step": step, "loss": loss}


RUNS = {
    "one": [record("train", 10, 3.0), record("train", 20, 2.5), record("val", 20, 2.75), record("val", 40, 2.7)],
    "two": [record("train", 10, 3.5)],
}


def test_a_run_can_have_any_name(recwarn):
    (figure := loss_curves({"_a$5_to_$ \\frac{$x\n \ud800\U00102345": RUNS["one"]})).savefig(io.BytesIO())
    training, _ = figure.legends[0].get_texts()
    assert training.get_text() == "_a$5_to_$ \\frac{$x□ □□, training"
    assert not list(recwarn)


def test_every_run_has_its_curves_and_its_colour():
    lines = loss_curves(RUNS).axes[0].lines
    drawn = {line.get_label(): (line.get_xydata().tolist(), line.get_color()) for line in lines}
    assert drawn == {
        "one, training": ([[10, 3.0], [20, 2.5]], COLOURS[0]),
        "one, validation (best 2.700)": ([[20, 2.75], [40, 2.7]], COLOURS[0]),
        "two, training": ([[10, 3.5]], COLOURS[1]),
    }


def test_the_axes_have_units():
    figure = loss_curves(RUNS)
    axes = figure.axes[0]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("minibatches", "loss (nats per symbol)")
    right = axes.child_axes[0]
    figure.draw_without_rendering()
    assert right.get_ylabel() == "bits per symbol"
    assert right.get_ylim() == pytest.approx([nats / math.log(2) for nats in axes.get_ylim()])
    named = [text.get_text() for text in figure.legends[0].get_texts()]
    assert named == ["one, training", "two, training", "one, validation (best 2.700)"]


@pytest.mark.parametrize("runs", [{}, {"empty": []}, {f"run {k}": RUNS["one"] for k in range(9)}])
def test_few_and_many_runs(runs, tmp_path):
    loss_curves(runs).savefig(tmp_path / "loss.png")
    assert (tmp_path / "loss.png").read_bytes().startswith(b"\x89PNG")


def test_the_block_names_the_states_of_both_lstms(tmp_path):
    figure = grid_block()
    figure.savefig(tmp_path / "block.svg")
    labels = " ".join(text.get_text() for text in figure.axes[0].texts)
    assert all(f"^{{{name}}}" in labels for name in ("time", "depth"))


def test_white_space_is_visible():
    assert [glyph(c) for c in "a \n\t\x00é語$"] == ["a", "␣", "↵", "⇥", "□", "é", "□", "$"]
    assert glyph("C3") == "C3"  # a byte, as on the page


def test_a_heatmap_has_a_panel_for_each_layer_and_a_tick_for_each_character(grid):
    figure = plots.gate_heatmap(grid["depth.f"][:, :, 0], TEXT, "forget gate")
    *panels, bar = drawn(figure)
    assert [axes.get_ylabel() for axes in panels] == ["layer 3\nunit", "layer 2\nunit", "layer 1\nunit"]
    assert tick_labels(panels[-1].xaxis) == [glyph(c) for c in TEXT]
    assert bar.get_ylabel() == "forget gate"
    for layer, image in zip((2, 1, 0), images(figure), strict=True):
        assert (image == grid["depth.f"][layer, :, 0].T).all()
    assert panels[0].images[0].get_clim() == (0, 1)


def test_signed_values_are_white_at_zero(grid):
    figure = plots.gate_heatmap(grid["time.c"][:, :, 0], TEXT, "memory cell", signed=True)
    low, high = figure.axes[0].images[0].get_clim()
    assert low == -high == -np.abs(grid["time.c"]).max()
    drawn(plots.gate_heatmap(np.zeros((1, len(TEXT), 2)), TEXT, "nothing", signed=True))


def test_models_of_different_sizes_side_by_side(grid, stacked):
    models = {"grid": grid["time.f"][:, :, 0], "stacked": stacked["lstm.f"][:, :, 0]}
    *panels, _ = drawn(plots.side_by_side(models, TEXT, "forget gate along time"))
    assert [axes.get_title() for axes in panels if axes.get_title()] == ["grid", "stacked"]
    assert [axes.get_ylabel()[:7] for axes in panels] == ["layer 3", "layer 2", "layer 2", "layer 1", "layer 1"]


def test_saturation_counts_the_time_that_a_gate_is_open_and_closed():
    gate = np.array([[[0.95, 0.5], [0.99, 0.05], [0.05, 0.0], [0.2, 0.01]]])  # (L, T, H) = (1, 4, 2)
    figure = plots.gate_saturation({"forget gate": gate})
    (dots,) = drawn(figure)[0].collections
    assert dots.get_offsets().tolist() == [[0.5, 0.25], [0, 0.75]]


def test_saturation_of_the_gates_of_a_trace(grid):
    axes = drawn(plots.gate_saturation({gate: grid[f"time.{gate}"] for gate in "ifo"}))
    assert [a.get_title() for a in axes] == ["i", "f", "o"]
    assert {len(a.collections) for a in axes} == {LAYERS}


def test_paths_along_depth(grid):
    figure = plots.depth_paths(grid, TEXT, unit=4)
    written, kept, read = images(figure)
    i, f, o, g = (grid[f"depth.{gate}"][:, :, 0, 4] for gate in "ifog")
    assert np.allclose(written, i * g)
    assert np.allclose(kept[0], f[1] * f[2])
    assert np.allclose(read, o)
    axes = drawn(figure)
    assert all(a.get_ylim() == (-0.5, LAYERS - 0.5) for a in axes[:3])  # the bottom layer at the bottom
    assert tick_labels(axes[0].yaxis) == ["1", "2", "3"]


@pytest.mark.parametrize("model", ["grid", "stacked"])
def test_paths_along_time(model, request):
    made = request.getfixturevalue(model)
    figure = plots.time_paths(made, TEXT, layer=1, unit=2)
    drawn(figure)
    written, kept, read = images(figure)
    i, f, o, g = (made[f"{'time' if model == 'grid' else 'lstm'}.{gate}"][1, :, 0, 2] for gate in "ifog")
    assert np.allclose(written[:, 0], i * g)
    assert np.allclose(read[0], o)
    assert kept[3, 5] == pytest.approx(f[4] * f[5])
    assert kept.mask[5, 3]


def test_models_without_the_gates_are_refused(stacked):
    gru = trace_text(CharModel("gru", vocab_size=len(VOCABULARY), hidden=2), VOCABULARY, TEXT)
    with pytest.raises(UserError, match="only a grid has a memory along depth"):
        plots.depth_paths(stacked, TEXT, unit=0)
    with pytest.raises(UserError, match="only a grid and an LSTM have forget gates"):
        plots.time_paths(gru, TEXT, layer=0, unit=0)


def test_a_text_of_the_wrong_length_is_refused(grid):
    values = grid["time.f"][:, :, 0]
    for draw in (
        lambda: plots.gate_heatmap(values, "short", "f"),
        lambda: plots.coloured_text(values[0, :, 0], "short", "f"),
        lambda: plots.depth_paths(grid, "short", 0),
        lambda: plots.time_paths(grid, "short", 0, 0),
    ):
        with pytest.raises(UserError, match=rf"`text` must have one character per step \({len(TEXT)}\), not 5"):
            draw()


def test_a_coloured_text_is_wrapped_at_80_characters_and_at_line_breaks():
    text = "x" * 85 + "\n" + "\n" + "end"
    figure = plots.coloured_text(np.linspace(-1, 1, len(text)), text, "cell")
    axes, _ = drawn(figure)
    places = [tuple(t.get_position()) for t in axes.texts]
    assert "".join(t.get_text() for t in axes.texts) == text.replace("\n", "↵")
    assert [places[k] for k in (0, 79, 80, 85, 86, 87)] == [
        (0.5, 0.55), (79.5, 0.55), (0.5, 1.55), (5.5, 1.55), (0.5, 2.55), (0.5, 3.55)
    ]  # fmt: skip
    (boxes,) = (c for c in axes.collections if isinstance(c, PolyCollection))
    assert len(boxes.get_paths()) == len(text)
    assert axes.texts[0].get_color() == "white"  # on dark blue
    assert axes.texts[len(text) // 2].get_color() == "black"


@pytest.mark.parametrize("draw", [plots.gradients_by_lag, plots.gradients_by_layer])
def test_gradient_norms_have_a_curve_each(draw):
    norms = {f"curve {k}": np.array([1.0, 0.1, 0.01]) for k in range(9)}
    (axes,) = drawn(draw(norms))
    assert axes.get_yscale() == "log"
    assert [line.get_xdata().tolist() for line in axes.lines] == [[1, 2, 3]] * 9
    assert len({(line.get_color(), line.get_linestyle()) for line in axes.lines}) == 9
    drawn(draw({}))


def test_a_notebook_displays_a_figure():
    assert grid_block()._repr_png_().startswith(b"\x89PNG")
