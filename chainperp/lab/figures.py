"""Figures as SVG, drawn by matplotlib: the same bytes for the same data."""

from io import StringIO
from typing import Any, Final

from chainperp.lab.outcome import Figure

SETTINGS: Final[dict[Any, Any]] = {
    "svg.hashsalt": "chainperp",
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "axes.grid": True,
    "grid.alpha": 0.3,
    "figure.constrained_layout.use": True,
}
SIZE: Final = (7.0, 4.2)
CROWDED: Final = 8
"""Lines that a legend inside the drawing can name."""


def draw(figure: Figure) -> str:
    """One figure as SVG text. Points that a logarithmic axis cannot show are left out."""
    import matplotlib as mpl
    from matplotlib.figure import Figure as Canvas

    with mpl.rc_context(SETTINGS):
        canvas = Canvas(figsize=SIZE)
        axes = canvas.add_subplot()
        if figure.kind == "bars":
            _bars(axes, figure)
        else:
            _lines(axes, figure)
        for label, place in sorted(figure.marks.items()):
            axes.axvline(place, color="black", linestyle=":", linewidth=1, label=label)
        axes.set_title(figure.title, fontsize=10)
        axes.set_xlabel(figure.x, fontsize=9)
        axes.set_ylabel(figure.y, fontsize=9)
        if figure.ticks:
            turned = 90 if len(figure.ticks) > CROWDED else 0
            axes.set_xticks(range(len(figure.ticks)), figure.ticks, fontsize=8, rotation=turned)
        _legend(axes, figure)
        out = StringIO()
        canvas.savefig(out, format="svg", metadata={"Date": None, "Creator": None})
    return out.getvalue()


def _legend(axes: Any, figure: Figure) -> None:
    """Beside the drawing when it is long; single points have their names at their side."""
    labels = [one.label for one in figure.series if one.label]
    if figure.kind == "points" and len(labels) > CROWDED:
        for one in figure.series:
            for x, y in zip(one.x, one.y, strict=True):
                axes.annotate(
                    one.label, (x, y), xytext=(3, 3), textcoords="offset points", fontsize=6
                )
    elif len(labels) > CROWDED:
        axes.legend(fontsize=6, loc="center left", bbox_to_anchor=(1, 0.5))
    elif labels or figure.marks:
        axes.legend(fontsize=7)


def _lines(axes: Any, figure: Figure) -> None:
    for one in figure.series:
        points = [
            (x, y)
            for x, y in zip(one.x, one.y, strict=True)
            if ("x" not in figure.log or x > 0) and ("y" not in figure.log or y > 0)
        ]
        xs, ys = [x for x, _ in points], [y for _, y in points]
        if figure.kind == "points":
            axes.scatter(xs, ys, s=12, label=one.label)
        else:
            style = "steps-post" if figure.kind == "steps" else "default"
            axes.plot(xs, ys, linewidth=1.2, label=one.label, drawstyle=style)
    if "x" in figure.log:
        axes.set_xscale("log")
    if "y" in figure.log:
        axes.set_yscale("log")


def _bars(axes: Any, figure: Figure) -> None:
    count = max(1, len(figure.series))
    width = 0.8 / count
    for place, one in enumerate(figure.series):
        shift = (place - (count - 1) / 2) * width
        axes.bar([x + shift for x in one.x], one.y, width=width, label=one.label)
