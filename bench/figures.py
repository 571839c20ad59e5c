"""Figures and what they were to be: percentiles, and targets that are met or missed, as a row of a page says it."""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


def part(values: Sequence[float], share: float) -> float:
    """Return the value that so large a share of the values does not exceed (the nearest rank)."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def middle(values: Sequence[float]) -> float:
    """Return the median."""
    return float(statistics.median(values))


@dataclass(frozen=True, slots=True)
class Target:
    """What was to be reached. `value` is None where it could not be measured."""

    what: str
    limit: float
    value: float | None
    unit: str = "x"
    least: bool = False  # whether the limit is the least that is wanted, not the most

    @property
    def verdict(self) -> str:
        """Whether it was met."""
        if self.value is None:
            return "not measured"
        met = self.value >= self.limit if self.least else self.value <= self.limit
        return "met" if met else "missed"

    def row(self) -> str:
        """Return it as a row of a table in Markdown."""
        sign = "≥" if self.least else "≤"
        verdict = "met" if self.verdict == "met" else f"**{self.verdict}**"
        return f"| {self.what} | {sign} {self._said(self.limit)} | {self._said(self.value)} | {verdict} |"

    def __str__(self) -> str:
        sign = "≥" if self.least else "≤"
        wanted = f"{sign} {self._said(self.limit)}"
        return f"{self.verdict.upper():12} {self.what}: {self._said(self.value)} ({wanted})"

    def _said(self, value: float | None) -> str:
        if value is None:
            return "-"
        number = (
            f"{value:.2f}"
            if self.unit in ("x", "s")
            else f"{value:.0f}"
            if abs(value) >= 10
            else f"{value:.3g}"
        )
        return f"{number} {self.unit}".strip()
