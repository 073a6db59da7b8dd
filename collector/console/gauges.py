"""Scores as SVG made on the server: a line over time with gaps, and a dial. See collector/console/charts.py."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from markupsafe import Markup


def line(points: Sequence[float | None], name: str = "") -> Markup:
    """0 to 100 from left to right; where nothing was measured the line breaks."""
    if sum(point is not None for point in points) < 1:
        return Markup("")
    last = max(1, len(points) - 1)
    drawn = [
        Markup('<polyline class="line" points="{}"/>').format(" ".join(f"{x},{_y(y):.1f}" for x, y in run))
        if len(run) > 1
        else Markup('<line class="line" x1="{x:.2f}" x2="{z:.2f}" y1="{y:.1f}" y2="{y:.1f}"/>').format(
            x=max(0.0, run[0][0] - 0.3), z=run[0][0] + 0.3, y=_y(run[0][1])
        )
        for run in _runs(points)
    ]
    return Markup(
        '<svg class="scoreline {}" viewBox="0 0 {} 30" preserveAspectRatio="none" aria-hidden="true">'
        '<line class="grid" x1="0" x2="{}" y1="15" y2="15"/>{}</svg>'
    ).format(name, last, last, Markup("").join(drawn))


def dial(score: float | None, name: str) -> Markup:
    """Three quarters of a circle, filled to the score; the whole circle's length is 100."""
    share = 0.75 * (score or 0.0)
    arc = '<circle class="{}" cx="18" cy="18" r="15.9155" stroke-dasharray="{:.2f} 100" transform="rotate(135 18 18)"/>'
    track = Markup(arc).format("track", 75.0)  # noqa: S704 - the text is ours
    value = Markup(arc).format(f"c-{name}", share) if score is not None else Markup("")  # noqa: S704
    return Markup('<svg class="dial" viewBox="0 0 36 36" aria-hidden="true">{}{}</svg>').format(track, value)


def _y(score: float) -> float:
    return 29 - 28 * min(100.0, max(0.0, score)) / 100


def _runs(points: Sequence[float | None]) -> Iterator[list[tuple[int, float]]]:
    run: list[tuple[int, float]] = []
    for x, y in enumerate(points):
        if y is None:
            if run:
                yield run
            run = []
        else:
            run.append((x, y))
    if run:
        yield run
