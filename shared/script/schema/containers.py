"""Fields that contain other fields: lists, mappings, objects, and objects whose type decides their schema."""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, TypeVar, cast

from marshmallow import Schema, ValidationError

from shared.script.schema.fields import StrictField, StrictString
from shared.script.schema.loading import error_messages, remaining_errors, spend_errors

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

T = TypeVar("T")
_shared: ContextVar[dict[Any, Any] | None] = ContextVar("shared_objects", default=None)


class StrictList(StrictField):
    """A list of `minimum` to `maximum` items, each checked by `inner`. It loads as a tuple."""

    def __init__(
        self, inner: StrictField, *, maximum: int, minimum: int = 0, unique: bool = False, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.inner, self.minimum, self.maximum, self.unique = inner, minimum, maximum, unique

    def check(self, value: Any) -> tuple[Any, ...]:
        """Check all items and report every wrong one. The items of a list that is too long are not checked."""
        if not isinstance(value, list):
            raise ValidationError("Must be a list.")
        if not self.minimum <= len(value) <= self.maximum:
            raise ValidationError(self._lengths())
        items, errors = [], {}
        for index, each in enumerate(value):
            before = remaining_errors()
            try:
                items.append(self.inner.deserialize(each))
            except ValidationError as error:
                errors[index] = error.messages
                if spend_errors(before, error.messages):
                    break
        if self.unique and not errors:
            errors = {at: ["Is in the list already."] for at, item in enumerate(items) if item in items[:at]}
        if errors:
            raise ValidationError(errors)
        return tuple(items)

    def _lengths(self) -> str:
        if self.minimum == self.maximum:
            return f"Must have {self.minimum} item{'s' if self.minimum > 1 else ''}."
        return f"Must have {self.minimum} to {self.maximum} items."

    def json_schema(self, converter: Any) -> dict[str, Any]:
        """Return the JSON Schema of the list, with its items described by apispec."""
        described = {"type": "array", "items": converter.field2property(self.inner), "maxItems": self.maximum}
        if self.minimum:
            described["minItems"] = self.minimum
        return described | ({"uniqueItems": True} if self.unique else {})


class StrictMapping(StrictField):
    """An object whose names the client chooses; each value is checked by `inner`."""

    def __init__(
        self, key: StrictString, inner: StrictField, *, maximum: int | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.key, self.inner, self.maximum = key, inner, maximum

    def check(self, value: Any) -> dict[str, Any]:
        """Check each name and each value."""
        if not isinstance(value, dict):
            raise ValidationError("Must be an object.")
        if self.maximum is not None and len(value) > self.maximum:
            raise ValidationError(f"Must have at most {self.maximum} members.")
        checked, errors = {}, {}
        for name, each in value.items():
            try:
                checked[self.key.check(name)] = self.inner.deserialize(each)
            except ValidationError as error:
                errors[name] = error.messages
        if errors:
            raise ValidationError(errors)
        return checked

    def json_schema(self, converter: Any) -> dict[str, Any]:
        """Return the JSON Schema of names and values."""
        described = {
            "type": "object",
            "propertyNames": self.key.json_schema(converter),
            "additionalProperties": converter.field2property(self.inner),
        }
        return described | ({} if self.maximum is None else {"maxProperties": self.maximum})


class StrictObject(StrictField):
    """An object with a schema of its own, given as a class, or as a function if it refers to itself."""

    def __init__(self, schema: Callable[[], Schema], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._make = schema
        self._schema: Schema | None = None

    @property
    def schema(self) -> Schema:
        """The schema, created at its first use."""
        if self._schema is None:
            self._schema = self._make()
        return self._schema

    def check(self, value: Any) -> Any:
        """Load the value by its schema, whose errors appear below this field's name."""
        return self.schema.load(value)

    def json_schema(self, converter: Any) -> dict[str, Any]:
        """Return a reference to the schema."""
        reference: dict[str, Any] = converter.resolve_nested_schema(self.schema)
        return reference


class DiscriminatedObject(StrictField):
    """An object whose member `key` selects its schema, so that errors point to the wrong member itself.

    Without the member, the schema is that of `default_type`; if there is none, the missing member is the error.
    """

    def __init__(
        self,
        key: str,
        schemas: Callable[[], Mapping[str, Callable[[], Schema]]],
        *,
        default_type: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.key, self.default_type = key, default_type
        self._schemas = schemas
        self._fields: dict[str, StrictObject] = {}

    @property
    def fields(self) -> dict[str, StrictObject]:
        """A field for each type, created at the first use, since an object may contain another of its own kind."""
        if not self._fields:
            self._fields = {name: StrictObject(schema) for name, schema in self._schemas().items()}
        return self._fields

    def check(self, value: Any) -> Any:
        """Select the schema and load by it."""
        if not isinstance(value, dict):
            raise ValidationError("Must be an object.")
        name = value.get(self.key, self.default_type)
        if name is None and self.key not in value:
            raise ValidationError({self.key: ["Missing."]})
        if not isinstance(name, str) or name not in self.fields:
            raise ValidationError({self.key: [f"Must be one of: {', '.join(self.fields)}."]})
        return self.fields[name].check(value)

    def json_schema(self, converter: Any) -> dict[str, Any]:
        """Return a `oneOf` of all schemas, with the discriminator."""
        options = {name: field.json_schema(converter) for name, field in self.fields.items()}
        described: dict[str, Any] = {"oneOf": list(options.values())}
        if all("$ref" in option for option in options.values()) and self.default_type is None:
            mapping = {name: option["$ref"] for name, option in options.items()}
            described["discriminator"] = {"propertyName": self.key, "mapping": mapping}
        return described


class StringOrObject(StrictField):
    """A string or an object: the string is short for an object with only the member `member`."""

    def __init__(self, schema: Callable[[], Schema], member: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.member = member
        self.object = StrictObject(schema)

    def check(self, value: Any) -> Any:
        """Check the object; errors of a string point to the string, not to a member that the client did not write."""
        if isinstance(value, dict):
            return self.object.check(value)
        if not isinstance(value, str):
            raise ValidationError("Must be a string or an object.")
        try:
            return self.object.check({self.member: value})
        except ValidationError as error:
            raise ValidationError(error_messages(error)[self.member]) from error

    def json_schema(self, converter: Any) -> dict[str, Any]:
        """Return the JSON Schema of both forms."""
        string = self.object.schema.fields[self.member]
        return {"oneOf": [converter.field2property(string), self.object.json_schema(converter)]}


class SharedObject(StrictObject):
    """An object that many documents of one request may share; those passed to `share_objects()` are loaded once."""

    def check(self, value: Any) -> Any:
        """Load the object, or return the value that it loaded as before."""
        loaded = _shared.get()
        if loaded is None or id(value) not in loaded:
            return super().check(value)
        if loaded[id(value)] is None:
            loaded[id(value)] = super().check(value)
        return loaded[id(value)]


def load_once(value: Any, make: Callable[[], T]) -> T:
    """Return `make(value)`; for an object that documents share, call `make` only once."""
    loaded = _shared.get()
    if loaded is None or id(value) not in loaded:
        return make()
    key = id(value), "made"
    if key not in loaded:
        loaded[key] = make()
    return cast("T", loaded[key])


@contextmanager
def share_objects(loaded: dict[Any, Any]) -> Iterator[None]:
    """Load the objects with these ids only once; None marks one that is not loaded yet. The caller keeps them alive."""
    token = _shared.set(loaded)
    try:
        yield
    finally:
        _shared.reset(token)
