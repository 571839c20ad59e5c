"""The parts of help texts."""

from __future__ import annotations


def examples(*lines: str) -> str:
    """Return what stands at the end of a command's help: command lines to try, each on a line of its own."""
    title = "Example:" if len(lines) == 1 else "Examples:"
    return "\n".join(("\b", title, *(f"  {line}" for line in lines)))
