"""Makes the drawing of some texts spin, in every process that has this folder on its PYTHONPATH. Each notes its id first.

The functions are replaced as their modules are imported: nothing of the product knows of it.
"""

from __future__ import annotations

import os
import re
import sys
import time
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import ModuleType

FITTING = "tasks.video.picture.text.fitting"
CUES = "tasks.video.captions.cues"


def misbehave(text: str) -> None:
    """Do what a text says by its first word, and never come back."""
    if text.startswith(("spin", "sleep", "hold")):
        (Path(os.environ["SPINNING_MARKS"]) / str(os.getpid())).touch()
    if text.startswith("spin"):
        while True:
            pass
    if text.startswith("sleep"):
        time.sleep(10_000)
    if text.startswith("hold"):  # the interpreter's lock: no other thread of the process runs
        re.match(r"(a|a)*$", "a" * 60 + "b")


def _in_drawing(module: Any) -> None:
    draw: Callable[..., object] = module.fit_text

    def fit_text(text: str, *more: object) -> object:
        misbehave(text)
        return draw(text, *more)

    module.fit_text = fit_text


def _in_planning(module: Any) -> None:
    plan: Callable[..., object] = module.make_cues

    def make_cues(timeline: object, script: Any, *more: object, **named: object) -> object:
        misbehave(script.title)
        return plan(timeline, script, *more, **named)

    module.make_cues = make_cues


class Finder(PathFinder):
    """Finds the modules as ever, and changes them once they are executed."""

    changes = {FITTING: _in_drawing, CUES: _in_planning}  # noqa: RUF012

    @classmethod
    def find_spec(
        cls, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        change = cls.changes.get(fullname)
        spec = None if change is None else super().find_spec(fullname, path, target)
        if spec is None or spec.loader is None or change is None:
            return None
        execute = spec.loader.exec_module

        def exec_module(module: ModuleType) -> None:
            execute(module)
            change(module)

        spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec


sys.meta_path.insert(0, Finder)
