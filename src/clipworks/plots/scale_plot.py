"""What something costs at growing sizes: a panel a quantity, a line a program."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from clipworks.extras import require
from clipworks.files import atomic_path

_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7")
_MARKERS = ("o", "s", "^", "D")


@dataclass(frozen=True)
class ScalePoint:
    """One program at one size.

    Attributes:
        series: the program; its points share colour and marker.
        size: of the horizontal axis.
        costs: quantity, with its unit ("build, s"), to a number above 0.
    """

    series: str
    size: int
    costs: Mapping[str, float]


def draw_scale(
    points: Sequence[ScalePoint], files: Sequence[Path], *, title: str, size: str
) -> None:
    """Draw a panel for each quantity that the points have.

    Args:
        points: at least one.
        files: what to write; the endings say how: `.svg`, `.png`, `.pdf`.
        title: over the figure.
        size: the horizontal axes' name.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    require("matplotlib", "drawing a figure")
    from matplotlib.figure import Figure
    from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

    quantities = list(dict.fromkeys(name for point in points for name in point.costs))
    figure = Figure(figsize=(3.2 * len(quantities), 3.4), layout="constrained")
    figure.suptitle(title, x=0.01, ha="left", fontsize=11)
    panels = figure.subplots(1, len(quantities), squeeze=False)[0]
    for axes, quantity in zip(panels, quantities, strict=True):
        for number, series in enumerate(dict.fromkeys(point.series for point in points)):
            own = [p for p in points if p.series == series and quantity in p.costs]
            axes.plot(
                [p.size for p in own],
                [p.costs[quantity] for p in own],
                color=_COLOURS[number % len(_COLOURS)],
                marker=_MARKERS[number % len(_MARKERS)],
                markersize=5,
                label=series,
            )
        axes.set(xscale="log", yscale="log", xlabel=size)
        axes.set_title(quantity, loc="left", fontsize=9)
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_minor_formatter(NullFormatter())
        axes.yaxis.set_major_formatter(StrMethodFormatter("{x:,g}"))
        axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
        axes.tick_params(which="both", labelsize=7)
        axes.grid(which="major", color="#dddddd", linewidth=0.6)
        axes.spines[["top", "right"]].set_visible(False)
    panels[0].legend(frameon=False, fontsize=8)
    for path in files:
        with atomic_path(path) as temporary:
            figure.savefig(temporary, format=path.suffix.removeprefix("."), dpi=150)
