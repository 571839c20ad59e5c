"""Strict fields: nothing is coerced, so `"3"` is no number and `true` is not 1.

Each field checks a value and describes itself as JSON Schema from the same attributes. Clients read its error messages,
which never repeat the value.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any

from marshmallow import ValidationError, fields, missing

from shared.script.schema.placeholders import NAME, fill_number, fill_placeholders

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

# Category Cc without newline and tab, and surrogates: XML, ASS or Postgres' jsonb cannot store them.
_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")
_LINE_BREAK = re.compile(r"[\n\t\u2028\u2029]")


class StrictField(fields.Raw):
    """The base of all strict fields. A default is a JSON value, or None for "unset"."""

    def __init__(
        self, *, required: bool = False, nullable: bool = False, default: Any = missing, description: str = ""
    ) -> None:
        metadata = {"description": description} if description else {}
        # Without `allow_none`, marshmallow would take `default=None` as permission for a client's null.
        super().__init__(
            required=required, allow_none=nullable, load_default=default, metadata=metadata,
            error_messages={"required": "Missing.", "null": "May not be null."},
        )  # fmt: skip

    def deserialize(self, value: Any, *_: Any, **__: Any) -> Any:
        """Check `value`; marshmallow's own hooks and validators are not used here."""
        if value is missing or value is None:
            self._validate_missing(value)
            return self.load_default if value is missing else None
        return self.check(value)

    def check(self, value: Any) -> Any:
        """Return the loaded value, or raise ValidationError."""
        raise NotImplementedError

    def json_schema(self, converter: Any) -> dict[str, Any]:
        """Return the JSON Schema of what `check` accepts; `converter` is apispec's."""
        raise NotImplementedError


class StrictString(StrictField):
    """A string of `minimum` to `maximum` characters. With `placeholders_allowed`, `{{name}}` stands for a variable."""

    def __init__(
        self,
        maximum: int,
        *,
        minimum: int = 1,
        placeholders_allowed: bool = False,
        one_line: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.maximum, self.minimum, self.placeholders_allowed, self.one_line = (
            maximum,
            minimum,
            placeholders_allowed,
            one_line,
        )

    def check(self, value: Any) -> str:
        """Refuse other types, strings that are too long or too short, and characters that cannot be shown."""
        if not isinstance(value, str):
            raise ValidationError("Must be a string.")
        # Filled first: the limits hold for what is rendered, not for what was typed.
        text = fill_placeholders(value, self.maximum) if self.placeholders_allowed else value
        if len(text) > self.maximum:
            raise ValidationError(f"Must be at most {self.maximum} characters long.")
        if len(text) < self.minimum:
            raise ValidationError("May not be empty.")
        if not text.isprintable():  # this is fast, and true of most texts
            self._refuse_unprintable(text)
        return text

    def _refuse_unprintable(self, text: str) -> None:
        if _UNPRINTABLE.search(text):
            raise ValidationError("May not contain control characters or lone surrogates.")
        if self.one_line and _LINE_BREAK.search(text):
            raise ValidationError("Must be a single line.")

    def json_schema(self, _: Any) -> dict[str, Any]:
        """Return the JSON Schema with the lengths."""
        return {"type": "string", "minLength": self.minimum, "maxLength": self.maximum}


class PatternString(StrictString):
    """A string that matches a pattern as a whole; `rule` is the error message."""

    def __init__(self, pattern: str, rule: str, *, maximum: int = 200, **kwargs: Any) -> None:
        super().__init__(maximum, one_line=True, **kwargs)
        self.pattern, self.rule = re.compile(pattern), rule

    def check(self, value: Any) -> str:
        """Refuse what does not match."""
        text = super().check(value)
        if not self.pattern.fullmatch(text):
            raise ValidationError(self.rule)
        return text

    def json_schema(self, _: Any) -> dict[str, Any]:
        """Return the JSON Schema with the pattern, which needs anchors there."""
        if self.placeholders_allowed:
            return {"type": "string", "pattern": rf"^(?:{self.pattern.pattern}|\{{\{{{NAME}\}}\}})$"}
        return {"type": "string", "pattern": f"^(?:{self.pattern.pattern})$", "maxLength": self.maximum}


class StrictNumber(StrictField):
    """A finite number within bounds; a bool is not one. With `placeholders_allowed`, `{{name}}` may take its place."""

    def __init__(
        self, minimum: float, maximum: float, *, placeholders_allowed: bool = False, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.minimum, self.maximum, self.placeholders_allowed = minimum, maximum, placeholders_allowed

    def check(self, value: Any) -> float:
        """Check the bounds before converting: an integer may be too large for a float."""
        if self.placeholders_allowed and isinstance(value, str):
            value = fill_number(value)
        counts = isinstance(value, int | float) and not isinstance(value, bool)
        if not counts or not self.minimum <= value <= self.maximum:  # NaN compares false
            raise ValidationError(f"Must be a number from {self.minimum:g} to {self.maximum:g}.")
        return float(value)

    def json_schema(self, _: Any) -> dict[str, Any]:
        """Return the JSON Schema with the bounds."""
        described = {"type": "number", "minimum": self.minimum, "maximum": self.maximum}
        if not self.placeholders_allowed:
            return described
        return {"anyOf": [described, {"type": "string", "pattern": rf"^\{{\{{{NAME}\}}\}}$"}]}


class StrictInteger(StrictNumber):
    """An integer within bounds. 30.0 is one, since JSON has only one kind of number."""

    def check(self, value: Any) -> int:
        """Refuse fractions."""
        if isinstance(value, float) and not (math.isfinite(value) and value.is_integer()):
            raise ValidationError(f"Must be a whole number from {self.minimum:.0f} to {self.maximum:.0f}.")
        try:
            return int(super().check(value))
        except ValidationError:
            raise ValidationError(
                f"Must be a whole number from {self.minimum:.0f} to {self.maximum:.0f}."
            ) from None

    def json_schema(self, _: Any) -> dict[str, Any]:
        """Return the JSON Schema with the bounds as integers."""
        return {"type": "integer", "minimum": int(self.minimum), "maximum": int(self.maximum)}


class StrictBoolean(StrictField):
    """`true` or `false`."""

    def check(self, value: Any) -> bool:
        """Refuse everything else, including 0 and 1."""
        if not isinstance(value, bool):
            raise ValidationError("Must be true or false.")
        return value

    def json_schema(self, _: Any) -> dict[str, Any]:
        """Return the JSON Schema of a boolean."""
        return {"type": "boolean"}


class Choice(StrictField):
    """One of several values, given as a tuple or as a function where they are not known at import."""

    def __init__(self, choices: Sequence[Any] | Callable[[], Sequence[Any]], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._choices = choices

    @property
    def choices(self) -> tuple[Any, ...]:
        """The allowed values."""
        return tuple(self._choices() if callable(self._choices) else self._choices)

    def check(self, value: Any) -> Any:
        """Refuse other values; types must match too, as `True == 1` in Python."""
        for choice in self.choices:
            # 1 == True and 1.0 == 1 in Python; the choice itself is returned, so its type is right.
            if choice == value and not isinstance(value, bool):
                return choice
        raise ValidationError(f"Must be one of: {', '.join(map(str, self.choices))}.")

    def json_schema(self, _: Any) -> dict[str, Any]:
        """Return the JSON Schema of the values."""
        kind = "integer" if isinstance(self.choices[0], int) else "string"
        return {"type": kind, "enum": list(self.choices)}
