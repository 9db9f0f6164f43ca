"""A diagram of one grid block."""

from matplotlib.axes import Axes
from matplotlib.patches import FancyBboxPatch

from minigrid.plots.style import COLOURS, Figure

Point = tuple[float, float]


def grid_block() -> Figure:
    """Draw one block of the 2D Grid LSTM with depth priority.

    Hidden states have one colour, and memory cells another.
    """
    figure = Figure(figsize=(8, 5.6), layout="constrained")
    axes = figure.add_subplot(xlim=(0, 10), ylim=(0, 7), aspect="equal")
    axes.axis("off")
    hidden, memory = COLOURS[0], COLOURS[1]

    _box(axes, (1.9, 0.9), (6.2, 5.2), "", "#F7F7F7")
    _box(axes, (2.4, 1.7), (2.2, 1.3), "LSTM\nalong time", "white")
    _box(axes, (4.6, 4.1), (3.0, 1.3), "LSTM\nalong depth", "white")

    # states that enter along time
    _arrow(axes, hidden, (0.9, 2.65), (2.4, 2.65))
    _arrow(axes, memory, (0.9, 2.05), (2.4, 2.05))
    _label(axes, (0.8, 2.65), "$h^{time}_{l,\\,t-1}$", hidden, ha="right", va="center")
    _label(axes, (0.8, 2.05), "$c^{time}_{l,\\,t-1}$", memory, ha="right", va="center")

    # states that leave along time; the LSTM along depth reads the new hidden state
    _arrow(axes, hidden, (4.6, 2.65), (9.0, 2.65))
    _arrow(axes, memory, (4.6, 2.05), (9.0, 2.05))
    _arrow(axes, hidden, (6.1, 2.65), (6.1, 4.1))
    _branch(axes, hidden, (6.1, 2.65))
    _label(axes, (9.1, 2.65), "$h^{time}_{l,\\,t}$", hidden, ha="left", va="center")
    _label(axes, (9.1, 2.05), "$c^{time}_{l,\\,t}$", memory, ha="left", va="center")

    # states that enter from the layer below; both LSTMs read its hidden state
    _arrow(axes, hidden, (3.5, 0.4), (3.5, 1.7))
    _arrow(axes, hidden, (3.5, 1.3), (5.2, 1.3), (5.2, 4.1))
    _branch(axes, hidden, (3.5, 1.3))
    _arrow(axes, memory, (7.1, 0.4), (7.1, 4.1))
    _label(axes, (3.5, 0.3), "$h^{depth}_{l-1,\\,t}$", hidden, ha="center", va="top")
    _label(axes, (7.1, 0.3), "$c^{depth}_{l-1,\\,t}$", memory, ha="center", va="top")

    # states that leave to the layer above
    _arrow(axes, hidden, (5.2, 5.4), (5.2, 6.5))
    _arrow(axes, memory, (7.1, 5.4), (7.1, 6.5))
    _label(axes, (5.2, 6.55), "$h^{depth}_{l,\\,t}$", hidden, ha="center", va="bottom")
    _label(axes, (7.1, 6.55), "$c^{depth}_{l,\\,t}$", memory, ha="center", va="bottom")
    return figure


def _box(axes: Axes, corner: Point, size: Point, text: str, colour: str) -> None:
    """Draw a box with rounded corners, from its lower left corner, with a text in the middle."""
    (x, y), (width, height) = corner, size
    style = "round,pad=0,rounding_size=0.15"
    axes.add_patch(FancyBboxPatch(corner, width, height, boxstyle=style, facecolor=colour, edgecolor="#555555"))
    axes.text(x + width / 2, y + height / 2, text, ha="center", va="center", fontsize=11)


def _arrow(axes: Axes, colour: str, *points: Point) -> None:
    """Draw an arrow through two or more points, with its head at the last one."""
    axes.plot(*zip(*points[:-1], strict=True), color=colour, linewidth=2, solid_capstyle="butt")
    head = {"arrowstyle": "-|>", "color": colour, "lw": 2, "shrinkA": 0, "shrinkB": 0}
    axes.annotate("", points[-1], points[-2], arrowprops=head)


def _branch(axes: Axes, colour: str, place: Point) -> None:
    """Mark the place where an arrow splits in two."""
    axes.plot(*place, "o", color=colour, markersize=5)


def _label(axes: Axes, place: Point, text: str, colour: str, *, ha: str, va: str) -> None:
    """Write the name of a state next to the end of its arrow."""
    axes.text(*place, text, color=colour, fontsize=11, ha=ha, va=va)
