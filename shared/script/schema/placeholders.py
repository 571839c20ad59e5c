"""Placeholders, `{{name}}` in a script's texts: which variables are in scope while it loads, and how they are filled in."""

from __future__ import annotations

import re
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from marshmallow import ValidationError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

NAME = r"[a-zA-Z0-9_-]{1,64}"
_PLACEHOLDER = re.compile(r"\{\{(" + NAME + r")\}\}")
# None outside a script: there, braces are ordinary characters.
_variables: ContextVar[Mapping[str, str] | None] = ContextVar("script_variables", default=None)


@contextmanager
def use_variables(variables: Any) -> Iterator[None]:
    """Fill placeholders from the client's `variables` inside the block. Their own field reports their errors."""
    pairs = variables.items() if isinstance(variables, dict) else ()
    token = _variables.set({name: variable_text(value) for name, value in pairs if is_variable_value(value)})
    try:
        yield
    finally:
        _variables.reset(token)


def is_variable_value(value: Any) -> bool:
    """Return whether `value` may be a variable's value: a string or a number."""
    # bool is a subclass of int: true would be filled in as "True".
    return isinstance(value, str | int | float) and not isinstance(value, bool)


def variable_text(value: Any) -> str:
    """Return a variable's value as it appears in a text."""
    return value if isinstance(value, str) else str(value)


def placeholder_names(text: str) -> list[str]:
    """Return the names of the placeholders in `text`, in order."""
    return _PLACEHOLDER.findall(text)


def fill_number(text: str) -> float | str:
    """Return the number that a lone placeholder stands for; return anything else unchanged."""
    variables = _variables.get()
    match = _PLACEHOLDER.fullmatch(text)
    if variables is None or match is None:
        return text
    if match[1] not in variables:
        raise ValidationError(f"Unknown variable: {match[1]}.")
    try:
        return float(variables[match[1]])
    except ValueError:
        return text


def rename_placeholders(text: str, placeholder_names: Mapping[str, str]) -> str:
    """Return the text with these placeholders renamed."""
    return _PLACEHOLDER.sub(lambda match: f"{{{{{placeholder_names.get(match[1], match[1])}}}}}", text)


def literal_variables(texts: Iterable[str]) -> dict[str, str]:
    """Return variables that make each placeholder in `texts` stand for its own text."""
    return {name: f"{{{{{name}}}}}" for text in texts for name in placeholder_names(text)}


def fill_placeholders(text: str, maximum: int) -> str:
    """Replace each placeholder once, but none that a value contains; raise ValidationError for unknown names."""
    variables = _variables.get()
    # Most texts have no placeholder, and the regular expression is slower than this.
    if variables is None or "{{" not in text:
        return text
    used = placeholder_names(text)
    unknown = [name for name in dict.fromkeys(used) if name not in variables]
    if unknown:
        raise ValidationError(f"Unknown variable: {', '.join(unknown)}.")
    # A short text may name a long value thousands of times: check the length before building the text.
    if len(text) + sum(len(variables[name]) - len(name) - 4 for name in used) > maximum:
        raise ValidationError(f"Must be at most {maximum} characters long once its variables are filled in.")
    return _PLACEHOLDER.sub(lambda match: variables[match[1]], text)
