"""Accuracy against speed: what is worth having lies at the top right."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from clipworks.extras import require
from clipworks.files import atomic_path

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#444444")
"""Okabe and Ito's, which colour-blind readers tell apart (jfly.uni-koeln.de/color)."""
_MARKERS = ("o", "s", "^", "D", "v", "P", "X")
_LOWEST_ERROR = 1e-8  # float32 unit rows cannot agree better


@dataclass(frozen=True)
class ParetoPoint:
    """One thing to have.

    Attributes:
        label: written beside the point.
        series: points of one series share colour and marker, and stand in the legend.
        speed: of the horizontal axis, logarithmic.
        error: of the vertical axis, logarithmic, the smallest at the top.
        is_best: whether no other point is better in both; the line goes through these.
    """

    label: str
    series: str
    speed: float
    error: float
    is_best: bool


def draw_pareto(
    points: Sequence[ParetoPoint], files: Sequence[Path], *, title: str, speed: str, error: str
) -> None:
    """Draw the points, and the line through the best of them.

    Args:
        points: at least one.
        files: what to write; the endings say how: `.svg`, `.png`, `.pdf`.
        title: over the figure.
        speed: the horizontal axis's name.
        error: the vertical axis's name.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    require("matplotlib", "drawing a figure")
    from matplotlib.figure import Figure
    from matplotlib.ticker import StrMethodFormatter

    figure = Figure(figsize=(8, 5), layout="constrained")
    axes = figure.add_subplot()
    _draw_points(axes, points)
    axes.set(xscale="log", yscale="log", xlabel=speed, ylabel=error)
    axes.set_title(title, loc="left", fontsize=11)
    axes.invert_yaxis()
    for one in (axes.xaxis.set_major_formatter, axes.xaxis.set_minor_formatter):
        one(StrMethodFormatter("{x:,g}"))
    axes.tick_params(axis="x", which="both", labelsize=8)
    axes.margins(0.12)
    axes.grid(which="major", color="#dddddd", linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=8)
    for path in files:
        with atomic_path(path) as temporary:
            figure.savefig(temporary, format=path.suffix.removeprefix("."), dpi=150)


def _draw_points(axes: Axes, points: Sequence[ParetoPoint]) -> None:
    best = sorted((p for p in points if p.is_best), key=lambda point: point.speed)
    axes.plot(
        [p.speed for p in best], [_drawn(p) for p in best], color="#bbbbbb", linewidth=1, zorder=1
    )
    for number, series in enumerate(dict.fromkeys(point.series for point in points)):
        own = [point for point in points if point.series == series]
        axes.scatter(
            [p.speed for p in own],
            [_drawn(p) for p in own],
            s=36,
            color=_COLOURS[number % len(_COLOURS)],
            marker=_MARKERS[number % len(_MARKERS)],
            label=series,
            zorder=2,
        )
    for number, point in enumerate(sorted(points, key=lambda point: point.speed)):
        place = (point.speed, _drawn(point))
        beside = (4, 5 if number % 2 else -11)  # neighbours above and below in turn
        axes.annotate(point.label, place, beside, textcoords="offset points", fontsize=7)


def _drawn(point: ParetoPoint) -> float:
    return max(point.error, _LOWEST_ERROR)
