"""Charts as SVG made on the server. Widths and colours come from attributes and classes: the content policy allows
no inline style. Each chart is decoration for the eye; the numbers stand beside it as text or in a table.
"""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlencode

import msgspec
from markupsafe import Markup

from collector.console.view import View
from collector.views.events import Bar

HEIGHT = 100


class Drawing(msgspec.Struct, frozen=True):
    """A histogram: the drawing, its greatest value, its time labels, and the rows of the table beside it."""

    svg: Markup
    top: int
    total: int
    labels: tuple[str, ...]
    rows: tuple[tuple[str, int], ...]


def histogram(view: View, bars: Sequence[Bar], base: str = "", query: str = "") -> Drawing:
    """Bars that stretch with the page; each leads to its own time range where ``base`` is given."""
    top = nice(max((bar.count for bar in bars), default=0))
    step = bars[1].start_ms - bars[0].start_ms if len(bars) > 1 else 60_000
    parts = [
        Markup('<line class="grid" x1="0" x2="{}" y1="{y}" y2="{y}"/>').format(len(bars), y=y) for y in (0, 50, 100)
    ]
    for at, bar in enumerate(bars):
        height = max(1.5, HEIGHT * bar.count / top) if bar.count else 0
        shape = Markup(
            '<rect class="hit" x="{x}" y="0" width="1" height="100"/><rect class="bar" x="{l:.2f}" y="{y:.2f}" '
            'width=".8" height="{h:.2f}"/><title>{title}</title>'
        ).format(x=at, l=at + 0.1, y=HEIGHT - height, h=height, title=f"{view.clock(bar.start_ms)} · {bar.count:,}")
        if base:
            asked = {"q": query, "since": _iso(bar.start_ms), "until": _iso(bar.start_ms + step)}
            href = f"{base}?{urlencode(asked)}"
            shape = Markup('<a href="{}" tabindex="-1">{}</a>').format(href, shape)
        else:
            shape = Markup("<g>{}</g>").format(shape)
        parts.append(shape)
    svg = Markup('<svg class="histogram" viewBox="0 0 {} 100" preserveAspectRatio="none" aria-hidden="true">{}</svg>')
    marks = [bars[len(bars) * i // 4 if i < 4 else -1].start_ms for i in range(5)] if bars else []
    days = bool(bars) and bars[-1].start_ms - bars[0].start_ms > 86_400_000
    labels = tuple(_label(view, ms, days, step) for ms in marks)
    rows = tuple((view.clock(bar.start_ms), bar.count) for bar in bars if bar.count)
    return Drawing(svg.format(max(1, len(bars)), Markup("").join(parts)), top, sum(b.count for b in bars), labels, rows)


def sparkline(bars: Sequence[Bar]) -> Markup:
    """A small line without axes."""
    if len(bars) < 2:
        return Markup("")
    top = max(bar.count for bar in bars) or 1
    points = " ".join(f"{i},{28 - 26 * bar.count / top:.1f}" for i, bar in enumerate(bars))
    last = len(bars) - 1
    return Markup(
        '<svg class="sparkline" viewBox="0 0 {n} 30" preserveAspectRatio="none" aria-hidden="true">'
        '<polygon class="area" points="0,30 {p} {n},30"/><polyline class="line" points="{p}"/></svg>'
    ).format(n=last, p=points)


def segments(parts: Sequence[tuple[str, float]]) -> Markup:
    """A bar of parts side by side, ``(class, amount)`` each; a part that is there is at least a sliver."""
    total = sum(amount for _, amount in parts)
    if total <= 0:
        return Markup('<svg class="segments" viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true"></svg>')
    widths = [max(0.8, 100 * amount / total) if amount > 0 else 0.0 for _, amount in parts]
    scale = 100 / sum(widths)
    x, made = 0.0, []
    for (name, _), width in zip(parts, widths, strict=True):
        if width:
            made.append(
                Markup('<rect class="{}" x="{:.2f}" y="0" width="{:.2f}" height="8"/>').format(name, x, width * scale)
            )
        x += width * scale
    return Markup(
        '<svg class="segments" viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true">{}</svg>'
    ).format(Markup("").join(made))


def ring(part: float, whole: float, name: str = "good") -> Markup:
    """A ring filled to ``part / whole``; the circle's length is 100, so the dash is a percentage."""
    share = 100 * part / whole if whole else 0.0
    return Markup(
        '<svg class="ring" viewBox="0 0 36 36" aria-hidden="true"><circle class="track" cx="18" cy="18" r="15.9155"/>'
        '<circle class="{}" cx="18" cy="18" r="15.9155" stroke-dasharray="{:.1f} 100" '
        'transform="rotate(-90 18 18)"/></svg>'
    ).format(name, share)


def nice(top: int) -> int:
    """The next round number at or above, so that a bar fills most of its chart."""
    scale = 1
    while True:
        for step in (1, 2, 3, 4, 5, 6, 8):
            if step * scale >= top:
                return step * scale
        scale *= 10


def _label(view: View, ms: int, days: bool, step: int) -> str:
    local = view.local(ms)
    if local is None:
        return ""
    return f"{local:%m-%d %H:%M}" if days else f"{local:%H:%M:%S}" if step < 60_000 else f"{local:%H:%M}"


def _iso(ms: int) -> str:
    from telemetry.clock import iso

    return iso(ms)
