"""Fields made of other fields: lists, pairs, objects, and objects whose type says what is in them."""

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
    """A list of `least` to `most` items, each checked by `inner`; comes out as a tuple."""

    def __init__(
        self, inner: StrictField, *, maximum: int, minimum: int = 0, unique: bool = False, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.inner, self.minimum, self.maximum, self.unique = inner, minimum, maximum, unique

    def check(self, value: Any) -> tuple[Any, ...]:
        """Check all items, and tell of every one that is wrong. A list that is too long is not looked into."""
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
        """Describe the list and, by apispec's own way, its items."""
        described = {"type": "array", "items": converter.field2property(self.inner), "maxItems": self.maximum}
        if self.minimum:
            described["minItems"] = self.minimum
        return described | ({"uniqueItems": True} if self.unique else {})


class StrictMapping(StrictField):
    """An object of names that the client chooses; each value is checked by `inner`."""

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
        """Describe names and values."""
        described = {
            "type": "object",
            "propertyNames": self.key.json_schema(converter),
            "additionalProperties": converter.field2property(self.inner),
        }
        return described | ({} if self.maximum is None else {"maxProperties": self.maximum})


class StrictObject(StrictField):
    """What another schema describes. The schema is given as a class, or by a function where it refers to itself."""

    def __init__(self, schema: Callable[[], Schema], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._make = schema
        self._schema: Schema | None = None

    @property
    def schema(self) -> Schema:
        """The schema, made at its first use."""
        if self._schema is None:
            self._schema = self._make()
        return self._schema

    def check(self, value: Any) -> Any:
        """Load it by its schema, whose errors are under this field's name."""
        return self.schema.load(value)

    def json_schema(self, converter: Any) -> dict[str, Any]:
        """Refer to the schema."""
        reference: dict[str, Any] = converter.resolve_nested_schema(self.schema)
        return reference


class DiscriminatedObject(StrictField):
    """An object whose member `key` says by which schema it is checked, so that a pointer names the wrong member.

    Without the member, `default_type` is taken; where there is none, that it is missing is the error.
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
        """A field a type, made at the first use: an object may hold another of its own kind."""
        if not self._fields:
            self._fields = {name: StrictObject(schema) for name, schema in self._schemas().items()}
        return self._fields

    def check(self, value: Any) -> Any:
        """Choose the schema, then load by it."""
        if not isinstance(value, dict):
            raise ValidationError("Must be an object.")
        name = value.get(self.key, self.default_type)
        if name is None and self.key not in value:
            raise ValidationError({self.key: ["Missing."]})
        if not isinstance(name, str) or name not in self.fields:
            raise ValidationError({self.key: [f"Must be one of: {', '.join(self.fields)}."]})
        return self.fields[name].check(value)

    def json_schema(self, converter: Any) -> dict[str, Any]:
        """Describe one schema a type, and by which member they are told apart."""
        options = {name: field.json_schema(converter) for name, field in self.fields.items()}
        described: dict[str, Any] = {"oneOf": list(options.values())}
        if all("$ref" in option for option in options.values()) and self.default_type is None:
            mapping = {name: option["$ref"] for name, option in options.items()}
            described["discriminator"] = {"propertyName": self.key, "mapping": mapping}
        return described


class StringOrObject(StrictField):
    """A string, or an object: the string is short for an object with the one member `member`."""

    def __init__(self, schema: Callable[[], Schema], member: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.member = member
        self.object = StrictObject(schema)

    def check(self, value: Any) -> Any:
        """Check the object; what is wrong with a string is told of the string, not of a member that is not there."""
        if isinstance(value, dict):
            return self.object.check(value)
        if not isinstance(value, str):
            raise ValidationError("Must be a string or an object.")
        try:
            return self.object.check({self.member: value})
        except ValidationError as error:
            raise ValidationError(error_messages(error)[self.member]) from error

    def json_schema(self, converter: Any) -> dict[str, Any]:
        """Describe both forms."""
        string = self.object.schema.fields[self.member]
        return {"oneOf": [converter.field2property(string), self.object.json_schema(converter)]}


class SharedObject(StrictObject):
    """An object that many documents of one request may share: those that `sharing()` names are checked once."""

    def check(self, value: Any) -> Any:
        """Load the object, or return what it was loaded as before."""
        known = _shared.get()
        if known is None or id(value) not in known:
            return super().check(value)
        if known[id(value)] is None:
            known[id(value)] = super().check(value)
        return known[id(value)]


def load_once(value: Any, make: Callable[[], T]) -> T:
    """Return what `make` makes of an object; of one that documents share it is made once."""
    known = _shared.get()
    if known is None or id(value) not in known:
        return make()
    here = id(value), "made"
    if here not in known:
        known[here] = make()
    return cast("T", known[here])


@contextmanager
def share_objects(known: dict[Any, Any]) -> Iterator[None]:
    """Check the objects with these ids once; None stands for what is not checked yet. The caller holds the objects."""
    token = _shared.set(known)
    try:
        yield
    finally:
        _shared.reset(token)
