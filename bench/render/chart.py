"""Draws the page's picture: for each contestant a bar of seconds and one of CPU seconds, as SVG. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

if TYPE_CHECKING:
    from collections.abc import Sequence

WIDTH, LEFT, RIGHT, TOP = 860, 210, 90, 64
ROW, BAR = 62, 20
HEAD = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
    ' font-family="system-ui, sans-serif" font-size="15">'
)
GROUND, INK, QUIET = "#ffffff", "#1b2a41", "#64748b"
SECONDS, CPU = "#0284c7", "#f59e0b"


def draw(bars: Sequence[tuple[str, float, float]]) -> str:
    """Return the picture of (name, seconds, CPU seconds)."""
    height = TOP + ROW * len(bars) + 20
    most = max(max(wall, cpu) for _, wall, cpu in bars)
    parts = [
        HEAD.format(width=WIDTH, height=height),
        f'<rect width="{WIDTH}" height="{height}" fill="{GROUND}"/>',
        _legend(LEFT, SECONDS, "seconds"),
        _legend(LEFT + 130, CPU, "CPU seconds"),
    ]
    for index, (name, wall, cpu) in enumerate(bars):
        top = TOP + index * ROW
        weight = ' font-weight="700"' if name == "Scenemill" else ""
        parts.append(
            f'<text x="{LEFT - 14}" y="{top + 27}" text-anchor="end" fill="{INK}"{weight}>{escape(name)}</text>'
        )
        for value, color, at in ((wall, SECONDS, top), (cpu, CPU, top + BAR + 2)):
            wide = (WIDTH - LEFT - RIGHT) * value / most
            parts += [
                f'<rect x="{LEFT}" y="{at}" width="{wide:.1f}" height="{BAR}" rx="3" fill="{color}"/>',
                f'<text x="{LEFT + wide + 8:.1f}" y="{at + 15}" fill="{QUIET}">{value:.1f}</text>',
            ]
    return "\n".join([*parts, "</svg>", ""])


def _legend(left: int, color: str, name: str) -> str:
    return (
        f'<rect x="{left}" y="22" width="16" height="16" rx="3" fill="{color}"/>'
        f'<text x="{left + 24}" y="35" fill="{INK}">{name}</text>'
    )
