"""Draws the page's pictures as SVG: bars beside each other, and lines over time. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

if TYPE_CHECKING:
    from collections.abc import Sequence

WIDTH, LEFT, RIGHT, TOP = 860, 250, 110, 60
BAR, GAP = 22, 14
PLOT_LEFT, PLOT_TOP, PLOT_HEIGHT = 70, 60, 280
GROUND, INK, QUIET, GRID = "#ffffff", "#1b2a41", "#64748b", "#e2e8f0"
COLORS = ("#0284c7", "#f59e0b", "#94a3b8", "#16a34a")
HEAD = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
    ' font-family="system-ui, sans-serif" font-size="15">'
)


def bars(title: str, rows: Sequence[tuple[str, float, int]], unit: str) -> str:
    """Return a picture of (name, value, which color); a row without a value parts what is compared."""
    height = TOP + len(rows) * (BAR + GAP) + 10
    most = max((value for _, value, _ in rows), default=0) or 1
    parts = _begun(title, height)
    for at, (name, value, color) in enumerate(rows):
        top = TOP + at * (BAR + GAP)
        if not name:
            continue
        wide = (WIDTH - LEFT - RIGHT) * value / most
        parts += [
            f'<text x="{LEFT - 12}" y="{top + 16}" text-anchor="end" fill="{INK}">{escape(name)}</text>',
            f'<rect x="{LEFT}" y="{top}" width="{wide:.1f}" height="{BAR}" rx="3" fill="{COLORS[color]}"/>',
            f'<text x="{LEFT + wide + 8:.1f}" y="{top + 16}" fill="{QUIET}">{_number(value)} {escape(unit)}</text>',
        ]
    return "\n".join([*parts, "</svg>", ""])


def lines(title: str, series: Sequence[tuple[str, Sequence[tuple[float, float]]]], across: str) -> str:
    """Return a picture of lines over time, each a name and its points; both axes begin at 0."""
    height = PLOT_TOP + PLOT_HEIGHT + 60
    far = max((x for _, points in series for x, _ in points), default=0) or 1
    high = max((y for _, points in series for _, y in points), default=0) or 1
    wide = WIDTH - PLOT_LEFT - 30
    parts = _begun(title, height)
    for step in range(5):
        y = PLOT_TOP + PLOT_HEIGHT * (1 - step / 4)
        x = PLOT_LEFT + wide * step / 4
        parts += [
            f'<line x1="{PLOT_LEFT}" y1="{y:.0f}" x2="{PLOT_LEFT + wide}" y2="{y:.0f}" stroke="{GRID}"/>',
            f'<text x="{PLOT_LEFT - 8}" y="{y + 5:.0f}" text-anchor="end" fill="{QUIET}">{_number(high * step / 4)}</text>',
            (
                f'<text x="{x:.0f}" y="{PLOT_TOP + PLOT_HEIGHT + 20}" text-anchor="middle" fill="{QUIET}">'
                f"{_number(far * step / 4)}</text>"
            ),
        ]
    middle, below = PLOT_LEFT + wide / 2, PLOT_TOP + PLOT_HEIGHT + 44
    parts.append(
        f'<text x="{middle:.0f}" y="{below}" text-anchor="middle" fill="{INK}">{escape(across)}</text>'
    )
    for at, (name, points) in enumerate(series):
        path = " ".join(
            f"{PLOT_LEFT + wide * x / far:.1f},{PLOT_TOP + PLOT_HEIGHT * (1 - y / high):.1f}"
            for x, y in points
        )
        top = PLOT_TOP + 18 + 22 * at
        parts += [
            f'<polyline points="{path}" fill="none" stroke="{COLORS[at]}" stroke-width="2.5"/>',
            f'<rect x="{PLOT_LEFT + 16}" y="{top - 11}" width="14" height="14" rx="3" fill="{COLORS[at]}"/>',
            f'<text x="{PLOT_LEFT + 38}" y="{top + 1}" fill="{INK}">{escape(name)}</text>',
        ]
    return "\n".join([*parts, "</svg>", ""])


def _begun(title: str, height: int) -> list[str]:
    return [
        HEAD.format(width=WIDTH, height=height),
        f'<rect width="{WIDTH}" height="{height}" fill="{GROUND}"/>',
        f'<text x="20" y="34" fill="{INK}" font-size="17" font-weight="700">{escape(title)}</text>',
    ]


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"
