"""Expands a template's `each`, `if` and `else`. Values become variables of the resulting script, which placeholders name.

A value never becomes syntax, so that braces in a client's text cannot inject placeholders.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from marshmallow import ValidationError

from shared.script.schema import placeholders
from shared.script.schema.canonical import iterate_strings

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

Path = tuple[str | int, ...]
MAX_NODES = 50_000  # of a filled template: nested lists multiply
_OMITTED = object()


@dataclass(frozen=True, slots=True)
class Expanded:
    """An expanded script, and where its parts come from."""

    document: dict[str, Any]
    fields: Mapping[str, str]  # of its variables: the template's field
    places: Mapping[Path, Path]  # from the document's into the template's script

    def place(self, path: Path) -> Path:
        """Return the template's path of a path in the document, or of the nearest parent that has one."""
        whole = path
        while path and path not in self.places:
            path = path[:-1]
        return (*self.places.get(path, ()), *whole[len(path) :])

    def names(self, path: Path) -> list[str]:
        """Return the fields that fill a text of the document."""
        node: Any = self.document
        for part in path:
            try:
                node = node[part]
            except (KeyError, IndexError, TypeError):
                break
        used = placeholders.placeholder_names(node) if isinstance(node, str) else []
        return list(dict.fromkeys(self.fields[name] for name in used if name in self.fields))


def expand(script: Mapping[str, Any], values: Mapping[str, Any]) -> Expanded:
    """Expand a template's script with values, one for each field, or raise ValidationError."""
    own = script.get("variables", {})
    work = _Expansion(values, set(own) | set(values))
    # The script's own variables are values, not a part to expand.
    form = {name: part for name, part in script.items() if name != "variables"}
    if "if" in form:
        raise ValidationError(nested(("if",), ["Unknown field."]))  # the root cannot be omitted
    document = work.node(form, (), (), {})
    used = {name for text in iterate_strings(document) for name in placeholders.placeholder_names(text)}
    for name in used & values.keys():
        value = values[name]
        work.add(
            name,
            name,
            ", ".join(map(placeholders.variable_text, value)) if isinstance(value, list | tuple) else value,
        )
    document["variables"] = {**own, **work.variables}
    return Expanded(document, work.fields, work.places)


@dataclass(slots=True)
class _Expansion:
    values: Mapping[str, Any]
    taken: set[str]
    variables: dict[str, Any] = field(default_factory=dict)
    fields: dict[str, str] = field(default_factory=dict)
    places: dict[Path, Path] = field(default_factory=dict)

    def add(self, name: str, source: str, value: Any) -> None:
        self.variables[name] = "" if value is None else value
        self.fields[name] = source

    def node(self, node: Any, at: Path, source: Path, names: Mapping[str, str]) -> Any:
        """Return a part of the template as it is in the document at `at`."""
        # Checked while expanding: nested lists of 50 items would otherwise fill the memory first.
        if len(self.places) >= MAX_NODES:
            raise ValidationError(
                f"The filled template has more than {MAX_NODES} values. Give shorter lists."
            )
        self.places[at] = source
        if isinstance(node, str):
            return placeholders.rename_placeholders(node, names)
        if isinstance(node, list):
            return self._list(node, at, source, names)
        return self._object(node, at, source, names) if isinstance(node, dict) else node

    def _object(self, node: dict[str, Any], at: Path, source: Path, names: Mapping[str, str]) -> Any:
        if "if" in node and not self._has(node["if"], (*source, "if")):
            return self.node(node["else"], at, (*source, "else"), names) if "else" in node else _OMITTED
        result = {}
        for name, part in node.items():
            if name not in ("if", "else"):
                expanded = self.node(part, (*at, name), (*source, name), names)
                if expanded is not _OMITTED:
                    result[name] = expanded
        return result

    def _has(self, name: Any, source: Path) -> bool:
        if not isinstance(name, str) or name not in self.values:
            raise ValidationError(nested(source, ["Must be the name of a declared field."]))
        return self.values[name] not in (None, "", (), [])

    def _list(self, node: list[Any], at: Path, source: Path, names: Mapping[str, str]) -> list[Any]:
        result: list[Any] = []
        for index, item in enumerate(node):
            item_source = (*source, index)
            for repeated, item_names in self._repeated(item, item_source, names):
                expanded = self.node(repeated, (*at, len(result)), item_source, item_names)
                if expanded is not _OMITTED:
                    result.append(expanded)
        return result

    def _repeated(
        self, node: Any, source: Path, names: Mapping[str, str]
    ) -> Iterable[tuple[Any, Mapping[str, str]]]:
        """Return the object once for each item of the lists in its `each`, with the variable names of the items."""
        if not isinstance(node, dict) or "each" not in node:
            return [(node, names)]
        lists = [node["each"]] if isinstance(node["each"], str) else node["each"]
        lengths = self._lengths(lists, (*source, "each"))
        once = {name: part for name, part in node.items() if name != "each"}
        return [(once, {**names, **self._items(lists, index)}) for index in range(lengths)]

    def _lengths(self, lists: Any, source: Path) -> int:
        is_valid = isinstance(lists, list) and bool(lists) and all(isinstance(name, str) for name in lists)
        if not is_valid or not all(isinstance(self.values.get(name) or (), tuple) for name in lists):
            raise ValidationError(
                nested(source, ["Must be the name of a list field, or a list of such names."])
            )
        if unknown := [name for name in lists if name not in self.values]:
            raise ValidationError(nested(source, [f"There is no field {unknown[0]}."]))
        lengths = [len(self.values[name] or ()) for name in lists]
        if len(set(lengths)) > 1:
            raise UnequalLists(lists)
        return lengths[0]

    def _items(self, lists: list[str], index: int) -> dict[str, str]:
        result = {"number": self._fresh("number", index + 1)}
        for name in lists:
            result[name] = self._fresh(name, self.values[name][index])
        return result

    def _fresh(self, source: str, value: Any) -> str:
        """Add a variable for an item, under a name that no field and no other item has."""
        name = f"{source[:48]}-{len(self.variables) + 1}"
        # A field may be named like a generated variable, whose value it would then replace.
        while name in self.taken:
            name += "-"
        self.taken.add(name)
        self.add(name, source, value)
        return name


class UnequalLists(Exception):
    """The lists of one `each` differ in length. `args[0]` are their names."""


def nested(path: Path, messages: Any) -> dict[str, Any]:
    """Return messages nested below a path, in marshmallow's form."""
    for part in reversed(path):
        messages = {part: messages}
    return messages if isinstance(messages, dict) else {"_schema": messages}
