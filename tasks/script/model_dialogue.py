"""The talk with one model about one brief: ask, check, and have it mended. How it is asked is passed in."""

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
_DIGESTS = 3  # times that a text is digested before it is cut off

Ask = Callable[[Sequence[dict[str, str]], dict[str, Any]], Reply]


class PointsSchema(StrictSchema):
    """What matters in a part of a text."""

    points = StrictList(StrictString(500), minimum=1, maximum=40, required=True)


class Dialogue:
    """One brief, one model."""

    def __init__(self, brief: Brief, ask: Ask, *, pictures: bool, context: int) -> None:
        self._brief, self._ask, self._pictures, self._context = brief, ask, pictures, context

    def write_script(self) -> Outline:
        """Return the script; or raise ScriptInvalid, or what asking raises."""
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
                break  # a script that could be better is better than none
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
        """Return the draft as a script; or raise Invalid with places in the answer."""
        return check_draft(_parse_answer(reply), self._brief, pictures=self._pictures)

    def _points(self) -> list[str]:
        """Return what matters in a source text that is too long for the model, part by part."""
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
    """Cut a text into parts, at a paragraph or a space where there is one near the end of each."""
    parts = []
    while len(text) > most:
        cut = max(text.rfind("\n\n", most // 2, most), 0) or max(text.rfind(" ", most // 2, most), 0) or most
        parts.append(text[:cut])
        text = text[cut:].strip()
    return [*parts, text]


def _thin_out(points: list[str], most: int) -> list[str]:
    """Leave points out, evenly, until they fit."""
    while sum(map(len, points)) > most:
        points = [point for at, point in enumerate(points) if at % 4 != 3]
    return points
