"""The conversation with one model about one brief: ask for a script, check it, ask for repairs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from shared.errors import BadRequest, Invalid, ModelRefused, ModelUnavailable, ScriptInvalid
from shared.script.schema.containers import StrictList
from shared.script.schema.fields import StrictString
from shared.script.schema.loading import StrictSchema, load
from tasks.script import prompt
from tasks.script.draft_schema import draft_schema, strict_json_schema
from tasks.script.drafts import Draft, check_draft
from tasks.script.model_replies import PromptTooLong, Reply, extract_json
from tasks.script.outline import Outline

if TYPE_CHECKING:
    from marshmallow import Schema

    from shared.script.values import Brief

REPAIRS = 2
_DIGESTS = 3  # rounds of digests before points are dropped

Ask = Callable[[Sequence[dict[str, str]], dict[str, Any]], Reply]


class PointsSchema(StrictSchema):
    """The main points of a part of a text."""

    points = StrictList(StrictString(500), minimum=1, maximum=40, required=True)


class Dialogue:
    """A conversation about one brief. `ask` sends messages with a JSON Schema and returns the reply."""

    def __init__(self, brief: Brief, ask: Ask, *, pictures: bool, context: int) -> None:
        self._brief, self._ask, self._pictures, self._context = brief, ask, pictures, context

    def write_script(self) -> Outline:
        """Return the best script that the model gives; raise ScriptInvalid, or what `ask` raises."""
        schema = draft_schema(pictures=self._pictures)
        messages = prompt.script_messages(self._brief, points=self._points())
        best: Draft | None = None
        repairs = 0
        while True:
            try:
                reply = self._reply(messages, schema)
            except (ModelUnavailable, ModelRefused, ScriptInvalid, PromptTooLong):
                if best is None:
                    raise
                break  # keep the imperfect script that is there
            try:
                draft = self._check(reply)
            except Invalid as error:
                if repairs == REPAIRS:
                    break
                repairs += 1
                messages = [*messages[:2], *prompt.repair_messages(reply.content, error.args[1])]
                continue
            asked_before = best is not None
            best = min(
                (each for each in (best, draft) if each),
                key=lambda each: (len(each.shortfalls), each.length_error),
            )
            if asked_before or not draft.shortfalls:
                break
            messages = [*messages[:2], *prompt.repair_messages(reply.content, draft.shortfalls)]
        if best is None:
            raise ScriptInvalid("The language model gave no usable script.")
        return Outline(best.document, tuple(detail for _, detail in best.shortfalls))

    def _reply(self, messages: Sequence[dict[str, str]], schema: Schema) -> Reply:
        reply = self._ask(messages, strict_json_schema(schema))
        if reply.refusal and not reply.content:
            raise ScriptInvalid("The language model declined to write this script.")
        return reply

    def _check(self, reply: Reply) -> Draft:
        """Return the reply as a draft; raise Invalid with pointers into the answer."""
        return check_draft(_parse_answer(reply), self._brief, pictures=self._pictures)

    def _points(self) -> list[str]:
        """Return the main points of a source text that is too long for the model, digested part by part."""
        text = self._brief.source_text or ""
        points: list[str] = []
        for _ in range(_DIGESTS):
            if len(text) <= self._context:
                break
            points = [point for part in _split_text(text, self._context) for point in self._digest(part)]
            text = "\n".join(points)
        return _thin_out(points, self._context)

    def _digest(self, part: str) -> list[str]:
        schema = PointsSchema()
        messages = prompt.digest_messages(part, self._brief.language)
        for repairs in range(REPAIRS + 1):
            reply = self._reply(messages, schema)
            try:
                return list(load(schema, _parse_answer(reply))["points"])
            except Invalid as error:
                if repairs == REPAIRS:
                    break
                messages = [*messages[:2], *prompt.repair_messages(reply.content, error.args[1])]
        raise ScriptInvalid("The language model gave no usable digest of the text.")


def _parse_answer(reply: Reply) -> Any:
    try:
        return extract_json(reply.content)
    except BadRequest as error:
        why = (
            "The answer was cut off: it must be shorter."
            if reply.truncated
            else "The answer is not one JSON object."
        )
        raise Invalid("The answer cannot be read.", (("#", why),)) from error


def _split_text(text: str, most: int) -> list[str]:
    """Split a text into parts of at most `most` characters, at a paragraph or a space where one is near the end."""
    parts = []
    while len(text) > most:
        cut = max(text.rfind("\n\n", most // 2, most), 0) or max(text.rfind(" ", most // 2, most), 0) or most
        parts.append(text[:cut])
        text = text[cut:].strip()
    return [*parts, text]


def _thin_out(points: list[str], most: int) -> list[str]:
    """Drop every fourth point until the points fit."""
    while sum(map(len, points)) > most:
        points = [point for at, point in enumerate(points) if at % 4 != 3]
    return points
