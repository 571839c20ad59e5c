"""Turns a Markdown table into a chart: a column of labels, and the first column that holds only numbers. Pure."""

from __future__ import annotations

import re
from typing import Any

LEAST, MOST = 2, 12  # bars
MAX_LABEL = 60
MAX_TITLE = 120
_RULE = frozenset("|:- \t")
_NUMBER = re.compile(
    r"(?P<before>[$\u20ac\u00a3\u00a5])?\s?(?P<digits>\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d{1,12}(?:\.\d+)?)\s?(?P<after>[%$\u20ac\u00a3]|\u00b0C?)?"
)


def chart_from_table(block: str) -> dict[str, Any] | None:
    """Return the table as a script's chart; None where no column holds only numbers."""
    lines = [line.strip() for line in block.strip().splitlines()]
    if not is_table(block) or len(lines) < LEAST + 2:
        return None
    header, *rows = ([cell.strip() for cell in line.strip("|").split("|")] for line in [lines[0], *lines[2:]])
    if not LEAST <= len(rows) <= MOST or any(len(row) != len(header) or not row[0] for row in rows):
        return None
    for column in range(1, len(header)):
        found = [_NUMBER.fullmatch(row[column]) for row in rows]
        numbers = [match for match in found if match]
        if len(numbers) == len(rows):
            return _chart(header[column], [row[0] for row in rows], numbers)
    return None


def is_table(block: str) -> bool:
    """Return whether a block is a Markdown table."""
    lines = block.strip().splitlines()
    return (
        len(lines) > 1
        and all("|" in line for line in lines)
        and "-" in lines[1]
        and _RULE.issuperset(lines[1])
    )


def _chart(title: str, labels: list[str], numbers: list[re.Match[str]]) -> dict[str, Any]:
    units = {match["before"] or match["after"] or "" for match in numbers}
    unit = units.pop() if len(units) == 1 else ""
    bars = [
        {"label": label[:MAX_LABEL], "value": float(match["digits"].replace(",", ""))}
        for label, match in zip(labels, numbers, strict=True)
    ]
    return {"type": "chart", "title": title[:MAX_TITLE], "unit": unit, "bars": bars}
