"""A diagram of one grid block."""

from matplotlib.patches import FancyBboxPatch

from minigrid.plots.style import COLOURS, Figure


def grid_block() -> Figure:
    """Draw one block of the 2D Grid LSTM, depth prioritised: hidden states in one colour, memory cells in another."""
    figure = Figure(figsize=(8, 5.6), layout="constrained")
    axes = figure.add_subplot(xlim=(0, 10), ylim=(0, 7), aspect="equal")
    axes.axis("off")
    hidden, memory = COLOURS[0], COLOURS[1]

    def box(x: float, y: float, width: float, height: float, text: str, colour: str) -> None:
        style = "round,pad=0,rounding_size=0.15"
        axes.add_patch(FancyBboxPatch((x, y), width, height, boxstyle=style, facecolor=colour, edgecolor="#555555"))
        axes.text(x + width / 2, y + height / 2, text, ha="center", va="center", fontsize=11)

    def path(colour: str, *corners: tuple[float, float]) -> None:
        axes.plot(*zip(*corners[:-1], strict=True), color=colour, linewidth=2, solid_capstyle="butt")
        axes.annotate(
            "",
            corners[-1],
            corners[-2],
            arrowprops={"arrowstyle": "-|>", "color": colour, "lw": 2, "shrinkA": 0, "shrinkB": 0},
        )

    def label(x: float, y: float, text: str, colour: str, **alignment: str) -> None:
        axes.text(x, y, text, color=colour, fontsize=11, **alignment)

    box(1.9, 0.9, 6.2, 5.2, "", "#F7F7F7")
    box(2.4, 1.7, 2.2, 1.3, "LSTM\nalong time", "white")
    box(4.6, 4.1, 3.0, 1.3, "LSTM\nalong depth", "white")

    path(hidden, (0.9, 2.65), (2.4, 2.65))
    path(memory, (0.9, 2.05), (2.4, 2.05))
    label(0.8, 2.65, "$h^{time}_{l,\\,t-1}$", hidden, ha="right", va="center")
    label(0.8, 2.05, "$c^{time}_{l,\\,t-1}$", memory, ha="right", va="center")

    path(hidden, (4.6, 2.65), (9.0, 2.65))
    path(memory, (4.6, 2.05), (9.0, 2.05))
    path(hidden, (6.1, 2.65), (6.1, 4.1))
    axes.plot(6.1, 2.65, "o", color=hidden, markersize=5)
    label(9.1, 2.65, "$h^{time}_{l,\\,t}$", hidden, ha="left", va="center")
    label(9.1, 2.05, "$c^{time}_{l,\\,t}$", memory, ha="left", va="center")

    path(hidden, (3.5, 0.4), (3.5, 1.7))
    path(hidden, (3.5, 1.3), (5.2, 1.3), (5.2, 4.1))
    axes.plot(3.5, 1.3, "o", color=hidden, markersize=5)
    path(memory, (7.1, 0.4), (7.1, 4.1))
    label(3.5, 0.3, "$h^{depth}_{l-1,\\,t}$", hidden, ha="center", va="top")
    label(7.1, 0.3, "$c^{depth}_{l-1,\\,t}$", memory, ha="center", va="top")

    path(hidden, (5.2, 5.4), (5.2, 6.5))
    path(memory, (7.1, 5.4), (7.1, 6.5))
    label(5.2, 6.55, "$h^{depth}_{l,\\,t}$", hidden, ha="center", va="bottom")
    label(7.1, 6.55, "$c^{depth}_{l,\\,t}$", memory, ha="center", va="bottom")
    return figure
